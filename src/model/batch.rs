//! Packages that are installed without a sync for each file, and with what they are installed again.

use serde::{Deserialize, Serialize};

use super::{PackageChange, UpgradePlan};

/// How an upgrade is cut in two, and where the second part is kept.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct BatchPlan {
    /// What booting and a repair need, with all that apt changes for it: each file of these is synced.
    pub first: Vec<String>,
    /// What is left, which may be lost and installed again.
    pub archives: Vec<BatchArchive>,
    /// Why each file is synced after all; none if it need not be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unfit: Option<String>,
}

/// A package's file, in a directory of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchArchive {
    pub package: String,
    pub version: String,
    pub file: String,
    /// Of the file; whoever installs it again compares.
    pub sha256: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conffiles: Vec<String>,
}

impl BatchPlan {
    /// An upgrade of which each file is synced.
    pub fn unfit(why: impl Into<String>) -> Self {
        Self { unfit: Some(why.into()), ..Self::default() }
    }

    /// Something may be installed without a sync for each file.
    pub fn is_usable(&self) -> bool {
        self.unfit.is_none() && !self.archives.is_empty()
    }
}

impl UpgradePlan {
    pub fn first_of(&self, batch: &BatchPlan) -> Self {
        self.part(|change| batch.first.contains(&change.name))
    }

    /// What is left when that is there.
    pub fn without_first_of(&self, batch: &BatchPlan) -> Self {
        self.part(|change: &PackageChange| !batch.first.contains(&change.name))
    }
}
