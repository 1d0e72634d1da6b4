//! The texts that settings are read from.

use std::ops::Range;
use std::path::{Path, PathBuf};

use super::error::Problem;
use super::place::Place;

/// The texts of a configuration, in the order in which they count. A span of one counts on from the texts before it, so
/// that it is also known of which one it is.
#[derive(Debug, Default)]
pub struct Sources {
    files: Vec<Source>,
    /// Why a text is missing.
    lacks: Vec<Problem>,
}

#[derive(Debug)]
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) text: String,
    /// What the spans of its text begin with.
    pub(super) start: usize,
}

impl Sources {
    /// Texts in the order in which they count. The paths are for the errors.
    pub fn of(texts: &[(&Path, &str)]) -> Self {
        let mut sources = Self::default();
        texts.iter().for_each(|(path, text)| sources.add(path, (*text).to_owned()));
        sources
    }

    pub(super) fn add(&mut self, path: &Path, text: String) {
        let start = self.files.last().map_or(0, |last| last.start + last.text.len() + 1);
        self.files.push(Source { path: path.to_owned(), text, start });
    }

    /// A file whose text cannot be had.
    pub(super) fn lack(&mut self, problem: Problem) {
        self.lacks.push(problem);
    }

    pub(super) fn lacks(&self) -> &[Problem] {
        &self.lacks
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Source> {
        self.files.iter()
    }

    /// Where a span begins.
    pub(super) fn place(&self, span: &Range<usize>) -> Place {
        let source = self.files.iter().rev().find(|source| source.start <= span.start);
        source.map_or_else(Place::default, |source| {
            Place::of(&source.path, source.text.as_bytes(), span.start - source.start)
        })
    }
}
