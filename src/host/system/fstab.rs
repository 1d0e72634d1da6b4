//! Reads `/etc/fstab`.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use crate::host::command::below;
use crate::host::mounts::unescape;
use crate::host::{HostError, HostResult};
use crate::model::FstabEntry;

/// Where unit files of mounts are that nobody generates from `/etc/fstab`.
const UNIT_DIRS: [&str; 3] = ["/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];

/// What names a device by something else than its path, and where udev keeps the names.
const BY: [(&str, &str); 4] = [
    ("UUID=", "/dev/disk/by-uuid"),
    ("LABEL=", "/dev/disk/by-label"),
    ("PARTUUID=", "/dev/disk/by-partuuid"),
    ("PARTLABEL=", "/dev/disk/by-partlabel"),
];

/// Its entries; none if there is no such file.
pub(super) fn read(root: &Path) -> HostResult<Vec<FstabEntry>> {
    let path = below(root, "/etc/fstab");
    match fs::read(&path) {
        Ok(bytes) => Ok(parse(&String::from_utf8_lossy(&bytes), root)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(HostError::failed(format!("read {}", path.display()), error)),
    }
}

/// Looks below `root` which of its devices exist.
fn parse(text: &str, root: &Path) -> Vec<FstabEntry> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.filter_map(|line| entry(line, root)).collect()
}

fn entry(line: &str, root: &Path) -> Option<FstabEntry> {
    let mut fields = line.split_whitespace();
    let (source, point, kind) = (fields.next()?, fields.next()?, fields.next()?);
    let options = fields.next().unwrap_or("defaults");
    let source = unescape(source);
    Some(FstabEntry {
        source_exists: source_exists(&source, root),
        point: unescape(point),
        kind: kind.to_owned(),
        options: options.split(',').map(str::to_owned).collect(),
        source,
    })
}

fn source_exists(source: &str, root: &Path) -> Option<bool> {
    let named = BY.iter().find_map(|(tag, dir)| Some((dir, source.strip_prefix(tag)?.trim_matches('"'))));
    if let Some((dir, name)) = named {
        return Some(below(root, dir).join(name).exists());
    }
    // What else begins with a slash is a file or directory that is mounted, as with `bind` and `loop`.
    source.starts_with('/').then(|| below(root, source).exists())
}

/// Whether a `.mount` unit of the administrator or of a package mounts it.
pub(super) fn has_unit_file(root: &Path, point: &str) -> bool {
    let name = format!("{}.mount", escape(point));
    UNIT_DIRS.iter().any(|dir| below(root, dir).join(&name).exists())
}

/// systemd's name for a path: slashes become dashes, everything but letters, digits, `:`, `_` and `.` its number.
fn escape(path: &str) -> String {
    let path = path.trim_matches('/');
    if path.is_empty() {
        return "-".to_owned();
    }
    let mut name = String::new();
    for (at, byte) in path.bytes().enumerate() {
        match byte {
            b'/' => name.push('-'),
            b'.' if at > 0 => name.push('.'),
            b':' | b'_' => name.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => name.push(char::from(byte)),
            byte => name.push_str(&format!("\\x{byte:02x}")),
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_escaped_as_systemd_does() {
        for (path, name) in
            [("/", "-"), ("/srv/data", "srv-data"), ("/srv/a-b c", "srv-a\\x2db\\x20c"), ("/.hidden", "\\x2ehidden")]
        {
            assert_eq!(escape(path), name);
        }
    }

    #[test]
    fn devices_are_looked_up_and_shares_are_not() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("dev/disk/by-uuid")).unwrap();
        std::fs::write(dir.path().join("dev/disk/by-uuid/1234"), "").unwrap();
        let text = "# comment\nUUID=1234 / ext4 errors=remount-ro 0 1\nUUID=\"beef\" /srv\\040x ext4 defaults,nofail\n\
                    nas:/export /mnt nfs _netdev\nnone /tmp tmpfs size=1G\nbroken\n";
        let seen: Vec<_> = parse(text, dir.path()).into_iter().map(|e| (e.point, e.source_exists)).collect();
        let row = |point: &str, exists| (point.to_owned(), exists);
        let expected = [row("/", Some(true)), row("/srv x", Some(false)), row("/mnt", None), row("/tmp", None)];
        assert_eq!(seen, expected);
    }

    #[test]
    fn spoiled_text_is_survived() {
        let samples = [
            "UUID=dead-beef /srv ext4 defaults,nofail 0 2\n/dev/sda1 /boot vfat noauto 0 0 # x\n//server/share /mnt cifs\n",
        ];
        crate::host::hostile::survives(&samples, |text| {
            let _ = parse(text, std::path::Path::new("/nonexistent"));
        });
    }
}
