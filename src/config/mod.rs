//! Configuration: the file's shapes, and the settings that they become once they are valid.
//!
//! ```text
//! load      opens the file, if root alone can change it
//! file      parses it: TOML -> schema (keys and types) -> shapes -> validate (meaning) -> Settings
//! keys      every key once: type, default, bounds, meaning; the documentation and `patchday init` are checked by it
//! error     every problem with its line, column, key, and one hint
//! ```

pub mod check;
mod error;
pub mod file;
mod hooks;
mod kernel;
pub mod keys;
mod kind;
pub mod load;
mod notify;
mod order;
mod parse;
mod place;
mod reboot;
mod schema;
pub mod settings;
mod users;
mod validate;
mod values;
mod window;

pub use error::{ConfigError, Problem};
pub use file::{Located, Positions};
pub use load::{DEFAULT_PATH, Trust, load, load_trusting};
pub use order::dependency_order;
pub use parse::parse;
pub use place::Position;
pub use settings::{
    AnnounceSettings, KernelSettings, LeftoverClients, LongOperations, MongodbSettings, OnFailure, Policy,
    PreflightSettings, RebootSettings, RebootWhen, ServiceSettings, Settings, SilenceSettings, StopOrder,
    UpgradeSettings, UserCount, UserSource, VerifySettings,
};
pub use values::{Wrong, percent, size, takes_unit, takes_url};
