//! Which blockers a run may go on in spite of.

use crate::config::Settings;
use crate::model::RunOptions;

/// Whether somebody lets a run go on in spite of this check.
pub fn is_allowed(settings: &Settings, options: &RunOptions, label: &str) -> bool {
    [&settings.allowed_checks, &options.allowed_checks].iter().any(|labels| labels.iter().any(|one| one == label))
}
