//! The one printer of errors, and of data.

use std::io::{self, ErrorKind, Write};

use super::{Paint, Style};
use crate::report::harmless::{one_line, shown};

/// An error in words: what failed and why, and hints last. Lower case, as the words of a sentence that goes on.
///
/// ```text
/// error: configuration is not valid: /etc/patchday/patchday.toml:12: services.mongod.after: no such service
/// hint: patchday init
/// ```
pub fn render_error(what: &str, causes: &[String], hints: &[String], style: &Style) -> String {
    let mut sentence = one_line(what);
    for cause in causes {
        let cause = one_line(cause);
        // Errors of libraries often repeat their cause; nobody wants to read it twice.
        if !cause.is_empty() && !sentence.ends_with(&cause) {
            sentence.push_str(": ");
            sentence.push_str(&cause);
        }
    }
    let mut text = format!("{} {sentence}\n", style.paint(Paint::Bad, "error:"));
    for hint in hints {
        text.push_str(&format!("{} {}\n", style.paint(Paint::Accent, "hint:"), one_line(hint)));
    }
    text
}

/// Prints an error, by rule to stderr. A stream that is closed changes nothing: the exit code tells it too.
pub fn print_error(out: &mut dyn Write, what: &str, causes: &[String], hints: &[String], style: &Style) {
    print_talk(out, &render_error(what, causes, hints, style));
}

/// Prints what is said beside the data, by rule to stderr. Whether it arrives changes nothing.
pub fn print_talk(out: &mut dyn Write, text: &str) {
    let _ = print_data(out, text);
}

/// Prints what a command was asked for, by rule to stdout. Whatever is in it, no terminal obeys it. A reader that has gone
/// had enough.
///
/// # Errors
///
/// Any other word of the stream: nobody may take a part for the whole.
pub fn print_data(out: &mut dyn Write, text: &str) -> io::Result<()> {
    match out.write_all(shown(text).as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_failed_why_and_what_to_do() {
        let causes = ["cannot open the state: permission denied".to_owned(), "permission denied".to_owned()];
        let hints = ["sudo patchday status".to_owned()];
        assert_eq!(
            render_error("no status", &causes, &hints, &Style::plain()),
            "error: no status: cannot open the state: permission denied\nhint: sudo patchday status\n"
        );
        assert_eq!(render_error("no status", &[], &[], &Style::plain()), "error: no status\n");
    }
}
