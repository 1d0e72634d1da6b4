//! A kernel that is built on this host from its source.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What it is built from, as it is configured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelSource {
    /// A source tree, or a tarball of one.
    pub path: PathBuf,
    /// The kernel's configuration; none is the tree's own, or else that of the running kernel.
    pub config: Option<PathBuf>,
    /// Arguments of every call of make, as in `LOCALVERSION=-mine`.
    pub make: Vec<String>,
    /// Program and arguments that build the packages in the tree; none is `make bindeb-pkg`.
    pub command: Option<Vec<String>>,
}

/// What a build left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltKernel {
    /// The kernel's release, as `uname -r` will say it.
    pub release: String,
    /// Its packages: the image, and the headers where there are some.
    pub packages: Vec<PathBuf>,
}
