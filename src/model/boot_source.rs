//! What starts this host, and which kernel it takes.

use serde::{Deserialize, Serialize};

/// What starts this host.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "kebab-case")]
pub enum BootSource {
    /// No boot loader whose files can be read.
    #[default]
    Unknown,
    /// Something that is not on this host, and that brings a kernel of its own.
    Outside { why: String },
    /// A boot loader of this host.
    Loader(LoaderDefault),
}

impl BootSource {
    pub fn is_unknown(&self) -> bool {
        *self == Self::Unknown
    }
}

/// What a boot loader starts where nobody chooses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoaderDefault {
    /// Its name, as in `GRUB`.
    pub loader: String,
    /// What it starts; none if its files do not tell, or where that is no Linux.
    pub starts: Option<LoaderEntry>,
    /// A kernel that is newly installed becomes its default.
    pub follows_newest: bool,
    /// Which of its rules says so, as in `its default is its first entry`.
    pub why: String,
}

/// An entry of a boot loader that starts a kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoaderEntry {
    /// The release of the image, as `uname -r` will say it.
    pub release: String,
    /// `uname -v` of the image; none if it does not tell.
    pub version: Option<String>,
    /// What it would load and is not there.
    pub lacks: Vec<String>,
}
