//! What a host has besides units, sockets and packages: compared before and after a boot.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::UnitName;

/// Something that was read, or why it was not. Unknown is neither the same nor another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reading<T> {
    Known(T),
    /// Why it could not be read.
    Unknown(String),
}

impl<T> Default for Reading<T> {
    fn default() -> Self {
        Self::Unknown("it was not read".to_owned())
    }
}

impl<T> Reading<T> {
    /// What was read, if anything.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Unknown(_) => None,
        }
    }
}

impl<T, E: std::fmt::Display> From<Result<T, E>> for Reading<T> {
    fn from(result: Result<T, E>) -> Self {
        result.map_or_else(|error| Self::Unknown(error.to_string()), Self::Known)
    }
}

/// An address of this host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Address {
    pub interface: String,
    /// Address and prefix length, as in `192.0.2.10/24`.
    pub address: String,
    /// Leased, or made from a router's word: it may be another one after a boot.
    pub dynamic: bool,
}

/// A route of the main table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Route {
    /// `default`, or a network.
    pub destination: String,
    /// The next hop; none if the network is attached.
    pub gateway: Option<String>,
    pub interface: String,
    /// Who made it, as in `static`, `boot`, `dhcp`, `kernel`.
    pub protocol: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Modules {
    /// Those that are loaded.
    pub loaded: BTreeSet<String>,
    /// Those that files of `modules-load.d` ask for. One that is built in is never listed as loaded.
    pub wanted: BTreeSet<String>,
}

/// Values of `/proc/sys`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Sysctl {
    /// By name, as in `vm.swappiness`.
    pub values: BTreeMap<String, String>,
    /// Names that files of `sysctl.d` set.
    pub configured: BTreeSet<String>,
}

/// The host at one instant.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Inventory {
    /// Swap files and partitions in use.
    pub swap: Reading<BTreeSet<String>>,
    /// Mount points that are mounted read-only.
    pub read_only: Reading<BTreeSet<String>>,
    /// Addresses that others can reach.
    pub addresses: Reading<BTreeSet<Address>>,
    /// Routes of the main table.
    pub routes: Reading<BTreeSet<Route>>,
    /// Active timers, and when each elapses next; none for one that never will.
    pub timers: Reading<BTreeMap<UnitName, Option<Timestamp>>>,
    /// The kernel's command line.
    pub command_line: Reading<String>,
    pub modules: Reading<Modules>,
    pub sysctl: Reading<Sysctl>,
    /// Whether the clock is kept in time.
    pub clock_synchronized: Reading<bool>,
    /// Configuration files that wait to be merged, as in `/etc/ssh/sshd_config.dpkg-dist`.
    pub conffiles: Reading<BTreeSet<String>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// It is saved with the baseline, and read again after the reboot.
    #[test]
    fn an_inventory_survives_its_file() {
        let set = |text: &str| Reading::Known(BTreeSet::from([text.to_owned()]));
        let inventory = Inventory {
            swap: set("/swapfile"),
            read_only: set("/usr"),
            addresses: Reading::Known(BTreeSet::from([Address {
                interface: "eth0".into(),
                address: "192.0.2.10/24".into(),
                dynamic: true,
            }])),
            routes: Reading::Known(BTreeSet::from([Route {
                destination: "default".into(),
                gateway: Some("192.0.2.1".into()),
                interface: "eth0".into(),
                protocol: "dhcp".into(),
            }])),
            timers: Reading::Known(BTreeMap::from([(
                "apt-daily.timer".parse().unwrap(),
                Some("2026-11-24T06:00:00Z".parse().unwrap()),
            )])),
            command_line: Reading::Known("root=/dev/vda1".into()),
            modules: Reading::Known(Modules {
                loaded: BTreeSet::from(["zfs".into()]),
                wanted: BTreeSet::from(["br_netfilter".into()]),
            }),
            sysctl: Reading::Known(Sysctl {
                values: BTreeMap::from([("vm.swappiness".into(), "10".into())]),
                configured: BTreeSet::from(["vm.swappiness".into()]),
            }),
            clock_synchronized: Reading::Known(false),
            conffiles: Reading::Unknown("no such directory".into()),
        };
        let text = serde_json::to_string(&inventory).unwrap();
        assert_eq!(serde_json::from_str::<Inventory>(&text).unwrap(), inventory);
        // What an older version did not record is unknown.
        let older: Inventory = serde_json::from_str("{}").unwrap();
        assert!(older.swap.known().is_none());
    }
}
