//! systemd over D-Bus: units that run services ([`SystemdUnits`]) and transient units that do long work
//! ([`SystemdWork`]).
//!
//! Sources: `org.freedesktop.systemd1(5)`, `systemd.exec(5)`, `systemd.resource-control(5)`; behaviour was tried on
//! systemd 252 and 257.
//!
//! | file | what it holds |
//! |---|---|
//! | `proxy` | the interfaces, and properties read afresh |
//! | `manager` | reading units |
//! | `jobs` | waiting for a job without a race, across restarts of the bus |
//! | `cgroup` | what control groups say: processes left, caps in force, CPU time used |
//! | `budget` | the limits of the slice that all work shares |
//! | `hold` | keeping a unit from starting |
//! | `unit_spec` | our words to systemd's properties, pure |
//! | `work_processes` | who is at work in a unit |
//! | `units`, `work`, `relations`, `shutdown`, `package_locks` | the ports |
//! | `exec_with_status` | the hidden verb that gives a program a status descriptor |

mod budget;
mod cgroup;
mod exec_with_status;
mod hold;
mod jobs;
mod manager;
mod object;
mod package_locks;
mod property;
mod proxy;
mod relations;
mod sandbox;
mod shutdown;
mod unit_properties;
mod unit_spec;
mod units;
mod work;
mod work_processes;

pub use budget::SystemdBudget;
pub use exec_with_status::exec_with_status;
pub use package_locks::SystemdPackageLocks;
pub use shutdown::SystemdShutdown;
pub use units::SystemdUnits;
pub use work::SystemdWork;
