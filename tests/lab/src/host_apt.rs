//! What the host's own apt tells: the mirrors and how to reach them. The project names neither.

use crate::process::run;
use anyhow::{Context, Result, bail};
use std::env;
use std::fs;
use std::process::Command;

/// Where packages come from.
#[derive(Debug, Clone, Hash)]
pub(crate) struct Mirrors {
    /// The archive with `SUITE` and `SUITE-updates`.
    pub(crate) archive: String,
    /// The archive with `SUITE-security`.
    pub(crate) security: String,
}

impl Mirrors {
    /// Takes them from the host's apt sources, or from `PATCHDAY_LAB_MIRROR` and `PATCHDAY_LAB_SECURITY_MIRROR`.
    pub(crate) fn of_host() -> Result<Self> {
        let targets = run(Command::new("apt-get").args([
            "indextargets",
            "--format",
            "$(REPO_URI) $(RELEASE) $(COMPONENT)",
            "Created-By: Packages",
        ]))
        .context("cannot ask apt for its sources")?;
        let codename = debian_codename()?;
        let find = |variable: &str, release: &str| -> Result<String> {
            if let Ok(mirror) = env::var(variable) {
                return Ok(mirror);
            }
            for line in targets.lines() {
                if let [uri, its_release, "main"] = line.split_whitespace().collect::<Vec<_>>()[..]
                    && its_release == release
                {
                    return Ok(uri.trim_end_matches('/').to_owned());
                }
            }
            bail!("the host's apt has no source for {release} main; name a Debian mirror in {variable}")
        };
        Ok(Self {
            archive: find("PATCHDAY_LAB_MIRROR", &codename)?,
            security: find("PATCHDAY_LAB_SECURITY_MIRROR", &format!("{codename}-security"))?,
        })
    }
}

/// The host's settings without which its mirrors cannot be reached, as an apt configuration file.
pub(crate) fn access_settings() -> Result<String> {
    let dump = run(Command::new("apt-config").arg("dump")).context("cannot ask apt for its settings")?;
    let wanted = ["acquire::http::", "acquire::https::", "acquire::check-"];
    let mut settings = String::new();
    for line in dump.lines() {
        let name = line.to_ascii_lowercase();
        // Empty values are only the branches of apt's tree.
        if wanted.iter().any(|prefix| name.starts_with(prefix)) && !line.ends_with(" \"\";") {
            settings.push_str(line);
            settings.push('\n');
        }
    }
    for variable in ["http_proxy", "https_proxy"] {
        if let Ok(proxy) = env::var(variable)
            && !proxy.is_empty()
        {
            let scheme = variable.trim_end_matches("_proxy");
            settings.push_str(&format!("Acquire::{scheme}::Proxy \"{proxy}\";\n"));
        }
    }
    Ok(settings)
}

pub(crate) fn debian_codename() -> Result<String> {
    let text = fs::read_to_string("/etc/os-release").context("cannot read /etc/os-release")?;
    text.lines()
        .find_map(|line| line.strip_prefix("VERSION_CODENAME="))
        .map(|name| name.trim_matches('"').to_owned())
        .context("/etc/os-release has no VERSION_CODENAME; the lab runs on Debian")
}
