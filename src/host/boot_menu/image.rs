//! What an image of a kernel says of itself: `uname -r` and `uname -v`. Reads the few bytes that it needs.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Where the boot protocol of x86 keeps its magic, and the place of the version's text, which counts from 0x200.
const MAGIC: u64 = 0x202;
const VERSION: u64 = 0x20e;
const VERSION_BASE: u64 = 0x200;
/// Longer than any version.
const LONGEST: usize = 512;

/// `uname -r` and `uname -v` of a bzImage; none for what is none, as are the compressed images of other processors.
pub fn banner(path: &Path) -> Option<(String, String)> {
    let file = File::open(path).ok()?;
    if read(&file, MAGIC, 4)? != b"HdrS" {
        return None;
    }
    let at = u64::from(u16::from_le_bytes(read(&file, VERSION, 2)?.try_into().ok()?)) + VERSION_BASE;
    let mut text = vec![0; LONGEST];
    let length = file.read_at(&mut text, at).ok()?;
    let text = text.get(..length)?.split(|byte| *byte == 0).next()?;
    parse(std::str::from_utf8(text).ok()?)
}

/// `6.1.0-50-amd64 (who@where) #1 SMP PREEMPT_DYNAMIC Debian 6.1.148-1 (2025-08-26)`
fn parse(text: &str) -> Option<(String, String)> {
    let (release, rest) = text.split_once(' ')?;
    let version = &rest[rest.find("#")?..];
    Some((release.to_owned(), version.trim_end().to_owned()))
}

fn read(file: &File, at: u64, length: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, at).ok()?;
    Some(bytes)
}

/// Sections of a PE file; more is no image of ours.
const MOST_SECTIONS: u16 = 96;

/// `uname -r` of a unified kernel image: its section `.uname`.
pub fn unified_release(path: &Path) -> Option<String> {
    let file = File::open(path).ok()?;
    if read(&file, 0, 2)? != b"MZ" {
        return None;
    }
    let number = |at: u64, length: usize| {
        let bytes = read(&file, at, length)?;
        Some(bytes.iter().rev().fold(0, |number: u64, byte| (number << 8) | u64::from(*byte)))
    };
    let header = number(0x3c, 4)?;
    if read(&file, header, 4)? != b"PE\0\0" {
        return None;
    }
    let sections = number(header + 6, 2)?.min(u64::from(MOST_SECTIONS));
    let table = header + 24 + number(header + 20, 2)?;
    let section = (0..sections)
        .map(|at| table + at * 40)
        .find(|at| read(&file, *at, 8).is_some_and(|name| name == *b".uname\0\0"))?;
    let length = number(section + 8, 4)?.min(LONGEST as u64);
    let text = read(&file, number(section + 20, 4)?, usize::try_from(length).ok()?)?;
    let text = String::from_utf8_lossy(text.split(|byte| *byte == 0).next()?).trim().to_owned();
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The header of a bzImage, with the text behind it.
    fn bz_image(banner: &str) -> Vec<u8> {
        let mut image = vec![0; 0x1000];
        image[0x202..0x206].copy_from_slice(b"HdrS");
        image[0x20e..0x210].copy_from_slice(&0x600u16.to_le_bytes());
        image[0x800..0x800 + banner.len()].copy_from_slice(banner.as_bytes());
        image
    }

    #[test]
    fn an_image_of_x86_names_its_release_and_its_version() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("vmlinuz");
        let debian = "6.1.0-50-cloud-amd64 (debian-kernel@lists.debian.org) #1 SMP PREEMPT_DYNAMIC Debian 6.1.176-1 (2026-06-30)";
        let expected = ("6.1.0-50-cloud-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.176-1 (2026-06-30)");
        std::fs::write(&path, bz_image(debian)).unwrap();
        let seen = banner(&path).unwrap();
        assert_eq!((seen.0.as_str(), seen.1.as_str()), expected);
        for other in [&b""[..], b"\x1f\x8b gzip", &vec![0; 0x1000], &bz_image("no banner")[..0x700], &bz_image("word")]
        {
            std::fs::write(&path, other).unwrap();
            assert_eq!(banner(&path), None);
        }
    }

    #[test]
    fn a_unified_image_names_its_release() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("linux.efi");
        let mut image = vec![0; 0x400];
        image[..2].copy_from_slice(b"MZ");
        image[0x3c..0x40].copy_from_slice(&0x80u32.to_le_bytes());
        image[0x80..0x84].copy_from_slice(b"PE\0\0");
        image[0x86..0x88].copy_from_slice(&2u16.to_le_bytes());
        image[0x94..0x96].copy_from_slice(&0x20u16.to_le_bytes());
        let table = 0x80 + 24 + 0x20;
        image[table..table + 5].copy_from_slice(b".text");
        image[table + 40..table + 46].copy_from_slice(b".uname");
        image[table + 48..table + 52].copy_from_slice(&14u32.to_le_bytes());
        image[table + 60..table + 64].copy_from_slice(&0x300u32.to_le_bytes());
        image[0x300..0x30e].copy_from_slice(b"6.1.0-50-amd64");
        std::fs::write(&path, &image).unwrap();
        assert_eq!(unified_release(&path).as_deref(), Some("6.1.0-50-amd64"));
        for other in [&b""[..], b"MZ", &image[..0x200], b"ELF"] {
            std::fs::write(&path, other).unwrap();
            assert_eq!(unified_release(&path), None);
        }
    }
}
