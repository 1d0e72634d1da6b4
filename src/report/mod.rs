//! What a run leaves to its readers: one pure build, several faces.
//!
//! [`build()`] turns the durable run and its events into a [`Report`]; [`text`], [`json`], [`markdown`] and [`html`]
//! render it.
//! Architecture Invariant: nothing here reads a file, a clock or the terminal, and no sentence claims what was not
//! recorded.

mod advice;
pub mod ahead;
pub mod brief;
mod build;
mod chart;
mod ending;
pub mod harmless;
pub mod html;
mod impact;
mod item;
pub mod json;
mod layout;
pub mod markdown;
mod outcome;
pub mod owed;
mod page;
mod phrases;
mod restart;
mod shape;
mod style;
mod summary;
pub mod telling;
pub mod text;
pub mod words;

pub use build::build;
pub use item::Item;
pub(crate) use phrases::grade;
pub use shape::{
    Downtime, Ending, Failure, KernelStory, Moment, PackageCertainty, PackageLine, PackageStory, REPORT_FORMAT,
    RebootStory, Report, ReportSummary, ServiceStory, StepStory, TimeAway, VulnerabilityStory,
};
pub use style::{Mark, Paint, Style};
pub use summary::Summary;

#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod tests;
