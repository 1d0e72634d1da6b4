//! How long a boot takes, as the one that runs has shown it.

use jiff::SignedDuration;

/// Firmware that says nothing of itself: a virtual machine's takes seconds, a server's a minute.
const UNTOLD_FIRMWARE: u64 = 10_000_000;
/// What became active so long after the boot had finished was started anew since, and says nothing of the boot.
const WITH_THE_BOOT: u64 = 120_000_000;

/// What a shutdown takes once the services are down. A container has little to end.
const SHUTDOWN: SignedDuration = SignedDuration::from_secs(4);
const SHUTDOWN_OF_CONTAINER: SignedDuration = SignedDuration::from_millis(500);

/// Moments of a boot in microseconds, by the kernel's monotonic clock; as `systemd-analyze` has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BootMoments {
    /// How long before the kernel the firmware began; zero if it does not tell.
    pub firmware: u64,
    /// When the first process began.
    pub began: u64,
    /// When systemd began with the host itself, behind the initrd.
    pub userspace: u64,
    /// When no job was left; zero as long as the boot goes on.
    pub finished: u64,
    /// The kernel's clock is that of the machine around it.
    pub is_container: bool,
    /// How often all but the kernel was started anew since: then `userspace` and `finished` are of the last time.
    pub soft_reboots: u32,
}

/// What is to be expected of the next boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BootTime {
    /// From the order to reboot until systemd begins with the host itself.
    pub reboot: SignedDuration,
    /// The same by kexec: without firmware and boot loader.
    pub by_kexec: SignedDuration,
    /// From there until the last of the services is active.
    pub services: SignedDuration,
}

impl BootTime {
    /// `active`: since when each service is active; none for one that is down. None while the boot has not finished, and
    /// after a soft reboot, which tells nothing of the firmware and the kernel.
    pub fn of(moments: &BootMoments, active: &[Option<u64>]) -> Option<Self> {
        let is_told = moments.userspace > 0 && moments.soft_reboots == 0;
        let finishing = moments.finished.checked_sub(moments.userspace).filter(|_| is_told)?;
        let (firmware, kernel) = match (moments.is_container, moments.firmware) {
            (true, _) => (0, moments.userspace.saturating_sub(moments.began)),
            (false, 0) => (UNTOLD_FIRMWARE, moments.userspace),
            (false, firmware) => (firmware, moments.userspace),
        };
        let of_boot = |active: &Option<u64>| {
            let since = (*active)?.checked_sub(moments.userspace)?;
            (since <= finishing + WITH_THE_BOOT).then_some(since)
        };
        // Of one that was started anew only this is known: it was there when the boot had finished.
        let services = active.iter().map(|active| of_boot(active).unwrap_or(finishing)).max().unwrap_or(finishing);
        let shutdown = if moments.is_container { SHUTDOWN_OF_CONTAINER } else { SHUTDOWN };
        let reboot = shutdown + micros(firmware + kernel);
        Some(Self { reboot, by_kexec: shutdown + micros(kernel), services: micros(services) })
    }
}

fn micros(usec: u64) -> SignedDuration {
    SignedDuration::from_micros(i64::try_from(usec).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_boot_takes_as_long_as_this_one() {
        let server = BootMoments {
            firmware: 20_000_000,
            began: 0,
            userspace: 6_000_000,
            finished: 16_000_000,
            is_container: false,
            soft_reboots: 0,
        };
        let container = BootMoments {
            firmware: 0,
            began: 900_000_000,
            userspace: 900_100_000,
            finished: 901_100_000,
            is_container: true,
            soft_reboots: 0,
        };
        for (case, moments, active, reboot, by_kexec, services) in [
            ("a server", server, vec![Some(9_000_000), Some(12_000_000)], 30_000, 10_000, 6_000),
            ("without services", server, vec![], 30_000, 10_000, 10_000),
            (
                "firmware that does not tell",
                BootMoments { firmware: 0, ..server },
                vec![Some(9_000_000)],
                20_000,
                10_000,
                3_000,
            ),
            (
                "a service that was started anew",
                server,
                vec![Some(9_000_000), Some(900_000_000)],
                30_000,
                10_000,
                10_000,
            ),
            ("one that is down", server, vec![Some(9_000_000), None], 30_000, 10_000, 10_000),
            ("one that came after the boot", server, vec![Some(60_000_000)], 30_000, 10_000, 54_000),
            ("a container", container, vec![Some(900_600_000)], 600, 600, 500),
        ] {
            let expected = BootTime {
                reboot: SignedDuration::from_millis(reboot),
                by_kexec: SignedDuration::from_millis(by_kexec),
                services: SignedDuration::from_millis(services),
            };
            assert_eq!(BootTime::of(&moments, &active), Some(expected), "{case}");
        }
        assert_eq!(BootTime::of(&BootMoments { finished: 0, ..server }, &[]), None);
        assert_eq!(BootTime::of(&BootMoments { soft_reboots: 1, ..server }, &[]), None);
        assert_eq!(BootTime::of(&BootMoments::default(), &[]), None);
    }
}
