//! Who uses the host, and the way to those who wait.

use async_trait::async_trait;
use jiff::SignedDuration;

use super::HostResult;
use crate::model::{Checkout, Parcel, PortPeers, Readiness, ReadinessProbe, Session, Sighting, UnitName};

/// Who uses the host.
#[async_trait]
pub trait People: Send + Sync {
    async fn sessions(&self) -> HostResult<Vec<Session>>;

    /// Connections that stand to the TCP ports on which these units listen, by where they come from.
    async fn peers(&self, units: &[UnitName]) -> HostResult<Vec<PortPeers>>;
}

/// Checkouts from which services run.
#[async_trait]
pub trait Deployments: Send + Sync {
    /// What is only here, in the checkout at `path`. Asks no other host, writes nothing, and runs nothing of the checkout
    /// as anybody but its owner.
    async fn look(&self, path: &str) -> HostResult<Checkout>;
}

#[async_trait]
pub trait Prober: Send + Sync {
    /// Tests once, and gives up after `timeout`. Never an error: what cannot be told is not ready.
    async fn probe(&self, unit: &UnitName, probe: &ReadinessProbe, timeout: SignedDuration) -> Readiness;

    /// Whether anything listens where a database is to be asked: a question that costs nobody else anything.
    async fn listens(&self, probe: &ReadinessProbe) -> HostResult<bool>;

    /// The number that a page of an application answers with: alone, or the only number of an object in JSON.
    async fn count(&self, url: &str) -> HostResult<u64>;
}

/// What was seen of a boot before its services, and by whom.
#[async_trait]
pub trait Witness: Send + Sync {
    /// From here on this boot has a witness; what another one wrote is gone.
    async fn begin(&self) -> HostResult<()>;

    /// Adds what was seen.
    async fn note(&self, seen: &Sighting) -> HostResult<()>;

    /// All that was seen since the boot, in its order; nothing if nobody was there.
    async fn sightings(&self) -> HostResult<Vec<Sighting>>;
}

/// The way to people.
#[async_trait]
pub trait Messenger: Send + Sync {
    /// Sends once, and gives up after seconds. `Unknown` where a later try may succeed. No error repeats a secret.
    async fn send(&self, parcel: &Parcel) -> HostResult<()>;
}
