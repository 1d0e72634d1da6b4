//! Configuration: from the file to settings.
//!
//! ```text
//! load      opens the file, if root alone can change it
//! parse     TOML -> schema (keys and types) -> reader (values) and validate (meaning) -> Settings
//! keys      every key once: type, default, bounds, meaning; the documentation and `patchday init` are made of it
//! error     every problem with its line, column, key, and one hint
//! ```

mod error;
mod hooks;
mod kernel;
mod key;
pub mod keys;
mod kind;
pub mod literal;
pub mod load;
mod located;
mod notify;
mod order;
mod parse;
mod place;
mod reader;
mod reboot;
mod schema;
mod service;
pub mod settings;
mod users;
mod validate;
mod values;
mod window;

pub use error::{ConfigError, Problem};
pub use load::{DEFAULT_PATH, Trust, load, load_trusting};
pub use located::{Located, Positions};
pub use order::dependency_order;
pub use parse::parse;
pub use place::Position;
pub use settings::{
    AnnounceSettings, KernelSettings, LeftoverClients, LongOperations, MongodbSettings, OnFailure, Policy,
    PreflightSettings, RebootSettings, RebootWhen, ServiceSettings, Settings, SilenceSettings, StopOrder,
    UpgradeSettings, UserCount, UserSource, VerifySettings,
};
pub use values::{Wrong, percent, size, takes_unit, takes_url};
