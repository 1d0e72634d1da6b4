//! apt and dpkg.

use super::{Check, check};
use crate::model::{Finding, Severity};

check!(DPKG_CLEAN, "dpkg-clean", Blocker, "no package is half installed, and no dpkg was interrupted", |inputs| {
    let state = inputs.host.packages.state().await?;
    if state.is_clean() {
        return Ok(None);
    }
    let mut finding = Finding::new("dpkg-clean", Severity::Blocker, "an earlier upgrade was not finished");
    finding.evidence = state.broken;
    if state.interrupted {
        finding.evidence.push("/var/lib/dpkg/updates is not empty".into());
    }
    Ok(Some(finding.remedy("finish it before a new one begins", "dpkg --configure -a")))
});
