//! Kernels that are built on this host.
//!
//! The whole build is one program in one unit: this binary, by a hidden verb. So it outlives the coordinator, and is
//! found again, as all long work is.
//!
//! | file | what it knows |
//! |---|---|
//! | `tree.rs` | where the tree is, and how a tarball becomes one |
//! | `configuration.rs` | which configuration the kernel gets |
//! | `objects.rs` | how many objects there are to make, and how many are made |
//! | `build.rs` | the build, from the first file to the packages |

mod build;
mod configuration;
pub(super) mod objects;
#[cfg(test)]
mod tests;
mod tree;

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::Kernel;
use crate::host::command::{self, below};
use crate::host::{HostError, HostResult, foreign, trusted};
use crate::model::{BuiltKernel, KernelSource, WorkSpec};

pub use build::build;

/// Where Kbuild keeps the release of what it builds.
const RELEASE_FILE: &str = "include/config/kernel.release";

/// What builds a kernel and its packages, with the package that brings it.
const TOOLS: [(&str, &str); 6] = [
    ("make", "make"),
    ("bc", "bc"),
    ("bison", "bison"),
    ("flex", "flex"),
    ("gcc", "gcc"),
    ("dpkg-buildpackage", "dpkg-dev"),
];

impl Kernel {
    /// What the build would fail for.
    fn problems(&self, source: &KernelSource) -> Vec<String> {
        let mut problems = Vec::new();
        problems.extend(distrusted(source));
        // Whoever names another compiler, or builds the packages otherwise, knows what that needs.
        let own_compiler =
            source.make.iter().any(|argument| argument.starts_with("LLVM=") || argument.starts_with("CC="));
        let needs = |tool: &str| match tool {
            "gcc" => !own_compiler,
            "dpkg-buildpackage" => source.command.is_none(),
            _ => true,
        };
        let unpacks = tree::is_tarball(source).then_some(("xz", "xz-utils"));
        for (tool, package) in TOOLS.into_iter().chain(unpacks).filter(|(tool, _)| needs(tool)) {
            if command::find(&self.root, tool).is_none() {
                problems.push(format!("{tool} is not installed (package {package})"));
            }
        }
        problems
    }

    pub(super) async fn lacking(&self, source: &KernelSource) -> HostResult<Vec<String>> {
        let (builder, source) = (self.clone(), source.clone());
        foreign::in_time(build::TREE_TIMEOUT, "look at the kernel's source", move || builder.problems(&source)).await
    }

    pub(super) async fn is_due(&self, source: &KernelSource) -> bool {
        let release = build::release_of_tree(&self.root, source).await;
        release.is_none_or(|release| !is_installed(&self.root, &release))
    }

    pub(super) fn command(&self, source: &KernelSource, jobs: u32) -> (Vec<String>, Vec<(String, String)>) {
        let text = serde_json::to_string(source).unwrap_or_default();
        let jobs = jobs.to_string();
        let verb = ["build-kernel", "--status", WorkSpec::STATUS_FD, "--jobs", &jobs, "--source", &text];
        let argv = std::iter::once(self.program.display().to_string()).chain(verb.map(str::to_owned));
        let home = ("HOME".to_owned(), "/root".to_owned());
        (argv.collect(), command::environment().into_iter().chain([home]).collect())
    }

    pub(super) async fn built_from(&self, source: &KernelSource) -> HostResult<BuiltKernel> {
        let cache = below(&self.root, tree::CACHE);
        built(&tree::place(source, &cache)).map_err(|why| HostError::failed("look for the kernel that was built", why))
    }
}

/// Why root must not build this: somebody else could change the source, or the configuration where it is a file of its
/// own. Every file of a tree gives orders.
fn distrusted(source: &KernelSource) -> Option<String> {
    let config = source.config.as_ref().and_then(|file| trusted::check_owner(file).err());
    let source =
        if tree::is_tarball(source) { trusted::check_owner(&source.path) } else { trusted::check_tree(&source.path) };
    let all: Vec<String> = config.into_iter().chain(source.err()).collect();
    (!all.is_empty()).then(|| all.join("; "))
}

fn is_installed(root: &Path, release: &str) -> bool {
    below(root, &format!("/boot/vmlinuz-{release}")).exists()
}

/// What lies in a tree, and beside it.
fn built(tree: &Path) -> Result<BuiltKernel, String> {
    let file = tree.join(RELEASE_FILE);
    let release = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?.trim().to_owned();
    // Kbuild puts the packages beside the tree.
    let tree = fs::canonicalize(tree).map_err(|error| format!("{}: {error}", tree.display()))?;
    let beside = tree.parent().unwrap_or(Path::new("/"));
    let newest = |prefix: &str| newest(beside, &format!("{prefix}-{release}_"));
    let packages = [newest("linux-image")?, newest("linux-headers")?].into_iter().flatten().collect();
    Ok(BuiltKernel { release, packages })
}

/// The newest package whose file name begins so: each build gives them a new version.
fn newest(directory: &Path, prefix: &str) -> Result<Option<PathBuf>, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", directory.display());
    let mut found: Option<((i64, i64), PathBuf)> = None;
    for entry in fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let is_one = name.to_str().is_some_and(|name| name.starts_with(prefix) && name.ends_with(".deb"));
        if is_one {
            let file = entry.metadata().map_err(failed)?;
            found = found.max(Some(((file.mtime(), file.mtime_nsec()), entry.path())));
        }
    }
    Ok(found.map(|(_, path)| path))
}
