//! Ways to make a mongod refuse to start, made for real, and what `patchday doctor` says of each.

use crate::setup::Site;
use anyhow::{Context, Result};
use mongodb::bson::doc;
use patchday_lab::wait_for;
use std::time::Duration;

const CONF: &str = "/etc/mongod.conf";
const DB: &str = "/var/lib/mongod";

/// One way: its name, the finding that names it, and what is done to the stopped server.
pub(crate) struct Refusal {
    pub(crate) name: &'static str,
    pub(crate) key: &'static str,
    /// What is done while the server still runs.
    prepare: Option<fn(&Site) -> Result<()>>,
    /// Programs to run, `PORT` standing for mongod's port.
    break_it: &'static [&'static str],
    /// Text that is put into the configuration instead of another.
    config: Option<(&'static str, &'static str)>,
    /// Programs that undo it where a fresh copy of data and configuration is not enough.
    mend: &'static [&'static str],
}

const PLAIN: Refusal = Refusal { name: "", key: "", prepare: None, break_it: &[], config: None, mend: &[] };

pub(crate) const ALL: [Refusal; 17] = [
    Refusal {
        name: "socket of another user",
        key: "mongod-socket-owner",
        break_it: &["rm -f /tmp/mongodb-PORT.sock", "touch /tmp/mongodb-PORT.sock"],
        mend: &["rm -f /tmp/mongodb-PORT.sock"],
        ..PLAIN
    },
    Refusal {
        name: "lock file of another user",
        key: "mongod-dbpath-owner",
        break_it: &["chown root:root /var/lib/mongod/mongod.lock", "chmod 0600 /var/lib/mongod/mongod.lock"],
        ..PLAIN
    },
    Refusal {
        name: "data directory of another user",
        key: "mongod-dbpath-owner",
        break_it: &["chown root:root /var/lib/mongod", "chmod 0700 /var/lib/mongod"],
        ..PLAIN
    },
    Refusal {
        name: "data started once as root",
        key: "mongod-dbpath-owner",
        break_it: &["chown root:root /var/lib/mongod/WiredTiger.wt", "chmod 0600 /var/lib/mongod/WiredTiger.wt"],
        ..PLAIN
    },
    Refusal { name: "no data directory", key: "mongod-dbpath-missing", break_it: &["rm -r /var/lib/mongod"], ..PLAIN },
    Refusal {
        name: "port in use",
        key: "mongod-port-in-use",
        break_it: &[
            "systemd-run --quiet --unit=squatter /usr/bin/mongod --port PORT --dbpath /var/tmp --bind_ip 127.0.0.1 \
                     --unixSocketPrefix /var/tmp",
        ],
        mend: &["systemctl stop squatter.service"],
        ..PLAIN
    },
    Refusal {
        name: "disk full",
        key: "mongod-disk-full",
        break_it: &["mount -t tmpfs -o size=64k tmpfs /mnt", "chown mongod:mongod /mnt"],
        config: Some(("dbPath: /var/lib/mongod", "dbPath: /mnt")),
        mend: &["umount /mnt"],
        ..PLAIN
    },
    Refusal {
        name: "data of another engine",
        key: "mongod-version",
        break_it: &["sed -i s/wiredTiger/otherStore/ /var/lib/mongod/storage.bson"],
        ..PLAIN
    },
    Refusal { name: "data of another release", key: "mongod-version", prepare: Some(older_data), ..PLAIN },
    Refusal {
        name: "damaged metadata",
        key: "mongod-corrupt",
        break_it: &["dd if=/dev/urandom of=/var/lib/mongod/WiredTiger.wt bs=4096 count=4 conv=notrunc"],
        ..PLAIN
    },
    Refusal {
        name: "damaged collection",
        key: "mongod-corrupt",
        break_it: &["truncate -s 4097 /var/lib/mongod/_mdb_catalog.wt"],
        ..PLAIN
    },
    Refusal {
        name: "unknown option",
        key: "mongod-option",
        config: Some(("storage:", "storagePath: /x\nstorage:")),
        ..PLAIN
    },
    Refusal {
        name: "no configuration file",
        key: "mongod-config-missing",
        break_it: &["rm /etc/mongod.conf"],
        ..PLAIN
    },
    Refusal {
        name: "no key file",
        key: "mongod-key-file",
        config: Some(("storage:", "security:\n  keyFile: /etc/mongod.key\nstorage:")),
        ..PLAIN
    },
    Refusal {
        name: "certificate not readable",
        key: "mongod-certificate",
        break_it: &["touch /etc/mongod.pem", "chmod 0600 /etc/mongod.pem"],
        config: Some(("net:", "net:\n  tls:\n    mode: requireTLS\n    certificateKeyFile: /etc/mongod.pem")),
        ..PLAIN
    },
    Refusal {
        name: "log of another user",
        key: "mongod-log",
        break_it: &["chown root:root /var/log/mongod/mongod.log", "chmod 0600 /var/log/mongod/mongod.log"],
        mend: &["chown mongod:mongod /var/log/mongod/mongod.log"],
        ..PLAIN
    },
    Refusal {
        name: "an address of another host",
        key: "mongod-address",
        config: Some(("bindIp: 127.0.0.1", "bindIp: 192.0.2.1")),
        ..PLAIN
    },
];

/// The server checks what is written to its own version document, but not what is renamed to it.
fn older_data(site: &Site) -> Result<()> {
    let renamed = doc! { "renameCollection": "admin.older", "to": "admin.system.version", "dropTarget": true };
    let wait = || site.command(0, doc! { "ping": 1 }).ok().map(drop);
    wait_for("mongod", Duration::from_secs(60), || Ok(wait()))?;
    let document = doc! { "_id": "featureCompatibilityVersion", "version": "4.2" };
    site.command(0, doc! { "insert": "older", "documents": [document] })?;
    site.command(0, doc! { "applyOps": [{ "op": "c", "ns": "admin.$cmd", "o": renamed }] })?;
    Ok(())
}

/// Makes mongod refuse, and returns the key of the doctor's first finding and all that it said.
pub(crate) fn provoke(site: &Site, refusal: &Refusal) -> Result<(String, String)> {
    let machine = &site.machine;
    let run = |line: &str| -> Result<()> {
        let line = line.replace("PORT", &site.ports[0].to_string());
        let words: Vec<&str> = line.split_whitespace().collect();
        // dd fails when the disk is full, which is what it is for.
        let _ended_anyhow = machine.exec(&words)?;
        Ok(())
    };
    machine.exec_ok(&["systemctl", "stop", "sample-api.service", "mongod.service"])?;
    machine.exec_ok(&["cp", "-a", DB, "/root/copy"])?;
    if let Some(prepare) = refusal.prepare {
        machine.exec_ok(&["systemctl", "start", "mongod.service"])?;
        prepare(site)?;
        machine.exec_ok(&["systemctl", "stop", "mongod.service"])?;
    }
    let conf = machine.read_file(CONF)?;
    refusal.break_it.iter().try_for_each(|line| run(line))?;
    if let Some((old, new)) = refusal.config {
        machine.write_file(CONF, &conf.replacen(old, new, 1))?;
    }
    machine.exec(&["systemctl", "start", "mongod.service"])?;
    let state = || machine.exec_ok(&["systemctl", "show", "-P", "ActiveState", "mongod.service"]);
    let refused =
        wait_for("mongod's refusal", Duration::from_secs(60), || Ok((state()?.trim() == "failed").then_some(())));
    let told = machine.exec(&["patchday", "doctor", "mongod.service"])?;
    let json = machine.exec(&["patchday", "doctor", "mongod.service", "--json"])?;
    machine.exec(&["systemctl", "stop", "mongod.service"])?;
    machine.exec(&["systemctl", "reset-failed", "mongod.service"])?;
    refusal.mend.iter().try_for_each(|line| run(line))?;
    machine.exec(&["rm", "-rf", DB])?;
    machine.exec_ok(&["mv", "/root/copy", DB])?;
    machine.write_file(CONF, &conf)?;
    refused.with_context(|| format!("{}: mongod started nevertheless", refusal.name))?;
    let key = json.stdout.split("\"key\": \"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or("none");
    Ok((key.to_owned(), told.stdout))
}
