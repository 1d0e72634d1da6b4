//! What foreign text may not do to a face: command a terminal, turn the order of what is read, or hide.
//!
//! Text of other programs, packages and people is told on terminals, in pages, in mails and in chats. [`one_line`] makes
//! a piece of it harmless where it enters a sentence; [`shown`] is the last gate of a whole text, whatever is in it.

use std::fmt::Write as _;

/// Signs that are seen by nobody, or that change how others are seen, by their Unicode names: joiners and marks of
/// direction, embeddings, overrides and isolates, separators of lines, fillers that look like nothing, variation
/// selectors, and tags.
const UNSEEN: [(char, char); 17] = [
    ('\u{ad}', '\u{ad}'),
    ('\u{34f}', '\u{34f}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{115f}', '\u{1160}'),
    ('\u{17b4}', '\u{17b5}'),
    ('\u{180b}', '\u{180f}'),
    ('\u{200b}', '\u{200f}'),
    ('\u{2028}', '\u{202e}'),
    ('\u{2060}', '\u{206f}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{fe00}', '\u{fe0f}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{ffa0}', '\u{ffa0}'),
    ('\u{fff0}', '\u{fffb}'),
    ('\u{1bca0}', '\u{1bca3}'),
    ('\u{1d173}', '\u{1d17a}'),
    ('\u{e0000}', '\u{e0fff}'),
];

fn is_unseen(c: char) -> bool {
    // Nearly all text is below the first of them.
    c >= UNSEEN[0].0 && UNSEEN.iter().any(|(first, last)| (*first..=*last).contains(&c))
}

/// One line of signs that can be seen. Control characters, those of the second set (U+0080 to U+009F) too, count as
/// blanks; a sign that would not be seen is replaced by one that says so.
pub fn one_line(text: &str) -> String {
    let words = text.split(|c: char| c.is_control() || c.is_whitespace()).filter(|word| !word.is_empty());
    let seen = |word: &str| {
        word.chars().map(|c| if is_unseen(c) { char::REPLACEMENT_CHARACTER } else { c }).collect::<String>()
    };
    words.map(seen).collect::<Vec<_>>().join(" ")
}

/// A whole text, as it goes to a terminal or into a file: lines, tabs and our own colours pass, and whatever else would
/// not be seen is written as JSON writes it. So JSON stays the JSON that it was, whoever shows it.
pub fn shown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let colour = colour(rest);
        if colour > 0 {
            shown.push_str(&rest[..colour]);
            rest = &rest[colour..];
            continue;
        }
        rest = &rest[c.len_utf8()..];
        if !matches!(c, '\n' | '\t') && (c.is_control() || is_unseen(c)) {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                let _ = write!(shown, "\\u{unit:04x}");
            }
        } else {
            shown.push(c);
        }
    }
    shown
}

/// The length of the colour (SGR) with which the text begins; 0 where it begins otherwise.
fn colour(text: &str) -> usize {
    let Some(rest) = text.strip_prefix("\u{1b}[") else { return 0 };
    let numbers = rest.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b';').count();
    if rest.as_bytes().get(numbers) == Some(&b'm') { numbers + 3 } else { 0 }
}

/// Markdown, as chats read it, in which every sign stands for itself, nobody is called, and no link is made.
pub fn in_markdown(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut before = ' ';
    for c in one_line(text).replace("://", ":\\//").chars() {
        match c {
            // It is our own, from the line above.
            '\\' if before == ':' => safe.push(c),
            '\\' | '`' | '*' | '_' | '[' | ']' | '(' | ')' | '<' | '>' | '|' | '~' | '#' | '!' | '&' => {
                safe.push('\\');
                safe.push(c);
            }
            // A name of a unit (`getty@tty1.service`) calls nobody; what stands alone would.
            '@' if !before.is_alphanumeric() => safe.push_str("@\u{200b}"),
            c => safe.push(c),
        }
        before = c;
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a terminal obeys, what turns the order of what is read, and what hides.
    const HARMFUL: [char; 22] = [
        '\0',
        '\u{7}',
        '\u{8}',
        '\u{1b}',
        '\u{7f}',
        '\u{85}',
        '\u{9b}',
        '\u{9d}',
        '\u{ad}',
        '\u{61c}',
        '\u{200b}',
        '\u{200e}',
        '\u{200f}',
        '\u{202a}',
        '\u{202e}',
        '\u{2028}',
        '\u{2066}',
        '\u{2069}',
        '\u{feff}',
        '\u{e0041}',
        '\u{3164}',
        '\u{fe0f}',
    ];

    #[test]
    fn foreign_text_becomes_one_harmless_line() {
        assert_eq!(one_line("E: broken\n  \u{1b}[31mred\tend \r\n"), "E: broken [31mred end");
        for c in HARMFUL {
            let line = one_line(&format!("mongo{c}db"));
            assert!(["mongo db", "mongo\u{fffd}db"].contains(&line.as_str()), "{c:?}: {line:?}");
        }
        assert_eq!(one_line("grüße, 世界 ✓"), "grüße, 世界 ✓");
    }

    #[test]
    fn what_is_shown_keeps_lines_and_our_own_colours_and_nothing_else() {
        let ours = "\u{1b}[31;1mred\u{1b}[0m\n\tnext ✓\n";
        assert_eq!(shown(ours), ours);
        assert_eq!(shown("\u{1b}]0;title\u{7}\u{1b}[2J\u{1b}[m"), "\\u001b]0;title\\u0007\\u001b[2J\u{1b}[m");
        for c in HARMFUL {
            let text = shown(&format!("a{c}b"));
            assert!(text.chars().all(|c| !c.is_control() && !is_unseen(c)), "{c:?}: {text:?}");
            let json = serde_json::to_string(&format!("a{c}b")).unwrap();
            let read: String = serde_json::from_str(&shown(&json)).unwrap();
            assert_eq!(read, format!("a{c}b"), "JSON says the same");
        }
    }

    #[test]
    fn in_a_chat_every_sign_stands_for_itself() {
        for (text, safe) in [
            ("*bold* _it_ `x`", r"\*bold\* \_it\_ \`x\`"),
            ("[click](https://evil.example)", r"\[click\]\(https:\//evil.example\)"),
            ("<!channel> &amp;", r"\<\!channel\> \&amp;"),
            ("@channel and (@here)", "@\u{200b}channel and \\(@\u{200b}here\\)"),
            ("getty@tty1.service", "getty@tty1.service"),
            ("a\u{202e}b\n# c ~town", "a\u{fffd}b \\# c \\~town"),
            (r"back\slash", r"back\\slash"),
        ] {
            assert_eq!(in_markdown(text), safe, "{text}");
        }
    }
}
