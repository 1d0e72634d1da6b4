//! The configuration that the kernel gets.

use std::fs;
use std::path::{Path, PathBuf};

use crate::host::command;
use crate::model::KernelSource;

/// Puts the configuration into the tree, and says where it came from: the file that is named, else what the
/// administrator left in the tree, else that of the running kernel.
pub(super) fn put(source: &KernelSource, tree: &Path, is_own_tree: bool) -> Result<String, String> {
    let target = tree.join(".config");
    if source.config.is_none() && is_own_tree && target.exists() {
        return Ok(target.display().to_string());
    }
    let (text, origin) = match &source.config {
        Some(file) => (read(file)?, file.display().to_string()),
        None => of_running_kernel()?,
    };
    let text = without_missing_keys(&text, |file| tree.join(file).exists());
    fs::write(&target, text).map_err(|error| format!("{}: {error}", target.display()))?;
    Ok(origin)
}

/// Whether the named file was written since the tree was configured.
pub(super) fn is_to_change(source: &KernelSource, tree: &Path) -> bool {
    let written = |file: &Path| fs::metadata(file).and_then(|file| file.modified()).ok();
    source.config.as_ref().is_some_and(|file| written(file) >= written(&tree.join(".config")))
}

fn read(file: &Path) -> Result<String, String> {
    fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))
}

/// Debian keeps it in `/boot`, and some kernels in themselves (`CONFIG_IKCONFIG_PROC`).
fn of_running_kernel() -> Result<(String, String), String> {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let in_boot = PathBuf::from(format!("/boot/config-{release}"));
    if in_boot.exists() {
        return Ok((read(&in_boot)?, in_boot.display().to_string()));
    }
    let in_kernel = Path::new("/proc/config.gz");
    if !in_kernel.exists() {
        return Err(format!(
            "the running kernel has no configuration: neither {} nor {} is there; name a file by [kernel] config",
            in_boot.display(),
            in_kernel.display()
        ));
    }
    let gzip = command::find_or_default(Path::new("/"), "gzip");
    let output = command::detached(Path::new(&gzip)).args(["--decompress", "--stdout"]).arg(in_kernel).output();
    let output = output.map_err(|error| format!("gzip: {error}"))?;
    if !output.status.success() {
        return Err(format!("{}: {}", in_kernel.display(), String::from_utf8_lossy(&output.stderr).trim()));
    }
    Ok((String::from_utf8_lossy(&output.stdout).into_owned(), in_kernel.display().to_string()))
}

/// Distributors sign with keys that only they have: a configuration that names such a file cannot be built elsewhere.
fn without_missing_keys(text: &str, exists: impl Fn(&str) -> bool) -> String {
    const NAMES_A_KEY: [&str; 2] = ["CONFIG_SYSTEM_TRUSTED_KEYS=\"", "CONFIG_SYSTEM_REVOCATION_KEYS=\""];
    let mut kept = String::with_capacity(text.len());
    for line in text.lines() {
        let name = NAMES_A_KEY.iter().find(|name| line.starts_with(**name));
        let file = name.map(|name| line.trim_start_matches(name).trim_end_matches('"'));
        match name.zip(file) {
            Some((name, file)) if !file.is_empty() && !exists(file) => kept.push_str(&format!("{name}\"")),
            _ => kept.push_str(line),
        }
        kept.push('\n');
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_only_the_distributor_has_are_left_out() {
        let text = "CONFIG_A=y\nCONFIG_SYSTEM_TRUSTED_KEYS=\"debian/certs/theirs.pem\"\n\
                    CONFIG_SYSTEM_REVOCATION_KEYS=\"ours.pem\"\n";
        assert_eq!(
            without_missing_keys(text, |file| file == "ours.pem"),
            "CONFIG_A=y\nCONFIG_SYSTEM_TRUSTED_KEYS=\"\"\nCONFIG_SYSTEM_REVOCATION_KEYS=\"ours.pem\"\n"
        );
    }
}
