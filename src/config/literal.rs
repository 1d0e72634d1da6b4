//! Values as TOML writes them.

use serde_json::Value;

/// A text, in quotes.
pub fn string(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            control if control.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(control))),
            // Signs that nobody sees; whoever shows the text would write them as JSON does, which is no TOML.
            unseen if unseen >= '\u{e0000}' => quoted.push_str(&format!("\\U{:08X}", u32::from(unseen))),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

/// A list of texts.
pub fn list<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    format!("[{}]", texts.into_iter().map(string).collect::<Vec<_>>().join(", "))
}

/// What a key takes: a text, a number, a truth, or a list of texts.
pub fn value(value: &Value) -> String {
    match value {
        Value::String(text) => string(text),
        Value::Array(items) => list(items.iter().filter_map(Value::as_str)),
        plain => plain.to_string(),
    }
}
