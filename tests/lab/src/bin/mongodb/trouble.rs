//! What stands in the way of a stop, made for real: what Patchday says, and how the services are afterwards.

use crate::setup::{Shape, Site, WAIT};
use anyhow::{Context, Result};
use mongodb::bson::{Document, doc};
use patchday_lab::{ApiFault, wait_for};
use std::fmt;
use std::time::Duration;

/// One line of the table.
pub(crate) struct Case {
    name: String,
    code: i32,
    message: String,
    in_service: bool,
}

impl Case {
    pub(crate) fn is_good(&self) -> bool {
        self.in_service && !self.message.starts_with("MISSING")
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let service = if self.in_service { "in service" } else { "NOT IN SERVICE" };
        write!(f, "{:<32} exit {:<3} {service}: {}", self.name, self.code, self.message)
    }
}

fn case(site: &Site, name: &str, words: &[&str], (code, said): (i32, String)) -> Case {
    let line = |word: &&str| said.lines().find(|line| line.contains(*word)).map(|line| line.trim().to_owned());
    let message = words.iter().find_map(line).unwrap_or_else(|| format!("MISSING {words:?} in:\n{said}"));
    let case = Case { name: name.to_owned(), code, message, in_service: site.is_in_service() };
    println!("{case}");
    case
}

/// Documents that a slow query has to wait for.
fn seed(site: &Site) -> Result<()> {
    let orders = site.client("seed", "")?.database("shop").collection::<Document>("orders");
    site.runtime.block_on(async {
        for part in 0..40_i64 {
            orders.insert_many((0..5_000).map(|at| doc! { "_id": part * 5_000 + at, "x": at % 97 })).await?;
        }
        anyhow::Ok(())
    })
}

pub(crate) fn standalone(site: &Site) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    seed(site)?;
    for (policy, words) in
        [("abort", ["long-operations is abort"]), ("kill", ["ending it"]), ("wait", ["still at work, waiting"])]
    {
        site.configure(&format!("operation-limit = \"1s\"\nlong-operations = \"{policy}\""))?;
        let orders = site.client("nightly-report", "")?.database("shop").collection::<Document>("orders");
        let slow = site.runtime.spawn(async move {
            // In an aggregation the server takes no `$where`.
            orders.find_one(doc! { "$where": "sleep(25000) || true" }).await.map(drop)
        });
        let end = site.stop_only(&[])?;
        slow.abort();
        cases.push(case(site, &format!("long query, {policy}"), &words, end));
    }

    site.configure("operation-limit = \"1s\"\nlong-operations = \"kill\"")?;
    let orders = site.client("indexer", "")?.database("shop").collection::<Document>("orders");
    let building = site.runtime.spawn(async move {
        loop {
            let index = mongodb::IndexModel::builder().keys(doc! { "x": 1, "y": 1, "z": 1 }).build();
            if orders.create_index(index).await.is_err() || orders.drop_indexes().await.is_err() {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    });
    let end = site.stop_only(&[])?;
    building.abort();
    cases.push(case(site, "index builds", &["still has", "still at work"], end));

    site.configure("")?;
    site.command(0, doc! { "fsync": 1, "lock": true })?;
    let end = site.stop_only(&[])?;
    cases.push(case(site, "fsyncLock", &["locked a MongoDB"], end));
    let end = site.stop_only(&["--allow", "database-locked"])?;
    // The lock is gone with the server that held it.
    cases.push(case(site, "fsyncLock, allowed", &["database-locked"], end));
    leak(site, &mut cases)?;

    site.configure(&format!("uri = \"mongodb://%2Ftmp%2Fmongodb-{}.sock/\"", site.ports[0]))?;
    let end = site.stop_only(&[])?;
    cases.push(case(site, "over the Unix socket", &["mongod.service"], end));
    site.configure("")?;

    let said = frozen(site)?;
    site.machine.thaw("mongod.service")?;
    cases.push(case(site, "hangs before its shutdown", &["ask MongoDB", "did not answer", "no server"], said));
    Ok(cases)
}

/// The story: the API is started again ten times, and each time leaves connections behind.
fn leak(site: &Site, cases: &mut Vec<Case>) -> Result<()> {
    site.configure("client-limit = 30")?;
    site.machine.set_api_faults(&[ApiFault::LeakOnRestart(20)])?;
    for _ in 0..10 {
        site.machine.exec_ok(&["systemctl", "restart", "sample-api.service"])?;
        site.machine.wait_until_healthy(WAIT)?;
    }
    let plan = site.machine.exec(&["patchday", "plan"])?;
    cases.push(case(
        site,
        "ten leaks, in the plan",
        &["sample-api from 127.0.0.1"],
        (plan.code().unwrap_or(-1), plan.stdout),
    ));
    let end = site.stop_only(&[])?;
    cases.push(case(site, "ten leaks, in the run", &["left processes behind"], end));
    site.machine.set_api_faults(&[])?;
    // What the instances left behind is in the unit's control group.
    site.machine.exec_ok(&["systemctl", "kill", "--signal=SIGKILL", "sample-api.service"])?;
    site.machine.exec_ok(&["systemctl", "restart", "sample-api.service"])?;
    site.machine.wait_until_healthy(WAIT)
}

/// Freezes mongod once the API is down.
fn frozen(site: &Site) -> Result<(i32, String)> {
    site.want_work()?;
    let run = site.machine.spawn(&["patchday", "run", "--yes", "--no-reboot"])?;
    let state = || site.machine.exec_ok(&["systemctl", "show", "-P", "ActiveState", "sample-api.service"]);
    wait_for("the API's stop", WAIT, || Ok((state()?.trim() == "inactive").then_some(())))?;
    site.machine.freeze("mongod.service")?;
    let thaw = std::thread::spawn({
        let machine =
            site.machine.command(&["sh", "-c", "sleep 60; systemctl kill --signal=SIGCONT mongod.service"])?;
        let mut machine = machine;
        move || machine.status()
    });
    let output = run.wait_with_output().context("the run broke down")?;
    let _thawed = thaw.join();
    let said = [output.stderr, output.stdout].concat();
    Ok((output.status.code().unwrap_or(-1), String::from_utf8_lossy(&said).into_owned()))
}

pub(crate) fn secured(site: &Site) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    site.login("patchday", "wrong-password")?;
    let end = site.stop_only(&[])?;
    cases.push(case(site, "wrong password", &["SCRAM failure"], end));
    site.login("watcher", crate::setup::PASSWORD)?;
    let end = site.stop_only(&[])?;
    cases.push(case(site, "may not shut down", &["lacks the action shutdown"], end));
    let end = site.stop_only(&["--allow", "database-shutdown"])?;
    cases.push(case(site, "may not shut down, allowed", &["SIGTERM instead"], end));
    site.login("patchday", crate::setup::PASSWORD)?;

    let port = site.ports[0];
    let tls = "tls=true&tlsCAFile=/etc/mongodb/ca.pem";
    let certificate = "tlsCertificateKeyFile=/etc/mongodb/client.pem&authMechanism=MONGODB-X509";
    let string = site.machine.read_file("/etc/patchday/mongodb.uri")?;
    site.machine.write_file("/etc/credstore/lab", &string)?;
    site.machine.exec_ok(&["chmod", "0600", "/etc/credstore/lab"])?;
    for (name, way) in [
        ("login by certificate", format!("uri = \"mongodb://127.0.0.1:{port}/?{tls}&{certificate}\"")),
        ("connection string in a credential", "uri-credential = \"lab\"".to_owned()),
    ] {
        site.configure(&way)?;
        let end = site.stop_only(&[])?;
        cases.push(case(site, name, &["proven down", "is down", "mongod.service: stopped", "mongod.service"], end));
    }
    site.configure("")?;
    Ok(cases)
}

/// Whoever else is primary steps down, until it is the first member.
fn make_first_primary(site: &Site) -> Result<()> {
    wait_for("the first member as primary", WAIT, || {
        let primary = site.primary()?;
        if primary != 0 {
            // It may have stepped down by itself meanwhile.
            let _next_look_tells = site.command(primary, doc! { "replSetStepDown": 20 });
        }
        Ok((primary == 0).then_some(()))
    })
}

pub(crate) fn set(site: &Site) -> Result<Vec<Case>> {
    debug_assert!(site.shape == Shape::Set);
    let mut cases = Vec::new();
    // Only the first member is this host's: the others stand for other hosts.
    site.configure_members(&[0], "")?;
    make_first_primary(site)?;
    let end = site.stop_only(&[])?;
    cases.push(case(site, "a primary with two others", &["hands its part over"], end));
    site.wait_until_whole()?;

    for (name, arguments, words) in [
        ("no majority would stay", &[][..], "no majority"),
        ("the same, allowed in preflight", &["--allow", "database-set"][..], "must not go down"),
    ] {
        site.machine.exec_ok(&["systemctl", "stop", "mongod-2.service"])?;
        let end = site.stop_only(arguments)?;
        site.machine.exec_ok(&["systemctl", "start", "mongod-2.service"])?;
        site.wait_until_whole()?;
        cases.push(case(site, name, &[words], end));
    }

    // Who must never be primary cannot take the part over.
    make_first_primary(site)?;
    let mut config = site.command(0, doc! { "replSetGetConfig": 1 })?.get_document("config")?.clone();
    let version = config.get_i32("version")?;
    config.insert("version", version + 1);
    for (at, member) in config.get_array_mut("members")?.iter_mut().enumerate() {
        let member = member.as_document_mut().context("a member of the set is a document")?;
        member.insert("priority", f64::from(u8::from(at == 0)));
    }
    site.command(0, doc! { "replSetReconfig": config })?;
    for arguments in [&[][..], &["--allow", "database-set"][..]] {
        let end = site.stop_only(arguments)?;
        cases.push(case(site, "no electable secondary", &["no electable secondary"], end));
    }
    Ok(cases)
}
