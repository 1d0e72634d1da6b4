//! One disposable machine.
//!
//! | file | what it does with a machine |
//! |---|---|
//! | `claim.rs` | gives a new one its name and its directory |
//! | `life.rs` | creates, boots, waits, switches off, removes |
//! | `command.rs` | runs commands inside |
//! | `disk.rs` | gives one a disk of its own, and cuts its power |
//! | `services.rs` | Patchday, the database and the sample API on it |
//! | `leftovers.rs` | removes what a killed lab left behind |

pub(crate) mod claim;
mod command;
mod disk;
pub(crate) mod leftovers;
mod life;
mod services;

pub use command::Output;
pub use life::Machine;
pub use services::ApiFault;
pub(crate) use services::{API_UNIT, MONGOD_CONF};
