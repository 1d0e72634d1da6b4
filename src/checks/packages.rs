//! apt and dpkg.

use super::check;

check!(
    DPKG_CLEAN,
    Packages,
    "dpkg-clean",
    Blocker,
    10,
    "no package is half installed, and no dpkg was interrupted",
    "A new upgrade on top of a half done one fails half way, with the services down. Let dpkg finish what it began.",
    |check, inputs| {
        let state = inputs.host.packages.state().await?;
        if state.is_clean() {
            return Ok(None);
        }
        let mut finding = check.found("an earlier upgrade was not finished");
        finding.evidence = state.broken;
        if state.interrupted {
            finding.evidence.push("/var/lib/dpkg/updates is not empty".into());
        }
        Ok(Some(finding.remedy("finish it before a new one begins", "dpkg --configure -a")))
    }
);
