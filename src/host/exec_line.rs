//! From what systemd knows of a unit to the command line that it starts: with the variables of its environment put in, as
//! systemd 252 does it. Read from busctl's JSON, since `systemctl show` runs words together.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::command::{self, below};
use super::foreign;
use crate::model::UnitName;

const TIMEOUT: Duration = Duration::from_secs(10);

/// No file of variables is longer.
const FILE_BYTES: u64 = 256 * 1024;

/// What systemd knows of the service, word by word; none if nobody can be asked that way.
pub async fn service_properties(root: &Path, unit: &UnitName) -> Option<Value> {
    let path = format!("/org/freedesktop/systemd1/unit/{}", label(unit.as_str()));
    let all = ["org.freedesktop.DBus.Properties", "GetAll", "s", "org.freedesktop.systemd1.Service"];
    let args = [&["--json=short", "call", "org.freedesktop.systemd1", path.as_str()][..], &all].concat();
    serde_json::from_str(&command::read_text(root, "busctl", &args, TIMEOUT).await.ok()?).ok()
}

/// A name as D-Bus has it in paths: all but letters and digits in hexadecimal, and a digit at the beginning too.
fn label(name: &str) -> String {
    let escaped = name.bytes().enumerate().map(|(at, byte)| match byte {
        b'a'..=b'z' | b'A'..=b'Z' => char::from(byte).to_string(),
        b'0'..=b'9' if at > 0 => char::from(byte).to_string(),
        _ => format!("_{byte:02x}"),
    });
    escaped.collect()
}

/// The unit's first command; none if it has none, or where a file of variables that it needs cannot be read.
/// `properties` is the answer to `GetAll` of the service.
pub fn argv(root: &Path, properties: &Value) -> Option<Vec<String>> {
    let property = |name: &str| properties.pointer(&format!("/data/0/{name}/data"));
    let (command, is_verbatim) = match property("ExecStartEx").and_then(|commands| commands.get(0)) {
        Some(command) => {
            let flags = command.get(2)?.as_array()?;
            (command, flags.iter().any(|flag| flag == "no-env-expand"))
        }
        None => (property("ExecStart")?.get(0)?, false),
    };
    let words: Vec<&str> = command.get(1)?.as_array()?.iter().filter_map(Value::as_str).collect();
    if is_verbatim {
        return Some(words.into_iter().map(str::to_owned).collect());
    }
    let mut variables = BTreeMap::new();
    let assignments = property("Environment").and_then(Value::as_array).into_iter().flatten();
    for (name, value) in assignments.filter_map(|one| one.as_str()?.split_once('=')) {
        variables.insert(name.to_owned(), value.to_owned());
    }
    for file in property("EnvironmentFiles").and_then(Value::as_array).into_iter().flatten() {
        let (path, may_be_missing) = (file.get(0)?.as_str()?, file.get(1)?.as_bool()?);
        match foreign::read(&below(root, path), FILE_BYTES) {
            Ok(text) => variables.extend(assignments_of(&text)),
            Err(_) if may_be_missing => {}
            Err(_) => return None,
        }
    }
    for name in property("UnsetEnvironment").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
        variables.remove(name);
    }
    Some(expanded(&words, &variables))
}

/// `$NAME` as a word of its own becomes as many words as its value has; `${NAME}` is put in wherever it stands, and stays
/// one word; `$$` is a dollar. Everything else is as it is.
fn expanded(words: &[&str], variables: &BTreeMap<String, String>) -> Vec<String> {
    let mut argv = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let name = word.strip_prefix('$').filter(|name| at > 0 && is_name(name));
        match name {
            Some(name) => argv.extend(variables.get(name).map(|value| split(value)).unwrap_or_default()),
            None => argv.push(with_braces(word, variables)),
        }
    }
    argv
}

fn is_name(text: &str) -> bool {
    let starts_well = text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    starts_well && text.chars().all(|one| one.is_ascii_alphanumeric() || one == '_')
}

fn with_braces(word: &str, variables: &BTreeMap<String, String>) -> String {
    let mut text = String::new();
    let mut rest = word;
    while let Some(at) = rest.find('$') {
        text.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            text.push('$');
            rest = after;
        } else if let Some((name, after)) = rest.strip_prefix('{').and_then(|inner| inner.split_once('}'))
            && is_name(name)
        {
            text.push_str(variables.get(name).map_or("", String::as_str));
            rest = after;
        } else {
            text.push('$');
        }
    }
    text + rest
}

/// Words between blanks; quotes hold blanks together and are taken away.
pub fn split(value: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = value.chars();
    while let Some(one) = chars.next() {
        match (quote, one) {
            (Some(open), _) if one == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(one);
                word.get_or_insert_default();
            }
            (None | Some('"'), '\\') => word.get_or_insert_default().extend(chars.next()),
            (None, _) if one.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(one),
        }
    }
    words.extend(word);
    words
}

/// The assignments of an `EnvironmentFile=`: comments are `#` and `;`, a backslash at the end of a line joins it with the
/// next, quotes are taken away, blanks around a value do not count.
fn assignments_of(text: &str) -> Vec<(String, String)> {
    let mut assignments = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let mut line = line.trim_start().to_owned();
        if line.starts_with(['#', ';']) {
            continue;
        }
        while line.ends_with('\\') && !line.ends_with("\\\\") {
            line.pop();
            match lines.next() {
                Some(next) => line.push_str(next),
                None => break,
            }
        }
        let Some((name, value)) = line.split_once('=') else { continue };
        if is_name(name.trim()) {
            assignments.push((name.trim().to_owned(), unquoted(value.trim())));
        }
    }
    assignments
}

/// Quotes and backslashes as a shell takes them, but blanks stay.
fn unquoted(value: &str) -> String {
    let mut text = String::new();
    let mut quote = None;
    let mut chars = value.chars();
    while let Some(one) = chars.next() {
        match (quote, one) {
            (Some(open), _) if one == open => quote = None,
            (None, '"' | '\'') => quote = Some(one),
            (None | Some('"'), '\\') => text.extend(chars.next()),
            _ => text.push(one),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn service(argv: &[&str], environment: &[&str], files: &[(&str, bool)]) -> Value {
        let command = json!([argv[0], argv, ["none"], 0, 0, 0, 0, 0, 0, 0]);
        json!({ "type": "a{sv}", "data": [{
            "ExecStartEx": { "type": "a(sasasttttuii)", "data": [command] },
            "Environment": { "type": "as", "data": environment },
            "EnvironmentFiles": { "type": "a(sb)", "data": files },
        }] })
    }

    #[test]
    fn a_unit_is_named_as_in_paths_of_the_bus() {
        assert_eq!(label("mongod@1.service"), "mongod_401_2eservice");
        assert_eq!(label("4db.service"), "_34db_2eservice");
    }

    #[test]
    fn variables_are_put_in_as_systemd_does() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        std::fs::create_dir_all(root.join("etc/default")).unwrap();
        let file = "# of the package\n;old\nOPTIONS=\"-f /etc/mongod.conf --quiet\"\nexport IGNORED=1\nPORT = 27018 \n\
                    LONG=--dbpath \\\n/srv/db\nQUOTED='a b'\n";
        std::fs::write(root.join("etc/default/mongod"), file).unwrap();
        let mongod = "/usr/bin/mongod";
        type Case<'a> = (&'a [&'a str], &'a [&'a str], &'a [(&'a str, bool)], Option<&'a [&'a str]>);
        let cases: [Case<'_>; 12] = [
            (&[mongod, "$OPTIONS"], &["OPTIONS=-f /etc/mongod.conf"], &[], Some(&[mongod, "-f", "/etc/mongod.conf"])),
            (&[mongod, "${OPTIONS}"], &["OPTIONS=-f x"], &[], Some(&[mongod, "-f x"])),
            (&[mongod, "$NONE", "--fork"], &[], &[], Some(&[mongod, "--fork"])),
            (&[mongod, "--dbpath=${DATA}/db"], &["DATA=/srv"], &[], Some(&[mongod, "--dbpath=/srv/db"])),
            (&[mongod, "--dbpath", "${NONE}"], &[], &[], Some(&[mongod, "--dbpath", ""])),
            // Only a word of its own counts without braces.
            (&[mongod, "--dbpath=$DATA", "$$x"], &["DATA=/srv"], &[], Some(&[mongod, "--dbpath=$DATA", "$x"])),
            (&[mongod, "$OPTIONS"], &["OPTIONS=--dbpath '/srv/my data' --port 1"], &[], {
                Some(&[mongod, "--dbpath", "/srv/my data", "--port", "1"])
            }),
            // The file wins.
            (&[mongod, "$OPTIONS"], &["OPTIONS=--port 1"], &[("/etc/default/mongod", false)], {
                Some(&[mongod, "-f", "/etc/mongod.conf", "--quiet"])
            }),
            (&[mongod, "$LONG", "${PORT}", "${QUOTED}"], &[], &[("/etc/default/mongod", true)], {
                Some(&[mongod, "--dbpath", "/srv/db", "27018", "a b"])
            }),
            (&[mongod, "$OPTIONS"], &["OPTIONS=-f x"], &[("/etc/sysconfig/mongod", true)], Some(&[mongod, "-f", "x"])),
            (&[mongod, "$OPTIONS"], &["OPTIONS=-f x"], &[("/etc/sysconfig/mongod", false)], None),
            (&["/usr/bin/numactl", "--interleave=all", mongod, "$OPTIONS"], &["OPTIONS=-f x"], &[], {
                Some(&["/usr/bin/numactl", "--interleave=all", mongod, "-f", "x"])
            }),
        ];
        for (words, environment, files, expected) in cases {
            let seen = argv(root, &service(words, environment, files));
            let seen: Option<Vec<&str>> = seen.as_ref().map(|argv| argv.iter().map(String::as_str).collect());
            assert_eq!(seen.as_deref(), expected, "{words:?}");
        }
    }

    #[test]
    fn what_systemd_takes_literally_is_taken_literally() {
        let command =
            json!(["/usr/bin/mongod", ["/usr/bin/mongod", "$OPTIONS"], ["no-env-expand"], 0, 0, 0, 0, 0, 0, 0]);
        let service = json!({ "data": [{ "ExecStartEx": { "data": [command] } }] });
        assert_eq!(argv(Path::new("/none"), &service).unwrap(), ["/usr/bin/mongod", "$OPTIONS"]);
        // Before version 243 there is no other list.
        let older = json!({ "data": [{ "ExecStart": { "data": [["/x", ["/x", "$A"], false]] },
            "Environment": { "data": ["A=1 2"] } }] });
        assert_eq!(argv(Path::new("/none"), &older).unwrap(), ["/x", "1", "2"]);
        assert_eq!(argv(Path::new("/none"), &json!({ "data": [{}] })), None);
    }
}
