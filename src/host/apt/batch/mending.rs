//! Gives configuration files back what a power cut took, before the batch is installed again. Then dpkg finds them as its
//! package has them, or as the administrator had, and nothing else.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::Path;

use super::super::below;
use super::TIMEOUT;
use super::kept::{self, Kept, Kind, LARGEST, Record, UCF};
use crate::atomic_file;
use crate::host::command;
use crate::host::way;

const PAGE: usize = 4096;

/// Mends all files of the record in this directory, and tells of each.
///
/// # Errors
///
/// What could not be mended; all else is.
pub async fn mend(root: &Path, directory: &Path, told: &mut dyn Write) -> Result<(), String> {
    let record = kept::read(directory)?;
    let mut problems = Vec::new();
    let mut tell = |path: &str, done: Result<Option<&str>, String>| match done {
        // The log is for people: what cannot be written to it must not end the work.
        Ok(Some(what)) => {
            let _ = writeln!(told, "{path}: {what}");
        }
        Ok(None) => {}
        Err(why) => problems.push(format!("{path}: {why}")),
    };
    // Before the list itself is put back.
    let since = cut_since(root, &record);
    for file in &record.files {
        tell(&file.path, put_back(root, directory, file, &record));
    }
    for path in since {
        tell(&path, remove(root, &path));
    }
    for archive in record.archives.iter().filter(|archive| !archive.conffiles.is_empty()) {
        let unpacked = directory.join("unpacked");
        let (from, to) = (directory.join(&archive.file).display().to_string(), unpacked.display().to_string());
        if let Err(error) = command::read_text(root, "dpkg-deb", &["--extract", &from, &to], TIMEOUT).await {
            tell(&archive.file, Err(error.to_string()));
            continue;
        }
        for (path, place) in &archive.conffiles {
            let before = record.files.iter().find(|file| file.path == *place);
            tell(place, package(root, &below(&unpacked, path), place, before));
        }
        let _ = fs::remove_dir_all(&unpacked);
    }
    if problems.is_empty() { Ok(()) } else { Err(problems.join("; ")) }
}

/// A file of the administrator's, or of a script's.
fn put_back(root: &Path, directory: &Path, file: &Kept, record: &Record) -> Result<Option<&'static str>, String> {
    let Some(copy) = &file.copy else { return Ok(None) };
    let before = fs::read(kept::copy(directory, copy)).map_err(|error| format!("its copy: {error}"))?;
    let now = now(root, &file.path)?;
    // One that the new version has no more was moved away by its script.
    let stays = || record.archives.iter().flat_map(|archive| &archive.conffiles).any(|(_, place)| *place == file.path);
    let wants_it_back = match (file.kind, &now) {
        (_, Now::Other) | (Kind::AsPackaged | Kind::Removed | Kind::New, _) => false,
        (Kind::Rewritten, Now::Text(text)) => *text != before,
        (Kind::Rewritten | Kind::Renewed, Now::Gone) => true,
        (Kind::Changed, Now::Gone) => stays(),
        (Kind::Setting, Now::Gone) => false,
        (Kind::Changed | Kind::Renewed | Kind::Setting, Now::Text(text)) => is_cut(text, &before),
    };
    if !wants_it_back {
        return Ok(None);
    }
    write(root, &file.path, &before, (file.mode, file.user, file.group))?;
    Ok(Some("as it was before"))
}

/// A file that was as its package had it, or was not there before: as the new version has it.
fn package(root: &Path, packaged: &Path, place: &str, before: Option<&Kept>) -> Result<Option<&'static str>, String> {
    let is_ours = before.is_some_and(|file| matches!(file.kind, Kind::AsPackaged | Kind::New));
    if !is_ours {
        return Ok(None);
    }
    let metadata = fs::symlink_metadata(packaged).map_err(|error| format!("in its package: {error}"))?;
    if !metadata.is_file() || metadata.len() > LARGEST {
        return Ok(None);
    }
    let wanted = fs::read(packaged).map_err(|error| format!("in its package: {error}"))?;
    match now(root, place)? {
        Now::Other => return Ok(None),
        Now::Text(text) if text == wanted => return Ok(None),
        Now::Text(_) | Now::Gone => {}
    }
    // Owner and mode may be the administrator's, as the content is not.
    let known = fs::symlink_metadata(below(root, place)).ok().filter(fs::Metadata::is_file).unwrap_or(metadata);
    write(root, place, &wanted, (known.mode() & 0o7777, known.uid(), known.gid()))?;
    Ok(Some("as packaged"))
}

/// Settings that came with the batch, of ucf or of a script, and that are cut. Whoever makes them keeps what he finds, and
/// makes them once more where there is nothing.
fn cut_since(root: &Path, record: &Record) -> BTreeSet<String> {
    let text = fs::read(below(root, UCF)).unwrap_or_default();
    let known: BTreeSet<&str> = record.files.iter().map(|file| file.path.as_str()).collect();
    let since = kept::registered_in(&String::from_utf8_lossy(&text)).into_iter().chain(kept::settings(root));
    let is_cut = |path: &String| matches!(now(root, path), Ok(Now::Text(text)) if is_empty(&text));
    since.filter(|path| !known.contains(path.as_str()) && is_cut(path)).collect()
}

fn remove(root: &Path, path: &str) -> Result<Option<&'static str>, String> {
    own(root, path)?;
    atomic_file::remove(&below(root, path))
        .map(|was_there| was_there.then_some("removed, it was empty"))
        .map_err(|error| error.to_string())
}

/// What is at a file's place.
enum Now {
    Gone,
    Text(Vec<u8>),
    /// No regular file, or one too large to be ours: it is left alone.
    Other,
}

fn now(root: &Path, path: &str) -> Result<Now, String> {
    let real = below(root, path);
    match fs::symlink_metadata(&real) {
        Ok(metadata) if metadata.is_file() && metadata.len() <= LARGEST => {
            fs::read(real).map(Now::Text).map_err(|error| error.to_string())
        }
        Ok(_) => Ok(Now::Other),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Now::Gone),
        Err(error) => Err(error.to_string()),
    }
}

/// What is left of a file whose content never came to the disk: nothing, zeros, or its first pages.
fn is_cut(now: &[u8], before: &[u8]) -> bool {
    let is_beginning = || now.len().is_multiple_of(PAGE) && now.len() < before.len() && before.starts_with(now);
    !before.is_empty() && (is_empty(now) || is_beginning())
}

fn is_empty(content: &[u8]) -> bool {
    content.iter().all(|byte| *byte == 0)
}

fn write(root: &Path, path: &str, content: &[u8], (mode, user, group): (u32, u32, u32)) -> Result<(), String> {
    own(root, path)?;
    let real = below(root, path);
    let failed = |error: std::io::Error| error.to_string();
    if let Some(directory) = real.parent() {
        fs::create_dir_all(directory).map_err(failed)?;
    }
    // For root alone, until it is whose it was.
    atomic_file::replace(&real, content, mode & 0o700).map_err(failed)?;
    chown(&real, Some(user), Some(group)).map_err(failed)?;
    fs::set_permissions(&real, fs::Permissions::from_mode(mode)).map_err(failed)
}

/// Nobody but root decides where the way to it leads.
fn own(root: &Path, path: &str) -> Result<(), String> {
    let real = below(root, path);
    let Some(there) = real.ancestors().skip(1).find(|directory| directory.exists()) else { return Ok(()) };
    let places = way::to(there).map_err(|error| error.to_string())?;
    let me = rustix::process::geteuid().as_raw();
    // Everybody's directories are on the way to those of tests, and to none of a package's.
    let stranger = places.iter().find(|place| ![0, me].contains(&place.metadata.uid()));
    stranger.map_or(Ok(()), |place| Err(format!("{} is not root's", place.path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::tree;
    use crate::model::{BatchArchive, BatchPlan};

    #[test]
    fn what_is_left_of_a_file_that_never_came_to_the_disk() {
        for (now, before, expected) in [
            ("", "text", true),
            ("\0\0\0\0", "text", true),
            ("te", "text", false),
            ("text", "text", false),
            ("other", "text", false),
            ("a longer text", "text", false),
            ("", "", false),
        ] {
            assert_eq!(is_cut(now.as_bytes(), before.as_bytes()), expected, "{now:?} {before:?}");
        }
        let long = vec![b'x'; 2 * PAGE + 7];
        assert!(is_cut(&long[..PAGE], &long) && !is_cut(&long[..=PAGE], &long));
    }

    /// A package with a configuration file of each fate, made by dpkg itself.
    #[tokio::test]
    async fn each_configuration_file_gets_back_what_it_had() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        let host = Path::new("/");
        let made = |path: &str, text: &str| tree::write(root, path, text);
        // The new version.
        made(
            "package/DEBIAN/control",
            "Package: shop\nVersion: 2\nArchitecture: all\nMaintainer: a <a@b>\nDescription: x\n",
        );
        let names = ["untouched", "changed", "removed", "new", "cut"];
        let conffiles: String = names.map(|name| format!("/etc/shop/{name}\n")).concat();
        made("package/DEBIAN/conffiles", &conffiles);
        for name in names {
            made(&format!("package/etc/shop/{name}"), &format!("{name} 2\n"));
        }
        let log = root.join("log");
        log::make(&log).unwrap();
        let archive = log.join("0000-shop.deb").display().to_string();
        let package = root.join("package").display().to_string();
        command::read_text(host, "dpkg-deb", &["--build", "--root-owner-group", &package, &archive], TIMEOUT)
            .await
            .unwrap();

        // The host before: adapters find the programs of the host below its root.
        let link = |name: &str| {
            fs::create_dir_all(root.join("usr/bin")).unwrap();
            std::os::unix::fs::symlink(format!("/usr/bin/{name}"), root.join("usr/bin").join(name)).unwrap();
        };
        ["dpkg-query", "md5sum", "dpkg-deb"].iter().for_each(|name| link(name));
        for name in ["untouched", "cut"] {
            made(&format!("etc/shop/{name}"), "old\n");
        }
        made("etc/shop/changed", "mine\n");
        made("etc/passwd", "root:x:0:0\n");
        made("etc/ucf.conf", "by ucf\n");
        made("etc/script.conf", "by a script\n");
        made("etc/always-empty", "");
        made("var/lib/ucf/hashfile", "aa  /etc/ucf.conf\n");
        let md5 = "75900d2a7c10b84bcd36e4a2cf1ec5a1";
        let sum =
            command::read_text(host, "md5sum", &[&root.join("etc/shop/untouched").display().to_string()], TIMEOUT)
                .await
                .unwrap();
        let md5 = sum.split(' ').next().unwrap_or(md5);
        let known: String =
            ["untouched", "changed", "removed", "cut"].map(|name| format!(" /etc/shop/{name} {md5}\n")).concat();
        made(
            "var/lib/dpkg/status",
            &format!(
                "Package: shop\nStatus: install ok installed\nMaintainer: a <a@b>\nArchitecture: all\nVersion: 1\nConffiles:\n{known}Description: x\n"
            ),
        );
        made("var/lib/dpkg/info/format", "1\n");
        let archives = vec![BatchArchive {
            package: "shop".into(),
            version: "2".into(),
            file: "0000-shop.deb".into(),
            sha256: String::new(),
            conffiles: names.map(|name| format!("/etc/shop/{name}")).to_vec(),
        }];
        kept::keep(root, &log, &BatchPlan { archives, ..BatchPlan::default() }).await.unwrap();

        // What a power cut makes of it.
        for cut in [
            "etc/shop/cut",
            "etc/shop/changed",
            "etc/passwd",
            "etc/ucf.conf",
            "etc/script.conf",
            "etc/script.conf.old",
            "etc/shop/new",
        ] {
            made(cut, "");
        }
        made("etc/first.conf", "\0\0");
        made("var/lib/ucf/hashfile", "bb  /etc/ucf.conf\ncc  /etc/first.conf\n");
        let mut told = Vec::new();
        mend(root, &log, &mut told).await.unwrap();
        let told = String::from_utf8(told).unwrap();
        let read = |path: &str| fs::read_to_string(root.join(path)).ok();
        for (path, expected) in [
            ("etc/shop/untouched", Some("untouched 2\n")),
            ("etc/shop/cut", Some("cut 2\n")),
            ("etc/shop/new", Some("new 2\n")),
            ("etc/shop/changed", Some("mine\n")),
            ("etc/shop/removed", None),
            ("etc/passwd", Some("root:x:0:0\n")),
            ("etc/ucf.conf", Some("by ucf\n")),
            ("etc/script.conf", Some("by a script\n")),
            ("etc/script.conf.old", None),
            ("etc/first.conf", None),
            ("etc/always-empty", Some("")),
            ("var/lib/ucf/hashfile", Some("aa  /etc/ucf.conf\n")),
        ] {
            assert_eq!(read(path).as_deref(), expected, "{path}\n{told}");
        }
        // A second time there is nothing to mend.
        let mut again = Vec::new();
        mend(root, &log, &mut again).await.unwrap();
        assert_eq!(again, b"", "{}", String::from_utf8_lossy(&again));
    }

    use super::super::log;
}
