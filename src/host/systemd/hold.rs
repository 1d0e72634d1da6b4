//! Holding a unit: a runtime drop-in with a condition that a flag file makes false.
//!
//! A runtime mask is ignored where the unit's file is in `/etc/systemd/system`. The condition holds every unit, against
//! dependencies, timers, sockets and maintainer scripts alike: the start job succeeds and nothing starts. Both files live
//! below `/run`, so that no hold survives a reboot. A soft reboot leaves `/run` as it is: see [`Manager::let_go`].
//!
//! An automatic restart is another matter: systemd 252 checks the condition then, 257 does not (seen on both; the unit
//! counts as activating already). A database that is told to shut down by its own command, under `Restart=always`, would
//! be back in an instant. Hence `Restart=no` besides.
//!
//! A socket, path or timer that triggers a held service is not stopped by that. A connection to a socket whose service
//! does not start makes systemd try again until the socket itself fails (`trigger-limit-hit`, seen on 252), and so does a
//! path; the caller stops and holds them first. A socket does not open while its service runs: it comes first again.
//! `Upholds=` of another unit tries 16 times, and gives up for a while.
//!
//! Nothing may remove `/run/patchday` while units are held: no service of ours may have it as `RuntimeDirectory=`
//! without preserving it.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use jiff::SignedDuration;

use super::manager::{Manager, RawUnit};
use super::unit_properties::UnitProperty;
use crate::atomic_file::{self, unfinished};
use crate::host::bus::host_error;
use crate::host::{HostError, HostErrorKind, HostResult, UnitHold};
use crate::model::{LoadState, UnitName};

/// Late enough to add to what packages and administrators say.
const DROP_IN: &str = "90-patchday-hold.conf";

/// systemd then refuses to stop or restart the unit for whoever asks for it by name, maintainer scripts among them; those
/// that debhelper writes go on after a refusal. What ends by itself is restarted as always.
const PROTECTION: &str = "# Written by patchday: packages are upgraded, and this unit is stopped when they are.\n\
                          [Unit]\nRefuseManualStop=yes\n";

/// The files of one unit's hold.
#[derive(Debug, Clone, PartialEq, Eq)]
struct HoldFiles {
    /// As systemd sees it, in `DropInPaths`.
    drop_in_name: String,
    /// As the condition names it.
    flag_name: String,
    drop_in: PathBuf,
    flag: PathBuf,
    /// Has a `[Service]` section.
    service: bool,
}

impl HoldFiles {
    fn new(root: &Path, unit: &UnitName) -> Self {
        let drop_in_name = format!("/run/systemd/system/{unit}.d/{DROP_IN}");
        let flag_name = format!("/run/patchday/hold/{unit}");
        let below = |path: &str| root.join(path.trim_start_matches('/'));
        let service = unit.as_str().ends_with(".service");
        Self { drop_in: below(&drop_in_name), flag: below(&flag_name), drop_in_name, flag_name, service }
    }

    fn text(&self, stop_timeout: Option<SignedDuration>) -> String {
        let flag = self.flag_name.replace('%', "%%");
        let mut text = format!(
            "# Written by patchday: while the file named here exists, this unit does not start.\n\
             [Unit]\nConditionPathExists=!{flag}\n"
        );
        if self.service {
            text.push_str("\n[Service]\nRestart=no\n");
            if let Some(timeout) = stop_timeout {
                text.push_str(&format!("TimeoutStopSec={}ms\n", timeout.as_millis().max(1)));
            }
        }
        text
    }

    /// systemd has read the drop-in.
    fn is_listed(&self, raw: &RawUnit) -> bool {
        raw.unit.texts(UnitProperty::DropInPaths).contains(&self.drop_in_name)
    }

    /// What the hold lacks as systemd sees it; none when it is complete.
    fn gap(&self, raw: &RawUnit) -> Option<String> {
        if !self.is_listed(raw) {
            return Some(format!("systemd did not take {} into account", self.drop_in_name));
        }
        let restart = raw.service.text(UnitProperty::Restart).filter(|restart| restart != "no");
        restart.map(|restart| format!("Restart={restart} of another drop-in overrides {}", self.drop_in_name))
    }

    /// Puts both files in place; says whether anything was not as it is now.
    fn place(&self, text: &str) -> io::Result<bool> {
        let flag = write(&self.flag, "held by patchday\n")?;
        let drop_in = write(&self.drop_in, text)?;
        Ok(flag || drop_in)
    }

    /// Removes both files, the flag first since that releases the unit; says whether either was there.
    fn remove(&self) -> io::Result<bool> {
        let flag = remove(&self.flag)?;
        // Of a process that was killed while it wrote.
        remove(&unfinished(&self.flag))?;
        Ok(self.remove_drop_in()? || flag)
    }

    /// Removes the drop-in, and its directory where nothing else is in there; says whether it was there.
    fn remove_drop_in(&self) -> io::Result<bool> {
        let drop_in = remove(&self.drop_in)?;
        remove(&unfinished(&self.drop_in))?;
        if let Some(directory) = self.drop_in.parent() {
            match fs::remove_dir(directory) {
                Err(error) if !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty) => {
                    return Err(named(error, "remove", directory));
                }
                _ => {}
            }
        }
        Ok(drop_in)
    }
}

impl Manager {
    /// Holds units, and makes sure that systemd has seen it.
    ///
    /// # Errors
    ///
    /// `Failed` when the files cannot be written or systemd does not take them into account.
    pub(super) async fn hold(&self, holds: &[UnitHold]) -> HostResult<()> {
        let mut is_stale = false;
        for hold in holds {
            let state = self.state(&hold.unit).await?;
            // Raise, never lower; none is infinity already.
            let stop_timeout = hold.stop_timeout.zip(state.stop_timeout).map(|(wanted, own)| wanted.max(own));
            let files = HoldFiles::new(&self.root, &hold.unit);
            let written = files.place(&files.text(stop_timeout));
            is_stale |= written.map_err(|error| HostError::failed(format!("hold {}", hold.unit), error))?
                || state.needs_daemon_reload
                || files.gap(&self.raw_to_hold(&hold.unit).await?).is_some();
        }
        if is_stale {
            self.reload().await?;
        }
        for hold in holds {
            let raw = self.raw_to_hold(&hold.unit).await?;
            // A masked unit has no drop-ins, and does not start either.
            let is_loaded = raw.unit.text(UnitProperty::LoadState).as_deref() == Some("loaded");
            if let Some(why) = HoldFiles::new(&self.root, &hold.unit).gap(&raw).filter(|_| is_loaded) {
                return Err(HostError::failed(format!("hold {}", hold.unit), why));
            }
        }
        Ok(())
    }

    /// Protects a unit, and makes sure that systemd has seen it. The drop-in is that of a hold, which takes its place.
    ///
    /// # Errors
    ///
    /// `NotFound` for a unit that does not exist; else as [`Self::hold`].
    pub(super) async fn protect(&self, unit: &UnitName) -> HostResult<()> {
        let what = format!("protect {unit}");
        let state = self.state(unit).await?;
        if state.load == LoadState::NotFound {
            return Err(HostError::new(HostErrorKind::NotFound, what, "there is no such unit"));
        }
        let files = HoldFiles::new(&self.root, unit);
        // A flag alone holds nothing: it is what a soft reboot has left.
        if files.flag.exists() && files.drop_in.exists() {
            return Ok(());
        }
        let written = write(&files.drop_in, PROTECTION).map_err(|error| HostError::failed(&what, error))?;
        let refuses =
            || async { Ok(self.raw_to_hold(unit).await?.unit.flag(UnitProperty::RefuseManualStop) == Some(true)) };
        if written || state.needs_daemon_reload || !refuses().await? {
            self.reload().await?;
        }
        if refuses().await? {
            return Ok(());
        }
        Err(HostError::failed(what, format!("systemd did not take {} into account", files.drop_in_name)))
    }

    /// Takes the drop-ins of holds away and does not tell systemd: it has read them, and holds the units by the flags until
    /// it reads its files anew, as it does when it starts the host anew without the kernel. No moment lies in between in
    /// which a unit that is down could be started.
    ///
    /// # Errors
    ///
    /// `Failed` when a file cannot be removed.
    pub(super) fn let_go(&self, units: &[UnitName]) -> HostResult<()> {
        for unit in units {
            let files = HoldFiles::new(&self.root, unit);
            files.remove_drop_in().map_err(|error| HostError::failed(format!("let go of {unit}"), error))?;
        }
        Ok(())
    }

    /// Takes the holds of units away, and their protection.
    ///
    /// # Errors
    ///
    /// `Failed` when a file cannot be removed; the bus's where systemd cannot be told. The unit is free to start as
    /// soon as the flag file is gone, told or not; its own `Restart=` and timeout need the telling.
    pub(super) async fn release(&self, units: &[UnitName]) -> HostResult<()> {
        let mut is_stale = false;
        for unit in units {
            let files = HoldFiles::new(&self.root, unit);
            is_stale |= files.remove().map_err(|error| HostError::failed(format!("release {unit}"), error))?;
        }
        for unit in units {
            is_stale = is_stale || HoldFiles::new(&self.root, unit).is_listed(&self.raw_to_hold(unit).await?);
        }
        if is_stale { self.reload().await } else { Ok(()) }
    }

    async fn raw_to_hold(&self, unit: &UnitName) -> HostResult<RawUnit> {
        self.raw(unit).await.map_err(|error| host_error(format!("read the drop-ins of {unit}"), &error))
    }
}

/// Writes a file that readers see whole or not at all; says whether it differed.
fn write(path: &Path, text: &str) -> io::Result<bool> {
    if fs::read_to_string(path).is_ok_and(|present| present == text) {
        return Ok(false);
    }
    let Some(directory) = path.parent() else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{} is no file", path.display())));
    };
    if !directory.is_dir() {
        let make = fs::DirBuilder::new().recursive(true).mode(0o755).create(directory);
        make.map_err(|error| named(error, "create", directory))?;
        // Set, not only asked for: the umask is the caller's.
        let set = fs::set_permissions(directory, fs::Permissions::from_mode(0o755));
        set.map_err(|error| named(error, "set the mode of", directory))?;
    }
    atomic_file::replace(path, text.as_bytes(), 0o644).map_err(|error| named(error, "write", path))?;
    Ok(true)
}

fn remove(path: &Path) -> io::Result<bool> {
    atomic_file::remove(path).map_err(|error| named(error, "remove", path))
}

fn named(error: io::Error, verb: &str, path: &Path) -> io::Error {
    io::Error::new(error.kind(), format!("{verb} {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(root: &Path) -> HoldFiles {
        HoldFiles::new(root, &"app@1.service".parse().unwrap())
    }

    #[test]
    fn the_drop_in_names_the_flag_and_raises_the_timeout() {
        let files = files(Path::new("/"));
        assert_eq!(files.drop_in_name, "/run/systemd/system/app@1.service.d/90-patchday-hold.conf");
        let text = files.text(None);
        assert!(text.contains("\n[Unit]\nConditionPathExists=!/run/patchday/hold/app@1.service\n"), "{text}");
        assert!(text.ends_with("\n[Service]\nRestart=no\n"), "{text}");
        let text = files.text(Some(SignedDuration::from_secs(90)));
        assert!(text.ends_with("\n[Service]\nRestart=no\nTimeoutStopSec=90000ms\n"), "{text}");
        // 0 would mean infinity.
        assert!(files.text(Some(SignedDuration::ZERO)).ends_with("TimeoutStopSec=1ms\n"));
        let socket = HoldFiles::new(Path::new("/"), &"app.socket".parse().unwrap());
        assert!(!socket.text(None).contains("[Service]"));
    }

    #[test]
    fn placing_and_removing_can_be_repeated() {
        let root = tempfile::tempdir().unwrap();
        let files = files(root.path());
        assert!(!files.remove().unwrap());
        assert!(files.place(&files.text(None)).unwrap());
        assert!(!files.place(&files.text(None)).unwrap());
        assert!(files.place(&files.text(Some(SignedDuration::from_secs(1)))).unwrap());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode(&files.drop_in), mode(&files.flag)), (0o644, 0o644));
        let directory = files.drop_in.parent().unwrap();
        assert_eq!(mode(directory), 0o755);
        assert_eq!(fs::read_dir(directory).unwrap().count(), 1, "no temporary file is left");
        assert!(files.remove().unwrap());
        assert!(!directory.exists() && !files.flag.exists());
        assert!(!files.remove().unwrap());
    }

    #[test]
    fn letting_go_leaves_the_flag_by_which_systemd_holds_the_unit() {
        let root = tempfile::tempdir().unwrap();
        let files = files(root.path());
        files.place(&files.text(None)).unwrap();
        fs::write(unfinished(&files.drop_in), "half").unwrap();
        assert!(files.remove_drop_in().unwrap());
        assert!(files.flag.exists() && !files.drop_in.parent().unwrap().exists());
        assert!(!files.remove_drop_in().unwrap());
        assert!(files.remove().unwrap() && !files.flag.exists());
    }

    #[test]
    fn what_a_killed_process_left_half_written_goes_with_the_hold() {
        let root = tempfile::tempdir().unwrap();
        let files = files(root.path());
        files.place(&files.text(None)).unwrap();
        for file in [&files.flag, &files.drop_in] {
            fs::write(unfinished(file), "held by pat").unwrap();
        }
        assert!(files.remove().unwrap());
        assert!(!files.drop_in.parent().unwrap().exists());
        assert_eq!(fs::read_dir(files.flag.parent().unwrap()).unwrap().count(), 0);
    }

    #[test]
    fn drop_ins_of_others_stay() {
        let root = tempfile::tempdir().unwrap();
        let files = files(root.path());
        files.place(&files.text(None)).unwrap();
        let other = files.drop_in.with_file_name("10-other.conf");
        fs::write(&other, "").unwrap();
        files.remove().unwrap();
        assert!(other.exists());
    }
}
