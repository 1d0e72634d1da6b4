//! Packages that are installed without a sync for each file, and what brings them back after a power cut.

use std::path::PathBuf;

use async_trait::async_trait;

use super::HostResult;
use crate::model::{BatchPlan, RunId, UpgradePlan};

/// What there is to bring a batch back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Spoiled {
    /// Packages that can be trusted.
    pub archives: Vec<PathBuf>,
    /// Where configuration files were kept.
    pub kept: PathBuf,
    /// What is missing, or is not as it was recorded.
    pub problems: Vec<String>,
}

#[async_trait]
pub trait Batches: Send + Sync {
    /// Cuts an upgrade in two, and keeps the packages of the second part: compared with what the archive says of them, and
    /// synced. Where anything is in doubt, the plan says why each file is synced after all.
    async fn prepare(&self, run: &RunId, plan: &UpgradePlan) -> HostResult<BatchPlan>;

    /// Keeps configuration files as they are before the batch, and syncs all that was written until now.
    async fn begin(&self, run: &RunId, batch: &BatchPlan) -> HostResult<()>;

    /// On return all that the batch has written is on disk.
    async fn sync(&self, batch: &BatchPlan) -> HostResult<()>;

    /// What brings the batch back; only reads.
    async fn spoiled(&self, run: &RunId, batch: &BatchPlan) -> HostResult<Spoiled>;

    /// Files of the batch's packages that are installed, and not as packaged; configuration files are not among them.
    async fn damaged(&self, batch: &BatchPlan) -> HostResult<Vec<String>>;

    /// Lets go of all that was kept.
    async fn forget(&self, run: &RunId) -> HostResult<()>;
}
