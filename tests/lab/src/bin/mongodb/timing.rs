//! How long a stop takes beside `systemctl stop`, in the same machine, with connections open.

use crate::setup::Site;
use anyhow::{Context, Result};
use mongodb::Client;
use mongodb::bson::doc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Seconds, medians of a few.
pub(crate) struct Timing {
    pub(crate) connections: u32,
    pub(crate) systemctl: f64,
    /// From the order to go down until proven down.
    pub(crate) patchday: f64,
    /// The whole step, without the wait for clients to leave: who the server is and who is connected is asked before,
    /// and its log and lock file are read after.
    pub(crate) with_questions: f64,
    /// The whole step.
    pub(crate) with_drain: f64,
}

pub(crate) fn measure(site: &Site, connections: u32, times: u32) -> Result<Timing> {
    site.configure("")?;
    let (mut systemctl, mut patchday) = (Vec::new(), Vec::new());
    let (mut with_questions, mut with_drain) = (Vec::new(), Vec::new());
    for _ in 0..times {
        let held = open(site, connections)?;
        site.machine.exec_ok(&["systemctl", "stop", "sample-api.service"])?;
        let began = Instant::now();
        site.machine.exec_ok(&["systemctl", "stop", "mongod.service"])?;
        systemctl.push(began.elapsed().as_secs_f64());
        drop(held);
        site.machine.exec_ok(&["systemctl", "start", "mongod.service", "sample-api.service"])?;
        site.machine.wait_until_healthy(Duration::from_secs(60))?;

        let held = open(site, connections)?;
        let (code, said) = site.stop_only(&[])?;
        anyhow::ensure!(code == 0, "exit code {code}: {said}");
        drop(held);
        let report = site.machine.exec_ok(&["patchday", "report", "--json"])?;
        let proof =
            report.split("\"stopped\"").find(|part| part.contains("\"database_evidence\"")).context("no proof")?;
        let took = seconds(proof, "took").context("no measure")?;
        with_drain.push(took);
        with_questions.push(took - seconds(proof, "drained").context("no measure of the drain")?);
        patchday.push(seconds(proof, "shutdown").context("no measure of the shutdown")?);
    }
    let median = |values: &mut Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    Ok(Timing {
        connections,
        systemctl: median(&mut systemctl),
        patchday: median(&mut patchday),
        with_questions: median(&mut with_questions),
        with_drain: median(&mut with_drain),
    })
}

/// Connections that stand and do nothing.
fn open(site: &Site, connections: u32) -> Result<Option<Client>> {
    if connections == 0 {
        return Ok(None);
    }
    // Two at a time, as the driver opens them by default, takes minutes.
    let pool = format!("&minPoolSize={connections}&maxPoolSize={connections}&maxConnecting=100");
    let client = site.client("idle", &pool)?;
    let admin = client.database("admin");
    site.runtime.block_on(async {
        let mut asking = JoinSet::new();
        for _ in 0..connections {
            let admin = admin.clone();
            asking.spawn(async move { admin.run_command(doc! { "ping": 1 }).await });
        }
        while let Some(answer) = asking.join_next().await {
            answer??;
        }
        loop {
            let status = admin.run_command(doc! { "serverStatus": 1, "metrics": 0 }).await?;
            let current = status.get_document("connections")?.get_i32("current")?;
            if current >= i32::try_from(connections)? {
                return anyhow::Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })?;
    Ok(Some(client))
}

/// A duration of the report, as in `PT0.153S`.
fn seconds(text: &str, key: &str) -> Option<f64> {
    let value = text.split(&format!("\"{key}\": \"PT")).nth(1)?.split('"').next()?;
    let (minutes, seconds) = value.split_once('M').unwrap_or(("0", value));
    let seconds = if seconds.is_empty() { 0.0 } else { seconds.strip_suffix('S')?.parse::<f64>().ok()? };
    Some(minutes.parse::<f64>().ok()? * 60.0 + seconds)
}
