//! One strange host.

use super::scene::Scene;
use crate::image::Suite;
use anyhow::Result;
use std::fmt;

type Act = Box<dyn Fn(&Scene<'_>) -> Result<()> + Send + Sync>;

/// One strange host, and what Patchday must say of it.
pub struct Situation {
    pub(super) name: String,
    pub(super) act: Act,
    pub(super) in_check: bool,
    pub(super) ends_otherwise: bool,
    pub(super) shares: Option<&'static str>,
    pub(super) suite: Suite,
    pub(super) image: String,
    pub(super) settings: String,
    pub(super) database: String,
    pub(super) api: String,
    pub(super) units: Vec<String>,
}

impl fmt::Debug for Situation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Situation").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Situation {
    /// A situation by its name, as it stands in the table. `act` makes the host strange, lets Patchday act, and judges.
    pub fn new(name: impl Into<String>, act: impl Fn(&Scene<'_>) -> Result<()> + Send + Sync + 'static) -> Self {
        Self {
            name: name.into(),
            act: Box::new(act),
            in_check: false,
            ends_otherwise: false,
            shares: None,
            suite: Suite::Bookworm,
            image: String::new(),
            settings: String::new(),
            database: "start-timeout = \"60s\"\ndrain-timeout = \"3s\"".to_owned(),
            api: "start-timeout = \"60s\"".to_owned(),
            units: ["mongod.service", "sample-api.service"].map(str::to_owned).to_vec(),
        }
    }

    /// It is one of the few that `tests/lab/check` makes.
    pub fn in_check(mut self) -> Self {
        self.in_check = true;
        self
    }

    /// The host may not serve afterwards; `act` says how it must be.
    pub fn ends_otherwise(mut self) -> Self {
        self.ends_otherwise = true;
        self
    }

    /// All of a topic that share a word are made one after the other on one machine, which saves its boot. What a scene
    /// has written is put back in between; what else is changed must be taken back with [`Scene::undo`]. A situation that
    /// goes wrong takes the machine with it.
    pub fn sharing(mut self, word: &'static str) -> Self {
        self.shares = Some(word);
        self
    }

    /// Another release than Debian 12.
    pub fn suite(mut self, suite: Suite) -> Self {
        self.suite = suite;
        self
    }

    /// The machine's image has what this shell script makes in it, as root, with the network: `apt-get update` and
    /// `apt-get install` of Debian's packages. It is built once, and kept.
    pub fn image(mut self, script: impl Into<String>) -> Self {
        self.image = script.into();
        self
    }

    /// More of the configuration. A table of it (`[verify]`) replaces the lab's own of that name.
    pub fn settings(mut self, settings: impl Into<String>) -> Self {
        self.settings = settings.into();
        self
    }

    /// The lines of the database's `[[service]]`, beside unit, kind, probe and URI.
    pub fn database(mut self, lines: impl Into<String>) -> Self {
        self.database = lines.into();
        self
    }

    /// The lines of the API's `[[service]]`, beside unit, order and probe.
    pub fn api(mut self, lines: impl Into<String>) -> Self {
        self.api = lines.into();
        self
    }

    /// The units that must be active afterwards, where these are others than `mongod.service` and `sample-api.service`.
    pub fn units(mut self, units: &[&str]) -> Self {
        self.units = units.iter().copied().map(str::to_owned).collect();
        self
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether `tests/lab/check` makes it.
    pub fn is_in_check(&self) -> bool {
        self.in_check
    }
}
