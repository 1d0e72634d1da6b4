//! The ways to patch and reboot a server that are compared.

use clap::ValueEnum;

const UNATTENDED: &str = include_str!("../../../recipe/downtime/unattended-upgrades.conf");

/// A way, by its name on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Way {
    /// Stop, upgrade and reboot by hand; what the others are compared with
    Script,
    /// Debian's, with an automatic reboot; stops no service
    UnattendedUpgrades,
    /// A playbook that stops, upgrades and reboots, by ssh
    Ansible,
    /// Patchday as it is by default
    Default,
    /// Patchday with ahead = false
    AllBehind,
    /// Patchday with ahead = "unrelated"
    Unrelated,
    /// Patchday with order = "late-stop"
    LateStop,
    /// Patchday with durability = "batch"; without --way only on the slow disk
    Batch,
}

/// Who does the work.
pub(crate) enum By {
    /// A shell's commands, with apt's settings for them.
    Commands { settings: &'static str, commands: &'static str },
    /// A control host of its own.
    Ansible,
    /// Patchday, with this in its configuration besides the services.
    Patchday { settings: &'static str },
}

impl Way {
    /// All of them, or those that are worth the time where nothing else was said.
    pub(crate) fn by_default(slow_disk: bool) -> Vec<Self> {
        Self::value_variants().iter().copied().filter(|way| slow_disk || *way != Self::Batch).collect()
    }

    /// For a table of Markdown.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Script => "script",
            Self::UnattendedUpgrades => "unattended-upgrades",
            Self::Ansible => "Ansible",
            Self::Default => "Patchday",
            Self::AllBehind => "Patchday, `ahead = false`",
            Self::Unrelated => "Patchday, `ahead = \"unrelated\"`",
            Self::LateStop => "Patchday, `order = \"late-stop\"`",
            Self::Batch => "Patchday, `durability = \"batch\"`",
        }
    }

    /// The shares of the script's downtime that it should not exceed; none for what is not ours, or was given no aim. The
    /// default has two: its own, and that of `ahead = "kernel"`, which it is.
    pub(crate) fn aims(self) -> &'static [f64] {
        match self {
            Self::Script | Self::UnattendedUpgrades | Self::Ansible | Self::AllBehind | Self::Batch => &[],
            Self::Default => &[0.6, 0.3],
            Self::Unrelated => &[0.15],
            Self::LateStop => &[0.06],
        }
    }

    pub(crate) fn by(self) -> By {
        match self {
            Self::Script => By::Commands {
                settings: "",
                commands: "systemctl stop sample-api mongod; apt-get -y dist-upgrade; reboot",
            },
            Self::UnattendedUpgrades => By::Commands { settings: UNATTENDED, commands: "unattended-upgrade" },
            Self::Ansible => By::Ansible,
            Self::Default => By::Patchday { settings: "" },
            Self::AllBehind => By::Patchday { settings: "[upgrade]\nahead = false\n" },
            Self::Unrelated => By::Patchday { settings: "[upgrade]\nahead = \"unrelated\"\n" },
            Self::LateStop => By::Patchday { settings: "[upgrade]\norder = \"late-stop\"\n" },
            Self::Batch => By::Patchday { settings: "[upgrade]\ndurability = \"batch\"\n" },
        }
    }
}
