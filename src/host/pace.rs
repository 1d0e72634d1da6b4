//! How fast this host's disk and CPU are at what dpkg does: measured in a quarter of a second, in our own state directory,
//! and kept there for a month. Nothing but an estimate rests on it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use super::command::{self, below};
use super::{HostError, HostErrorKind, HostResult};
use crate::atomic_file;
use crate::model::HostPace;

const KEPT: &str = "pace.json";
const MOST_BYTES: u64 = 4096;

/// Where packages have their files, and dpkg its database: only a disk that has both and our state is measured in it.
const PACKAGES: [&str; 2] = ["/usr", "/var/lib/dpkg"];

/// What `statfs` says of an overlay, from `linux/magic.h`.
const OVERLAY: u64 = 0x794C_7630;

/// A file as small as most of a package.
const FILE: [u8; 8192] = [b'p'; 8192];
/// Files that are each synced alone, and batches of files that are written together and then synced one by one, as dpkg does
/// it with those of a package. As many of each as this time allows; fewer files than the least say nothing.
const FILES: usize = 24;
const LEAST_FILES: usize = 4;
const BATCHES: usize = 6;
const BATCH: u32 = 6;
const FILES_TAKE: Duration = Duration::from_millis(80);
/// A disk that hangs must not keep a plan waiting.
const DISK_TIMEOUT: Duration = Duration::from_secs(2);

const PROGRAM: (&str, [&str; 1]) = ("dpkg", ["--version"]);
const PROGRAMS: usize = 9;
const PROGRAM_TIMEOUT: Duration = Duration::from_secs(1);

/// The measure of one host.
#[derive(Debug, Clone)]
pub struct PaceMeter {
    root: PathBuf,
    state: PathBuf,
}

impl PaceMeter {
    /// `root` is `/` but for tests; `state` is our directory.
    pub fn new(root: PathBuf, state: PathBuf) -> Self {
        Self { root, state }
    }

    /// As it was measured within a month, or else now.
    ///
    /// # Errors
    ///
    /// Why there is no measure: the disk of packages is another one, or it took too long.
    pub async fn pace(&self, now: Timestamp) -> HostResult<HostPace> {
        if let Some(kept) = self.kept().filter(|kept| kept.is_fresh(now)) {
            return Ok(kept);
        }
        let pace = self.measure(now).await?;
        if let Ok(text) = serde_json::to_vec(&pace) {
            // Measured once more the next time.
            let _ = atomic_file::replace_shared(&self.state.join(KEPT), &text, 0o600);
        }
        Ok(pace)
    }

    /// None where it cannot be read, by whatever wrote it.
    fn kept(&self) -> Option<HostPace> {
        let no_link = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).ok()?;
        let file = OpenOptions::new().read(true).custom_flags(no_link).open(self.state.join(KEPT)).ok()?;
        let mut text = String::new();
        file.take(MOST_BYTES).read_to_string(&mut text).ok()?;
        serde_json::from_str(&text).ok()
    }

    async fn measure(&self, now: Timestamp) -> HostResult<HostPace> {
        let what = || format!("measure the disk in {}", self.state.display());
        let (root, state) = (self.root.clone(), self.state.clone());
        let disk = tokio::task::spawn_blocking(move || disk(&root, &state));
        let (sync, file, copies_up) = match tokio::time::timeout(DISK_TIMEOUT, disk).await {
            Ok(Ok(measured)) => measured.map_err(|error| HostError::failed(what(), error))?,
            Ok(Err(error)) => return Err(HostError::failed(what(), error)),
            Err(_) => return Err(HostError::new(HostErrorKind::Unknown, what(), "it took too long")),
        };
        let mut took = Vec::new();
        for _ in 0..PROGRAMS {
            let began = Instant::now();
            command::read(&self.root, PROGRAM.0, &PROGRAM.1, PROGRAM_TIMEOUT).await?;
            took.push(began.elapsed());
        }
        Ok(HostPace { at: now, sync, file, spawn: usual(took), copies_up })
    }
}

/// What a file takes until it is on the disk, alone and among others, and whether that disk is an overlay.
fn disk(root: &Path, state: &Path) -> io::Result<(SignedDuration, SignedDuration, bool)> {
    DirBuilder::new().recursive(true).mode(0o700).create(state)?;
    let device = fs::metadata(state)?.dev();
    for place in PACKAGES {
        if fs::metadata(below(root, place))?.dev() != device {
            return Err(io::Error::other(format!("{place} is on another file system")));
        }
    }
    let place = state.join(".pace");
    remove(&place)?;
    DirBuilder::new().mode(0o700).create(&place)?;
    let took = alone(&place).and_then(|alone| Ok((alone, together(&place)?)));
    remove(&place)?;
    let (alone, together) = took?;
    let sync = usual(alone);
    let kind = rustix::fs::statfs(state)?.f_type;
    let is_overlay = u64::try_from(kind).is_ok_and(|kind| kind == OVERLAY);
    // Many together never take longer than each alone, but where somebody else came between.
    Ok((sync, usual(together).min(sync), is_overlay))
}

/// What a process that was killed left there goes too.
fn remove(place: &Path) -> io::Result<()> {
    match fs::remove_dir_all(place) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The first file pays for what others have left to write, and does not count.
fn alone(place: &Path) -> io::Result<Vec<Duration>> {
    let mut took = Vec::new();
    let began = Instant::now();
    for nth in 0..=FILES {
        let before = Instant::now();
        let new = place.join(format!("{nth}.new"));
        written(&new)?.sync_all()?;
        fs::rename(&new, place.join(nth.to_string()))?;
        if nth > 0 {
            took.push(before.elapsed());
        }
        if began.elapsed() > FILES_TAKE {
            break;
        }
    }
    if took.len() < LEAST_FILES {
        let most = FILES_TAKE.as_millis() / 4;
        return Err(io::Error::other(format!("it took too long: more than {most} ms for each small file")));
    }
    Ok(took)
}

/// One of each batch: its first file pays for all, so only the mean counts.
fn together(place: &Path) -> io::Result<Vec<Duration>> {
    let new = |nth: u32| place.join(format!("{nth}.new"));
    let began = Instant::now();
    let mut took = Vec::new();
    while took.len() < BATCHES && began.elapsed() < FILES_TAKE {
        let before = Instant::now();
        let files = (0..BATCH).map(|nth| written(&new(nth))).collect::<io::Result<Vec<File>>>()?;
        for (nth, file) in (0..).zip(&files) {
            file.sync_all()?;
            fs::rename(new(nth), place.join(nth.to_string()))?;
        }
        took.push(before.elapsed() / BATCH);
    }
    Ok(took)
}

fn written(path: &Path) -> io::Result<File> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(&FILE)?;
    Ok(file)
}

/// What it takes when nobody else comes between: a measure is kept for a month, and whoever is at work now is not.
fn usual(mut took: Vec<Duration>) -> SignedDuration {
    took.sort_unstable();
    took.get(took.len() / 4).and_then(|took| SignedDuration::try_from(*took).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_measured_once_a_month_and_leaves_one_file() {
        let dir = tempfile::tempdir().unwrap();
        for place in ["usr/bin", "var/lib/dpkg", "state"] {
            fs::create_dir_all(dir.path().join(place)).unwrap();
        }
        std::os::unix::fs::symlink("/bin/true", dir.path().join("usr/bin/dpkg")).unwrap();
        let meter = PaceMeter::new(dir.path().to_owned(), dir.path().join("state"));
        let now: Timestamp = "2026-11-24T00:00:00Z".parse().unwrap();
        let measured = match meter.pace(now).await {
            Ok(measured) => measured,
            // A disk that others keep busy: no measure, and said so.
            Err(error) => return assert!(error.to_string().contains("too long"), "{error}"),
        };
        assert!(measured.is_fresh(now) && measured.sync.is_positive() && measured.spawn.is_positive());
        let names: Vec<_> =
            fs::read_dir(dir.path().join("state")).unwrap().map(|one| one.unwrap().file_name()).collect();
        assert_eq!(names, [KEPT]);
        let later = now + SignedDuration::from_hours(24 * 29);
        assert_eq!(meter.pace(later).await.unwrap(), measured);
        // Nor does one of the future count, or one that is spoiled.
        for spoiled in
            ["{", r#"{"at":"2027-01-01T00:00:00Z","sync":"PT1S","file":"PT1S","spawn":"PT1S","copies_up":false}"#]
        {
            fs::write(dir.path().join("state").join(KEPT), spoiled).unwrap();
            assert!(meter.kept().is_none_or(|kept| !kept.is_fresh(now)));
        }
    }

    #[tokio::test]
    async fn another_disk_is_not_measured_for_that_of_the_packages() {
        let dir = tempfile::tempdir().unwrap();
        let meter = PaceMeter::new("/".into(), "/dev/shm/patchday-pace-test".into());
        let error = meter.pace(Timestamp::UNIX_EPOCH).await.unwrap_err();
        let _ = fs::remove_dir("/dev/shm/patchday-pace-test");
        assert!(error.to_string().contains("/usr is on another file system"), "{error}");
        let missing = PaceMeter::new(dir.path().to_owned(), dir.path().join("state"));
        assert!(missing.pace(Timestamp::UNIX_EPOCH).await.is_err(), "there is no dpkg");
    }
}
