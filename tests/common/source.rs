//! Reads Rust sources as far as rules about them need: modules, paths, macros, attributes. Comments and literals count
//! for nothing, and neither does what is compiled for tests only.
#![allow(dead_code, missing_docs, unreachable_pub)]

use std::collections::{BTreeMap, BTreeSet};

/// One file below `src`, without comments, literals and test modules.
pub struct Source {
    pub file: String,
    /// As in `host::systemd::work`; empty for `lib.rs`.
    pub module: String,
    pub tokens: Vec<String>,
    /// Names of modules that are compiled for tests only, and all other things that are.
    pub test_seams: Vec<String>,
}

/// All files below `src` that are not for tests only.
pub struct Tree {
    pub sources: Vec<Source>,
    modules: BTreeSet<String>,
    /// Re-exports: `config::Settings` is `config::settings::Settings`.
    aliases: BTreeMap<String, String>,
}

impl Tree {
    /// Of paths (below the root of the project) and texts.
    pub fn new<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut sources: Vec<Source> = files.into_iter().map(|(file, text)| Source::new(file, text)).collect();
        let for_tests: Vec<String> =
            sources.iter().flat_map(|source| source.test_seams.iter().map(|name| join(&source.module, name))).collect();
        sources.retain(|source| !for_tests.iter().any(|test| is_within(&source.module, test)));
        let modules: BTreeSet<String> = sources.iter().map(|source| source.module.clone()).collect();
        let mut aliases = BTreeMap::new();
        for source in &sources {
            for path in source.public_uses() {
                let target = join(&source.module, path.strip_prefix("self::").unwrap_or(&path));
                if let Some((module, item)) = target.rsplit_once("::")
                    && modules.contains(module)
                {
                    aliases.insert(join(&source.module, item), target.clone());
                }
            }
        }
        Self { sources, modules, aliases }
    }

    /// What a source names of the crate itself: for each the module and the whole path, after re-exports.
    pub fn imports(&self, source: &Source) -> Vec<(String, String)> {
        let below = |path: &str| {
            let first = join(&source.module, path.split("::").next().unwrap_or_default());
            self.modules.contains(&first).then(|| join(&source.module, path))
        };
        let paths = source.paths().into_iter().filter_map(|path| source.within_crate(&path).or_else(|| below(&path)));
        paths.map(|path| self.resolve(&path)).collect()
    }

    fn resolve(&self, path: &str) -> (String, String) {
        let mut path = path.to_owned();
        loop {
            let module = self.module_of(&path);
            let item = path[module.len()..].trim_start_matches("::").split("::").next().unwrap_or_default();
            match self.aliases.get(&join(&module, item)) {
                Some(target) if *target != path && !item.is_empty() => path = target.clone(),
                _ => return (module, path),
            }
        }
    }

    /// The innermost module that the path leads through.
    fn module_of(&self, path: &str) -> String {
        let mut module = path;
        loop {
            if self.modules.contains(module) {
                return module.to_owned();
            }
            match module.rsplit_once("::") {
                Some((outer, _)) => module = outer,
                None => return String::new(),
            }
        }
    }
}

impl Source {
    pub fn new(file: &str, text: &str) -> Self {
        let stem = file.strip_prefix("src/").unwrap_or(file).strip_suffix(".rs").unwrap_or(file);
        let stem = stem.strip_suffix("/mod").unwrap_or(stem);
        let module = if stem == "lib" { String::new() } else { stem.replace('/', "::") };
        let (tokens, test_seams) = without_tests(tokens(&code(text)));
        Self { file: file.to_owned(), module, tokens, test_seams }
    }

    /// Every path of at least two names, and every name that a `use` brings in.
    pub fn paths(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut at = 0;
        while at < self.tokens.len() {
            if self.tokens[at] == "use" {
                at = use_tree(&self.tokens, at + 1, "", &mut found);
            } else if is_name(&self.tokens[at]) {
                let (path, next) = plain_path(&self.tokens, at);
                if path.contains("::") {
                    found.push(path);
                }
                at = next;
            } else {
                at += 1;
            }
        }
        found
    }

    fn public_uses(&self) -> Vec<String> {
        let mut found = Vec::new();
        for at in 1..self.tokens.len() {
            if self.tokens[at] == "use" && matches!(self.tokens[at - 1].as_str(), "pub" | ")") {
                use_tree(&self.tokens, at + 1, "", &mut found);
            }
        }
        found
    }

    /// The path from the crate's root, where it leads into the crate.
    fn within_crate(&self, path: &str) -> Option<String> {
        let mut module = self.module.as_str();
        let mut rest = path;
        if let Some(inner) = rest.strip_prefix("crate::") {
            return Some(inner.to_owned());
        }
        if let Some(inner) = rest.strip_prefix("self::") {
            return Some(join(module, inner));
        }
        let mut is_relative = false;
        while let Some(inner) = rest.strip_prefix("super::") {
            is_relative = true;
            rest = inner;
            module = module.rsplit_once("::").map_or("", |(outer, _)| outer);
        }
        is_relative.then(|| join(module, rest))
    }
}

pub fn join(module: &str, item: &str) -> String {
    if module.is_empty() { item.to_owned() } else { format!("{module}::{item}") }
}

/// Whether the path is the module or lies below it.
pub fn is_within(path: &str, module: &str) -> bool {
    path.strip_prefix(module).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

fn plain_path(tokens: &[String], start: usize) -> (String, usize) {
    let mut path = tokens[start].clone();
    let mut at = start + 1;
    while at + 1 < tokens.len() && tokens[at] == "::" && is_name(&tokens[at + 1]) {
        path = format!("{path}::{}", tokens[at + 1]);
        at += 2;
    }
    (path, at)
}

/// Flattens a `use` tree; returns where it ends.
fn use_tree(tokens: &[String], start: usize, prefix: &str, into: &mut Vec<String>) -> usize {
    let mut path = prefix.to_owned();
    let mut at = start;
    while at < tokens.len() {
        match tokens[at].as_str() {
            "::" => at += 1,
            "{" => {
                at += 1;
                while at < tokens.len() && tokens[at] != "}" {
                    let next = use_tree(tokens, at, &path, into);
                    // A source that two people are merging has more between braces than names.
                    at = next.max(at + usize::from(next == at && tokens[at] != ","));
                    if at < tokens.len() && tokens[at] == "," {
                        at += 1;
                    }
                }
                return at + 1;
            }
            "as" => at += 2,
            "self" if !path.is_empty() => at += 1,
            name if is_name(name) || name == "*" => {
                path = join(&path, name);
                at += 1;
            }
            _ => break,
        }
    }
    if !path.is_empty() {
        into.push(path);
    }
    // A closing brace or a comma belongs to whoever opened the list.
    if prefix.is_empty() { at + 1 } else { at }
}

/// The text with comments and the insides of literals blanked out.
fn code(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut before = ' ';
    while let Some(c) = rest.chars().next() {
        let is_free = !(before.is_alphanumeric() || before == '_');
        let skipped = match c {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => block_comment(rest),
            '"' => string(rest, 1),
            'b' | 'c' if is_free && rest[1..].starts_with('"') => string(rest, 2),
            'r' if is_free => raw_string(rest, 1),
            'b' | 'c' if is_free && rest[1..].starts_with('r') => raw_string(rest, 2),
            '\'' => character(rest),
            _ => 0,
        };
        if skipped == 0 {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        } else {
            out.push(' ');
            rest = &rest[skipped..];
        }
        before = c;
    }
    out
}

fn block_comment(text: &str) -> usize {
    let mut depth = 0;
    let bytes = text.as_bytes();
    let mut at = 0;
    while at + 1 < bytes.len() {
        match &bytes[at..at + 2] {
            b"/*" => (depth, at) = (depth + 1, at + 2),
            b"*/" => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

fn string(text: &str, start: usize) -> usize {
    let bytes = text.as_bytes();
    let mut at = start;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    text.len()
}

fn raw_string(text: &str, start: usize) -> usize {
    let hashes = text[start..].bytes().take_while(|byte| *byte == b'#').count();
    if text.as_bytes().get(start + hashes) != Some(&b'"') {
        return 0;
    }
    let end = format!("\"{}", "#".repeat(hashes));
    let inside = start + hashes + 1;
    text[inside..].find(&end).map_or(text.len(), |at| inside + at + end.len())
}

/// A character literal; 0 for a lifetime.
fn character(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match chars.next() {
        Some((_, '\\')) => text[3..].find('\'').map_or(text.len(), |at| at + 4),
        Some(_) => match chars.next() {
            Some((at, '\'')) => at + 1,
            _ => 0,
        },
        None => 0,
    }
}

fn tokens(code: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut chars = code.chars().peekable();
    while let Some(c) = chars.next() {
        if c.is_whitespace() {
            continue;
        }
        let mut token = c.to_string();
        if c.is_alphanumeric() || c == '_' {
            while let Some(next) = chars.next_if(|next| next.is_alphanumeric() || *next == '_') {
                token.push(next);
            }
        } else if c == ':' && chars.next_if_eq(&':').is_some() {
            token.push(':');
        }
        tokens.push(token);
    }
    tokens
}

/// Leaves out `#[cfg(test)] mod NAME { … }`; returns what is left, and for everything that is compiled for tests only
/// the module's name, or the code that it is.
fn without_tests(tokens: Vec<String>) -> (Vec<String>, Vec<String>) {
    let mut kept = Vec::new();
    let mut seams = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if !is_test_condition(&tokens[at..]) {
            kept.push(tokens[at].clone());
            at += 1;
            continue;
        }
        match test_module(&tokens, at) {
            Some((name, end)) => {
                seams.push(name);
                at = end;
            }
            None => {
                seams.push(tokens[at..].iter().take(12).cloned().collect::<Vec<_>>().join(" "));
                at += 1;
            }
        }
    }
    (kept, seams)
}

/// The module behind exactly `cfg(test)]`, and where it ends.
fn test_module(tokens: &[String], at: usize) -> Option<(String, usize)> {
    let token = |at: usize| tokens.get(at).map_or("", String::as_str);
    if (1..5).map(|ahead| token(at + ahead)).ne(["(", "test", ")", "]"]) {
        return None;
    }
    let mut at = at + 5;
    if token(at) == "pub" {
        at += 1;
        if token(at) == "(" {
            at += tokens[at..].iter().position(|token| token == ")")? + 1;
        }
    }
    match (token(at), token(at + 2)) {
        ("mod", ";") => Some((token(at + 1).to_owned(), at + 3)),
        ("mod", "{") => Some((token(at + 1).to_owned(), closing_brace(tokens, at + 2))),
        _ => None,
    }
}

/// `cfg(…test…)`, `cfg!(…test…)` or `cfg_attr(test…)`.
fn is_test_condition(tokens: &[String]) -> bool {
    if !tokens.first().is_some_and(|first| first == "cfg" || first == "cfg_attr") {
        return false;
    }
    let open = tokens.iter().take(3).position(|token| token == "(");
    let Some(open) = open else { return false };
    let mut depth = 0;
    for token in &tokens[open..] {
        match token.as_str() {
            "(" => depth += 1,
            ")" => depth -= 1,
            "test" => return true,
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    false
}

fn closing_brace(tokens: &[String], open: usize) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    tokens.len()
}
