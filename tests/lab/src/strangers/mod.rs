//! Hosts as strangers have them: what is odd about each, what Patchday says there, and how the host is afterwards.
//!
//! A [`Situation`] is a row of the table in `docs/reliability.md`: a name in plain English, and a function that makes the
//! host strange, lets Patchday act on it, and judges what was said. Afterwards the host is looked at: unless the
//! situation [`ends_otherwise`](Situation::ends_otherwise), both services must serve, and nothing of Patchday may be left.
//!
//! To add one, write it into the file of its topic:
//!
//! ```no_run
//! use patchday_lab::strangers::Situation;
//!
//! Situation::new("a unit of somebody's own has failed", |scene| {
//!     scene.unit("own.service", "[Service]\nType=oneshot\nExecStart=/bin/false\n")?;
//!     scene.machine().exec(&["systemctl", "start", "own.service"])?;
//!     scene.run(&[])?.ends(0)?.says(&["1 package upgraded"])?;
//!     Ok(())
//! })
//! .settings("[reboot]\nwhen = \"never\"\n")
//! .sharing("quick")
//! .in_check();
//! ```
//!
//! The machine has Patchday, both services configured, and one update pending, [`UPDATE`], in a repository of its own
//! below `/srv/repo`: it takes no network and no time. Whoever needs Debian's packages takes them into the image:
//! [`Situation::image`].

mod companions;
mod database;
mod found;
mod kernel;
mod last_look;
mod modules;
mod outcome;
mod package;
mod packages;
mod perform;
mod probes;
mod reboot;
mod root;
mod running;
mod said;
mod scene;
mod servers;
mod services;
mod situation;
mod world;

pub use outcome::{Outcome, into_docs, markdown};
pub use package::Package;
pub use perform::{Stage, perform};
pub use running::Running;
pub use said::Said;
pub use scene::{Scene, UPDATE};
pub use situation::Situation;

/// How long both services may take to be back after a change of their units.
const BACK: std::time::Duration = std::time::Duration::from_secs(60);

/// What a situation is about, in the order of the table: its name, its heading, and its situations.
pub const TOPICS: [Topic; 8] = [
    Topic { name: "services", heading: "Services and units", situations: services::situations },
    Topic { name: "database", heading: "The database", situations: database::situations },
    Topic { name: "probes", heading: "Probes of readiness", situations: probes::situations },
    Topic { name: "packages", heading: "Packages and their scripts", situations: packages::situations },
    Topic { name: "kernel", heading: "Kernels, modules and `/boot`", situations: kernel::situations },
    Topic { name: "reboot", heading: "The reboot", situations: reboot::situations },
    Topic { name: "root", heading: "Root, and files of others", situations: root::situations },
    Topic { name: "world", heading: "Locks, clocks, room and the network", situations: world::situations },
];

/// A kind of situations.
#[derive(Debug, Clone, Copy)]
pub struct Topic {
    /// One word, for `--topic`.
    pub name: &'static str,
    /// As it stands above its part of the table.
    pub heading: &'static str,
    /// Its situations.
    pub situations: fn() -> Vec<Situation>,
}
