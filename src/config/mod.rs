//! Configuration: the file's shapes, and the settings that they become once they are valid.

pub mod file;
pub mod settings;

pub use settings::{
    KernelSettings, Policy, RebootSettings, RebootWhen, ServiceSettings, Settings, UpgradeSettings, VerifySettings,
};
