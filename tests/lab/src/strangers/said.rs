//! What Patchday said.

use anyhow::{Result, bail};

/// What Patchday said, and how it ended. What does not hold is an error that has all of it.
#[derive(Debug, Clone)]
pub struct Said {
    /// The verb, with its arguments.
    pub verb: String,
    /// The exit code; none where the command did not end in time.
    pub code: Option<i32>,
    /// The one sentence of it that a person reads first.
    pub headline: String,
    /// All of it: standard output, standard error and, of a run, its report.
    pub text: String,
}

impl Said {
    /// It ended with this exit code.
    pub fn ends(&self, code: i32) -> Result<&Self> {
        if self.code != Some(code) {
            return self.wrong(&format!("exit code {code} was expected"));
        }
        Ok(self)
    }

    /// All of these words were said. Line breaks, also those of comments, count as blanks.
    pub fn says(&self, words: &[&str]) -> Result<&Self> {
        let text = flat(&self.text);
        match words.iter().find(|words| !text.contains(&flat(words))) {
            Some(missing) => self.wrong(&format!("\"{missing}\" was not said")),
            None => Ok(self),
        }
    }

    /// None of these words was said.
    pub fn says_not(&self, words: &[&str]) -> Result<&Self> {
        let text = flat(&self.text);
        match words.iter().find(|words| text.contains(&flat(words))) {
            Some(said) => self.wrong(&format!("\"{said}\" was said")),
            None => Ok(self),
        }
    }

    /// An error that has all that was said.
    pub fn wrong<T>(&self, what: &str) -> Result<T> {
        let Self { verb, text, .. } = self;
        bail!("{what}; patchday {verb} ended with {} and said:\n{text}", self.exit())
    }

    /// The exit code in words.
    pub(super) fn exit(&self) -> String {
        self.code.map_or("no end in time".to_owned(), |code| code.to_string())
    }
}

fn flat(text: &str) -> String {
    text.split_whitespace().filter(|word| *word != "#").collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::Said;

    #[test]
    fn words_are_found_over_line_breaks_and_missing_ones_are_told() {
        let said =
            Said { verb: "plan".into(), code: Some(0), headline: String::new(), text: "# a run\n# would".to_owned() };
        assert!(said.ends(0).unwrap().says(&["a run would"]).unwrap().says_not(&["stop"]).is_ok());
        assert!(said.says(&["a run", "stop"]).unwrap_err().to_string().contains("\"stop\" was not said"));
        assert!(said.says_not(&["run would"]).is_err());
        assert!(said.ends(21).unwrap_err().to_string().contains("exit code 21 was expected"));
    }
}
