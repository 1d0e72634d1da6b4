//! When this boot began, on the kernel's clock. On a machine of its own that is zero; in a container the kernel's clock
//! is that of the machine around it, and has run for long. A shared reader, no adapter.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::command::below;

/// Clock ticks a second in `/proc/PID/stat`: fixed for user space on every architecture that Debian knows.
const TICKS_PER_SECOND: u64 = 100;

/// The start of the first process (`starttime` of proc_pid_stat(5)); zero where it cannot be read.
pub fn boot_began(root: &Path) -> Duration {
    let stat = fs::read_to_string(below(root, "/proc/1/stat")).unwrap_or_default();
    start_of(&stat).unwrap_or_default()
}

/// `comm` (the second field) may hold spaces and parentheses: fields are counted behind its last one.
fn start_of(stat: &str) -> Option<Duration> {
    let (_, behind_comm) = stat.rsplit_once(')')?;
    let ticks: u64 = behind_comm.split_whitespace().nth(19)?.parse().ok()?;
    Some(Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_of_a_process_is_its_22nd_field() {
        // Debian 12, systemd 252 in a container.
        let stat = "1 (systemd) S 0 1 1 0 -1 4194560 9052 71043 21 209 24 17 68 41 20 0 1 0 456123 \
                    102400000 3071 18446744073709551615 1 1 0 0 0 0 671173123 4096 1260 0 0 0 17 1 0 0 0 0 0";
        assert_eq!(start_of(stat), Some(Duration::from_millis(4_561_230)));
        assert_eq!(start_of(&stat.replace("(systemd)", "(a) b (c)")), Some(Duration::from_millis(4_561_230)));
        assert_eq!(start_of(""), None);
    }
}
