//! Ansible as an administrator would use it: a control host, a playbook, and ssh to the server.

use crate::deadline::{succeeds_within, within};
use anyhow::{Context, Result, ensure};
use patchday_lab::{Image, Lab, Machine, Suite, wait_for};
use std::process::Child;
use std::time::Duration;

const CONTROL: &str = include_str!("../../../recipe/downtime/control.sh");
const PLAYBOOK: &str = include_str!("../../../recipe/downtime/patch.yml");
const THERE: &str = "/root/playbook";
const PING: &str = "cd /root/playbook && exec ansible -i hosts --become --module-name ping servers";
const PLAY: &str = "cd /root/playbook && exec ansible-playbook -i hosts patch.yml >said 2>&1";
/// It is no part of what is measured, and shall not be in its way: files and network are the lab's.
const SETTINGS: &str = "[defaults]\nhost_key_checking = false\nnocows = true\n";

const BOOT_TIMEOUT: Duration = Duration::from_secs(120);
const LOOK: Duration = Duration::from_secs(60);

/// A machine that has Debian's ansible-core, and one server to patch.
pub(crate) struct Control {
    machine: Machine,
}

impl Control {
    /// Builds the image where there is none, and puts the playbook, the server and the key where each belongs.
    pub(crate) fn of(lab: &Lab, suite: Suite, server: &Machine, port: u16) -> Result<Self> {
        let image = Image::ensure(lab, suite)?.with(lab, CONTROL).context(
            "the control host needs ansible-core and openssh-client from Debian's mirror, and has not got them",
        )?;
        let machine = Machine::create(lab, &image, "control")?;
        machine.boot()?;
        machine.wait_until_up(BOOT_TIMEOUT)?;

        let key = machine.read_file("/root/.ssh/id_ed25519.pub")?;
        server.write_file("/home/ops/.ssh/authorized_keys", &key)?;
        let hosts = format!("[servers]\nweb1 ansible_host=127.0.0.1 ansible_port={port} ansible_user=ops\n");
        for (name, content) in [("hosts", hosts.as_str()), ("ansible.cfg", SETTINGS), ("patch.yml", PLAYBOOK)] {
            machine.write_file(&format!("{THERE}/{name}"), content)?;
        }
        let answered = within(&machine, LOOK, &["sh", "-c", PING])?;
        ensure!(answered.success(), "Ansible does not reach the server: {}{}", answered.stdout, answered.stderr);
        Ok(Self { machine })
    }

    /// Starts the playbook.
    pub(crate) fn play(&self) -> Result<Child> {
        self.machine.spawn(&["sh", "-c", PLAY])
    }

    /// Waits for the end of the playbook, which must have found the server again.
    pub(crate) fn ended_well(&self, play: &mut Child, deadline: Duration) -> Result<()> {
        let ended = wait_for("the playbook to end", deadline, || play.try_wait().context("cannot wait for it"));
        let said = self.said();
        let status = ended.with_context(|| said.clone())?;
        ensure!(status.success(), "the playbook ended with {status}\n{said}");
        eprintln!("bench: {}", said.lines().rfind(|line| !line.is_empty()).unwrap_or_default());
        Ok(())
    }

    /// What the playbook has printed so far; never fails.
    pub(crate) fn said(&self) -> String {
        succeeds_within(&self.machine, LOOK, &["cat", &format!("{THERE}/said")])
            .unwrap_or_else(|error| format!("(what the playbook said is lost: {error:#})"))
    }
}
