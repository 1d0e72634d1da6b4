//! What is mounted, as the kernel lists it for each process: `/proc/PID/mountinfo`, see proc(5).

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::command::below;
use super::{HostError, HostResult};

/// One line of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mounted {
    /// Number of the device that holds the file system, as in `8:1`.
    pub device: String,
    /// What of the file system is mounted.
    pub root: String,
    pub point: String,
    /// Type of the file system.
    pub kind: String,
    /// What the file system is on.
    pub source: String,
    /// The mount itself is read-only, or all of its file system: one that fell back to it after an error says so in its
    /// super options.
    pub read_only: bool,
}

/// What is mounted on this host, by mount point. Where several lie on one point, the last one counts, as it does for
/// whoever looks there.
///
/// # Errors
///
/// The kernel's list cannot be read.
pub fn of_host(root: &Path) -> HostResult<BTreeMap<String, Mounted>> {
    let read = |path: &str| {
        let path = below(root, path);
        fs::read(&path).map_err(|error| HostError::failed(format!("read {}", path.display()), error))
    };
    // In a sandbox our own mounts are others than the host's.
    let bytes = read("/proc/1/mountinfo").or_else(|_| read("/proc/self/mountinfo"))?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(parse(&text).map(|mount| (mount.point.clone(), mount)).collect())
}

/// The lines of such a list, in their order: what is mounted later lies above.
pub fn parse(text: &str) -> impl Iterator<Item = Mounted> {
    text.lines().filter_map(parse_line)
}

/// `36 35 98:0 /root /point options optional… - kind source super-options`
fn parse_line(line: &str) -> Option<Mounted> {
    let (mount, file_system) = line.split_once(" - ")?;
    let mut fields = mount.split(' ').skip(2);
    let (device, root, point) = (fields.next()?, fields.next()?, fields.next()?);
    let options = fields.next().unwrap_or_default();
    let mut fields = file_system.split(' ');
    let (kind, source) = (fields.next()?, fields.next()?);
    let super_options = fields.next().unwrap_or_default();
    point.starts_with('/').then(|| Mounted {
        device: device.to_owned(),
        root: unescape(root),
        point: unescape(point),
        kind: kind.to_owned(),
        source: unescape(source),
        read_only: [options, super_options].iter().any(|options| options.split(',').any(|option| option == "ro")),
    })
}

/// Space, tab, newline and backslash are written as three octal digits, in `/etc/fstab` too.
pub fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let octal = (first == b'\\').then(|| tail.get(..3)).flatten();
        let octal = octal.and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[3..];
            }
            None => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIXTURE: &str = include_str!("../../tests/fixtures/proc/mountinfo");

    #[test]
    fn a_mount_is_read_only_by_its_own_or_its_file_systems_word() {
        let text = "1 0 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n2 1 8:2 / /srv rw - ext4 /dev/sdb1 ro,errors=x\n\
                    3 1 8:3 / /usr ro,nodev shared:1 - ext4 /dev/sdc1 rw\n";
        let read_only: Vec<_> = parse(text).filter(|mount| mount.read_only).map(|mount| mount.point).collect();
        assert_eq!(read_only, ["/srv", "/usr"]);
    }

    #[test]
    fn names_with_blanks_are_as_people_write_them() {
        let seen = parse(FIXTURE).find(|mount| mount.point == "/mnt/with space").unwrap();
        assert_eq!(seen.source, "192.0.2.9:/export/with space");
        assert_eq!(unescape("a\\011b\\134040\\8\\"), "a\tb\\040\\8\\");
    }

    #[test]
    fn the_mounts_of_pid_1_count_and_without_any_the_answer_is_unknown() {
        let dir = tempfile::tempdir().unwrap();
        assert!(of_host(dir.path()).is_err());
        for (process, source) in [("self", "/dev/own"), ("1", "/dev/first")] {
            let file = below(dir.path(), &format!("/proc/{process}/mountinfo"));
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, format!("1 0 8:1 / / rw - ext4 /dev/below rw\n1 0 8:1 / / rw - ext4 {source} rw\n"))
                .unwrap();
            assert_eq!(of_host(dir.path()).unwrap()["/"].source, source, "the last one counts");
        }
    }

    #[test]
    fn spoiled_text_is_survived() {
        // Found by the ones below: a mount at no place.
        assert_eq!(parse("36 35 8:1 /  rw - ext4 /dev/sda1 rw").count(), 0);
        crate::host::hostile::survives(&[FIXTURE], |text| {
            assert!(parse(text).all(|mount| mount.point.starts_with('/')));
        });
    }
}
