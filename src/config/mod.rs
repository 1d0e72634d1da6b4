//! Configuration: from the files to settings.
//!
//! ```text
//! load      reads the file and its drop-ins, if root alone can change them
//! sources   their texts; knows of every place in which file it is
//! merge     TOML -> schema (keys and types) -> one table, in which later files amend earlier ones
//! parse     that table -> reader (values) and validate (meaning) -> Settings
//! effective what every key is, and which file says so
//! named     what a person can name of it: a key or a table
//! keys      every key once: type, default, bounds, meaning; the documentation and `patchday init` are made of it
//! error     every problem with its file, line, column, key, and one hint
//! ```

mod effective;
mod error;
mod hooks;
mod kernel;
mod key;
pub mod keys;
mod kind;
pub mod literal;
pub mod load;
mod located;
mod merge;
mod named;
mod notify;
mod order;
mod parse;
mod place;
mod reader;
mod reboot;
mod schema;
mod service;
pub mod settings;
mod sources;
mod users;
mod validate;
mod values;
mod window;

pub use effective::Effective;
pub use error::{ConfigError, Problem};
pub use load::{DEFAULT_PATH, Files, Trust, load, load_trusting};
pub use located::{Located, Positions};
pub use named::Named;
pub use order::dependency_order;
pub use parse::parse;
pub use place::{Place, Position};
pub use settings::{
    Ahead, AnnounceSettings, Durability, KernelSettings, LeftoverClients, LongOperations, MongodbSettings, OnFailure,
    Policy, PreflightSettings, RebootSettings, RebootWhen, ServiceSettings, Settings, SilenceSettings, StopOrder,
    UpgradeSettings, UserCount, UserSource, VerifySettings,
};
pub use sources::Sources;
pub use values::{Wrong, percent, size, takes_unit, takes_url};
