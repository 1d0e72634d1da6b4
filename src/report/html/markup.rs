//! Markup that cannot be broken by what it tells: text gets in escaped, names of elements are constants.

use std::fmt::Write as _;

use crate::report::words::one_line;

/// A piece of HTML or SVG.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Html(String);

impl Html {
    /// The text of the page.
    pub(super) fn into_text(self) -> String {
        self.0
    }

    /// Whether there is nothing in it.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Html> for Html {
    fn from_iter<I: IntoIterator<Item = Html>>(pieces: I) -> Self {
        pieces.into_iter().fold(Self::default(), |mut all, piece| {
            all.0.push_str(&piece.0);
            all
        })
    }
}

impl<const N: usize> From<[Html; N]> for Html {
    fn from(pieces: [Html; N]) -> Self {
        pieces.into_iter().collect()
    }
}

/// Text of anybody, on one line and escaped.
pub(super) fn text(text: impl AsRef<str>) -> Html {
    Html(escape(&one_line(text.as_ref())))
}

/// Markup of our own, as it is written in this program.
pub(super) fn literal(markup: &'static str) -> Html {
    Html(markup.to_owned())
}

/// An element with attributes and content.
pub(super) fn element(name: &'static str, attributes: &[(&'static str, &str)], content: impl Into<Html>) -> Html {
    let mut out = open(name, attributes);
    // A line of its own for what stands alone; white space counts only between words.
    let is_block = matches!(
        name,
        "section" | "table" | "tr" | "ul" | "ol" | "li" | "svg" | "g" | "h1" | "h2" | "h3" | "p" | "figure" | "div"
    );
    out.push('>');
    out.push_str(&content.into().0);
    let _ = write!(out, "</{name}>");
    if is_block {
        out.push('\n');
    }
    Html(out)
}

/// An element of SVG without content.
pub(super) fn shape(name: &'static str, attributes: &[(&'static str, &str)]) -> Html {
    Html(open(name, attributes) + "/>")
}

fn open(name: &str, attributes: &[(&'static str, &str)]) -> String {
    attributes.iter().fold(format!("<{name}"), |mut out, (key, value)| {
        let _ = write!(out, " {key}=\"{}\"", escape(value));
        out
    })
}

fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_stays_text_wherever_it_stands() {
        let foreign = "</td><script>alert('1')</script>\n\u{7}\" onload=\"x&amp;";
        let cell = element("td", &[("title", foreign)], text(foreign)).into_text();
        assert_eq!(cell.matches('<').count(), 2, "{cell}");
        assert_eq!(cell.matches('"').count(), 2, "{cell}");
        assert!(cell.contains("&lt;script&gt;") && cell.contains("&amp;amp;"), "{cell}");
    }
}
