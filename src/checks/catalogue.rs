//! The rows: every check that there is.

use super::check::Check;
use super::{
    begin, companions, database, database_process, deployments, end_proof, host, kernel, packages, people, places,
    readiness, selection, services, space,
};

/// Every check, in the order in which it is told; those with `again()` are asked twice.
pub const CATALOGUE: &[Check] = &[
    packages::DPKG_CLEAN.again(),
    begin::DPKG_BEGINS.again(),
    begin::APT_HOOKS,
    packages::APT_LOCK,
    packages::REMOVALS,
    packages::DOWNGRADE,
    packages::MONGODB_JUMP,
    packages::THIRD_PARTY,
    packages::PACKAGES_HELD,
    packages::PACKAGES_PHASED,
    selection::SECURITY_LEFT_OUT,
    selection::SELECTION_KNOWN,
    packages::CONFFILES,
    packages::SOURCES_REACHABLE,
    packages::LISTS_AGE,
    packages::FETCHED_PLAN,
    space::DISK_SPACE.again(),
    space::INODES.again(),
    space::BOOT_SPACE,
    places::PLACES_WRITABLE.again(),
    space::MEMORY_AVAILABLE,
    kernel::KERNEL_CURRENT,
    kernel::NEXT_KERNEL.again(),
    kernel::KERNEL_COMPLETE,
    kernel::INITRAMFS_TOOLS,
    kernel::BOOT_LOADER,
    kernel::ONE_SHOT_BOOT,
    kernel::KERNEL_SOURCE,
    kernel::KERNEL_HEADERS.again(),
    kernel::KERNEL_HOOK.again(),
    kernel::DKMS_MODULES,
    kernel::SECURE_BOOT,
    kernel::CPU_VULNERABLE,
    kernel::UPTIME,
    kernel::REBOOT_REQUIRED,
    services::UNIT_LOADED,
    services::UNIT_ENABLED,
    services::UNIT_RUNNING,
    readiness::READINESS,
    companions::UNIT_CONTROL.again(),
    companions::STOP_ALONG,
    companions::TIMERS_DUE,
    services::RESUME_ENABLED,
    services::DAEMON_RELOAD,
    services::RESTART_STORM,
    services::START_LIMIT,
    services::STOP_TIMEOUT,
    services::ORDER_DECLARED,
    services::UNITS_FAILED,
    database::DATABASE_REACHABLE.again(),
    database_process::DATABASE_PROCESS.again(),
    database::DATABASE_SHUTDOWN,
    database::DATABASE_RIGHTS,
    database::DATABASE_SET.again(),
    database::DATABASE_CLIENTS,
    database::DATABASE_OPERATIONS,
    database::DATABASE_LOCKED.again(),
    database::DATABASE_COMPATIBILITY,
    database::DATABASE_JOURNAL,
    database::DATABASE_FILES,
    end_proof::STOP_PROOF.again(),
    people::USERS_LOGGED_IN,
    people::CONNECTIONS,
    people::USERS_ACTIVE,
    people::LOAD,
    deployments::DEPLOYMENT_CHANGES,
    deployments::DEPLOYMENT_STASHES,
    deployments::DEPLOYMENT_UNPUSHED,
    deployments::DEPLOYMENT_BEHIND,
    host::MOUNTS_DECLARED,
    host::FSTAB,
    host::CLOCK,
    host::SHUTDOWN_SCHEDULED.again(),
    begin::REBOOT_BEGINS.again(),
    begin::LEAST_RESTART,
    host::SHUTDOWN_INHIBITED,
    host::PATCH_TOOLS,
    host::HOOKS_TRUSTED,
    host::BATTERY,
    host::VIRTUALIZATION,
    host::SYSTEMD_VERSION,
];

/// The labels of all checks.
pub fn labels() -> impl Iterator<Item = &'static str> {
    CATALOGUE.iter().map(|check| check.label)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::Topic;
    use std::time::Duration;

    #[test]
    fn every_row_is_complete_and_every_label_its_own() {
        let mut labels: Vec<&str> = labels().collect();
        let count = labels.len();
        labels.sort_unstable();
        labels.dedup();
        assert_eq!(labels.len(), count, "a label names two checks");
        for check in CATALOGUE {
            let is_plain = |c: char| c.is_ascii_lowercase() || c == '-';
            assert!(check.label.chars().all(is_plain), "{}", check.label);
            assert!(!check.about.ends_with('.') && !check.about.is_empty(), "{}", check.label);
            assert!(check.doc.ends_with('.'), "{}: {}", check.label, check.doc);
            assert!(check.deadline >= Duration::from_secs(5), "{}", check.label);
        }
        let order: Vec<usize> =
            CATALOGUE.iter().filter_map(|check| Topic::ALL.iter().position(|topic| *topic == check.topic)).collect();
        assert!(order.is_sorted(), "checks of one topic stand together, in the order of the topics");
    }

    #[test]
    fn topics_have_names_that_lead_back() {
        for topic in Topic::ALL {
            assert_eq!(topic.name().parse(), Ok(topic));
        }
        assert!("weather".parse::<Topic>().unwrap_err().contains("deployments"));
    }
}
