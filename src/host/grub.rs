//! GRUB: which kernel the next boot takes.
//!
//! A kernel is tried with GRUB's own means: `next_entry` is taken once, and forgotten by GRUB before it starts the
//! kernel; `saved_entry` is what every other boot takes (`grub-reboot(8)`, `grub-set-default(8)`, and the manual's
//! chapter on the environment block).

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;

use super::boot_menu::grub::Menu;
use super::command::{self, below};
use super::{BootLoader, HostError, HostErrorKind, HostResult};
use crate::model::{OneShotBoot, TrialEnd};

const MENU: &str = "/boot/grub/grub.cfg";
const ENVIRONMENT: &str = "/boot/grub/grubenv";
/// The block is one sector: a write that is cut short leaves the old one or the new one.
const TIMEOUT: Duration = Duration::from_secs(30);

/// File systems that GRUB reads and does not write, after `grub-mkconfig`'s own list.
const NOT_WRITTEN: [&str; 8] = ["btrfs", "cpiofs", "f2fs", "iso9660", "newc", "squash4", "tarfs", "zfs"];

/// The GRUB of this host.
#[derive(Debug, Clone)]
pub struct Grub {
    root: PathBuf,
}

impl Grub {
    /// Reads files and finds programs below `root`; `/` except in tests.
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    async fn environment(&self, arguments: &[&str]) -> HostResult<String> {
        let file = below(&self.root, ENVIRONMENT).display().to_string();
        let all: Vec<&str> = [file.as_str()].into_iter().chain(arguments.iter().copied()).collect();
        command::read_text(&self.root, "grub-editenv", &all, TIMEOUT).await
    }

    async fn probe(&self, target: &str) -> HostResult<String> {
        let directory = below(&self.root, "/boot/grub").display().to_string();
        let target = format!("--target={target}");
        let said = command::read_text(&self.root, "grub-probe", &[&target, &directory], TIMEOUT).await?;
        Ok(said.trim().to_owned())
    }

    /// GRUB must forget the entry it was told to take once, or every boot takes it.
    async fn require_writable(&self) -> HostResult<()> {
        let abstraction = self.probe("abstraction").await?;
        if !abstraction.is_empty() {
            return Err(cannot(format!("GRUB cannot write to /boot/grub, which is on {abstraction}")));
        }
        let kind = self.probe("fs").await?;
        if NOT_WRITTEN.contains(&kind.as_str()) {
            return Err(cannot(format!("GRUB cannot write to /boot/grub, which is on {kind}")));
        }
        Ok(())
    }
}

#[async_trait]
impl BootLoader for Grub {
    async fn one_shot(&self, kernel: &str, fallback: &str) -> HostResult<OneShotBoot> {
        let path = below(&self.root, MENU);
        let menu = match fs::read_to_string(&path) {
            Ok(text) => Menu::parse(&text),
            Err(error) => return Err(cannot(format!("{}: {error}", path.display()))),
        };
        if !menu.takes_saved_entry {
            let why =
                "GRUB does not take the saved entry; set GRUB_DEFAULT=saved in /etc/default/grub, then run update-grub";
            return Err(cannot(why.to_owned()));
        }
        let entry = |release: &str| {
            menu.entry_of(release).ok_or_else(|| cannot(format!("GRUB has no entry for kernel {release}")))
        };
        let (kernel_entry, fallback_entry) = (entry(kernel)?, entry(fallback)?);
        self.require_writable().await?;
        let saved_before = match self.environment(&["list"]).await {
            Ok(list) => list.lines().find_map(|line| line.strip_prefix("saved_entry=").map(str::to_owned)),
            // There is none until somebody writes to it.
            Err(_) if !below(&self.root, ENVIRONMENT).exists() => None,
            Err(error) => return Err(error),
        };
        let saved_before = saved_before.filter(|entry| !entry.is_empty());
        Ok(OneShotBoot {
            kernel: kernel.to_owned(),
            kernel_entry,
            fallback: fallback.to_owned(),
            fallback_entry,
            saved_before,
        })
    }

    async fn begin_trial(&self, boot: &OneShotBoot) -> HostResult<()> {
        let saved = format!("saved_entry={}", boot.fallback_entry);
        let next = format!("next_entry={}", boot.kernel_entry);
        self.environment(&["set", &saved, &next]).await.map(drop)
    }

    async fn end_trial(&self, boot: &OneShotBoot, end: TrialEnd) -> HostResult<()> {
        self.environment(&["unset", "next_entry"]).await?;
        let saved = match (end, &boot.saved_before) {
            (TrialEnd::Dropped, _) => Some(&boot.fallback_entry),
            // Without a saved entry the first one is taken, which is that of the newest kernel, also of those to come.
            (TrialEnd::Kept | TrialEnd::TakenBack, None) => None,
            (TrialEnd::Kept, Some(_)) => Some(&boot.kernel_entry),
            (TrialEnd::TakenBack, Some(before)) => Some(before),
        };
        match saved {
            Some(entry) => self.environment(&["set", &format!("saved_entry={entry}")]).await,
            None => self.environment(&["unset", "saved_entry"]).await,
        }
        .map(drop)
    }
}

fn cannot(why: String) -> HostError {
    HostError::new(HostErrorKind::Refused, "start a kernel once".to_owned(), why)
}
