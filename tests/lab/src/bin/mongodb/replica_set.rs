//! Sets of three members, in one machine and in three.

use crate::setup::{Shape, Site, WAIT};
use anyhow::Result;
use mongodb::bson::doc;
use patchday_lab::{Lab, Machine, Suite, wait_for};

const REPLICATION: &str = "replication:\n  replSetName: rs0\n";

impl Site {
    /// Two more units, and the set of all three.
    pub(crate) fn make_set(&mut self) -> Result<()> {
        let conf = self.machine.read_file("/etc/mongod.conf")?;
        let unit = self.machine.read_file("/etc/systemd/system/mongod.service")?;
        let first = self.ports[0];
        become_member(&self.machine)?;
        for at in 1..3 {
            let port = self.machine.reserve_port()?;
            self.ports.push(port);
            let name = format!("mongod-{at}");
            let own = conf
                .replace("/var/lib/mongod", &format!("/var/lib/{name}"))
                .replace("/var/log/mongod/mongod.log", &format!("/var/log/mongod/{name}.log"))
                .replace(&first.to_string(), &port.to_string());
            self.machine.write_file(&format!("/etc/{name}.conf"), &(own + REPLICATION))?;
            let own = unit
                .replace("/etc/mongod.conf", &format!("/etc/{name}.conf"))
                .replace("RuntimeDirectory=mongodb", &format!("RuntimeDirectory={name}"));
            self.machine.write_file(&format!("/etc/systemd/system/{name}.service"), &own)?;
            self.machine.exec_ok(&["install", "-d", "-o", "mongod", "-g", "mongod", &format!("/var/lib/{name}")])?;
        }
        self.machine.exec_ok(&["systemctl", "daemon-reload"])?;
        self.machine.exec_ok(&["systemctl", "enable", "--now", "mongod-1.service", "mongod-2.service"])?;
        self.initiate([1, 1, 1])
    }

    /// Two more machines, and the set of all three.
    pub(crate) fn make_set_of_machines(&mut self, name: &str) -> Result<()> {
        become_member(&self.machine)?;
        let lab = Lab::new()?;
        for at in 1..3 {
            let machine = lab.booted_machine(Suite::Bookworm, &format!("{name}-{at}"))?;
            // Who joins a set must have nothing of its own.
            machine.exec_ok(&["systemctl", "stop", "sample-api.service", "mongod.service"])?;
            machine.exec_ok(&["find", "/var/lib/mongod", "-mindepth", "1", "-delete"])?;
            become_member(&machine)?;
            self.ports.push(machine.mongod_port());
            self.others.push(machine);
        }
        self.initiate([2, 1, 1])
    }

    fn initiate(&self, priorities: [i32; 3]) -> Result<()> {
        for at in 0..3 {
            self.wait_for_database(at)?;
        }
        let host = |at: usize| {
            doc! {
                "_id": at as i32, "host": format!("127.0.0.1:{}", self.ports[at]), "priority": priorities[at],
            }
        };
        let members = vec![host(0), host(1), host(2)];
        self.command(
            0,
            doc! { "replSetInitiate": {
                "_id": "rs0", "members": members, "settings": { "electionTimeoutMillis": 3000 },
            } },
        )?;
        self.wait_until_whole()?;
        self.machine.exec_ok(&["systemctl", "start", "sample-api.service"])?;
        self.machine.wait_until_healthy(WAIT)
    }

    /// Waits until the set has a primary, which is the first where that one has priority, and two secondaries.
    pub(crate) fn wait_until_whole(&self) -> Result<()> {
        wait_for("a whole set", WAIT, || {
            let Ok(status) = self.command(0, doc! { "replSetGetStatus": 1 }) else { return Ok(None) };
            let states: Vec<&str> = status
                .get_array("members")?
                .iter()
                .filter_map(|member| member.as_document()?.get_str("stateStr").ok())
                .collect();
            let count = |state: &str| states.iter().filter(|one| **one == state).count();
            let is_led_well = self.shape == Shape::Set || states.first() == Some(&"PRIMARY");
            Ok((is_led_well && count("PRIMARY") == 1 && count("SECONDARY") == 2).then_some(()))
        })
    }

    /// The member that is primary.
    pub(crate) fn primary(&self) -> Result<usize> {
        let hello = |at: usize| self.command(at, doc! { "hello": 1 });
        let is_primary =
            |at: &usize| hello(*at).is_ok_and(|hello| hello.get_bool("isWritablePrimary").unwrap_or(false));
        wait_for("a primary", WAIT, || Ok((0..self.ports.len()).find(is_primary)))
    }
}

/// The API of a machine has nothing to write to until its server has a set.
fn become_member(machine: &Machine) -> Result<()> {
    let conf = machine.read_file("/etc/mongod.conf")?;
    machine.write_file("/etc/mongod.conf", &(conf + REPLICATION))?;
    machine.exec_ok(&["systemctl", "stop", "sample-api.service"])?;
    machine.exec_ok(&["systemctl", "restart", "mongod.service"]).map(drop)
}
