//! What somebody saw who was there before the services.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::UnitName;

/// When one start of a service was first seen ready: between two moments of the boot, in microseconds since it began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighting {
    pub unit: UnitName,
    /// systemd's ID of the start that was seen: another start tells nothing of this one.
    pub invocation: String,
    /// The last moment at which it had certainly not said that it is ready; none if it said so when first asked.
    pub not_ready_usec: Option<u64>,
    /// The first moment at which it had.
    pub ready_usec: u64,
    /// What the wall's clock would have said when the boot began, were it as right as at this sighting: by it the time of
    /// a log's record becomes a moment of the boot.
    pub booted: Timestamp,
}

impl Sighting {
    /// The moment of the boot at which the wall's clock said so; none before the boot.
    pub fn moment_of(&self, at: Timestamp) -> Option<u64> {
        u64::try_from(at.duration_since(self.booted).as_micros()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sighting_survives_its_line() {
        let seen = Sighting {
            unit: "mongod.service".parse().unwrap(),
            invocation: "0f3a".into(),
            not_ready_usec: None,
            ready_usec: 1_500_000,
            booted: "2026-11-24T00:00:00Z".parse().unwrap(),
        };
        let line = serde_json::to_string(&seen).unwrap();
        assert_eq!(serde_json::from_str::<Sighting>(&line).unwrap(), seen);
        assert_eq!(seen.moment_of("2026-11-24T00:00:01.25Z".parse().unwrap()), Some(1_250_000));
        assert_eq!(seen.moment_of("2026-11-23T23:59:59Z".parse().unwrap()), None);
    }
}
