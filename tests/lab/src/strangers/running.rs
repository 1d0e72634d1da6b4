//! A run that was begun on a scene.

use super::said::Said;
use super::scene::{PATIENCE, Scene, first_error};
use crate::wait::wait_for;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::process::Child;

/// A run at work.
pub struct Running<'s, 'a> {
    pub(super) scene: &'s Scene<'a>,
    pub(super) child: Child,
    pub(super) verb: String,
    pub(super) before: Option<String>,
}

impl Running<'_, '_> {
    /// Waits until a step is at work: `upgrade`, `stop:mongod.service`.
    pub fn at(&self, step: &str) -> Result<()> {
        wait_for(&format!("the step {step}"), PATIENCE, || {
            let Ok(status) = self.scene.json(&["status", "--json"]) else { return Ok(None) };
            Ok((status["attempt"]["step"] == step).then_some(()))
        })
    }

    /// Waits for the end of the run, over its reboot too, and for its report.
    pub fn ended(self) -> Result<Said> {
        let Self { scene, child, verb, before } = self;
        let output = child.wait_with_output().context("wait for the run")?;
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let mut text = format!("{stdout}{stderr}");
        let mut code = output.status.code();
        // A machine that goes down ends the command by a signal; Patchday itself, if it is told in time, with 130.
        let cut_off = code.is_none_or(|code| code > 128);
        if code == Some(124) {
            code = None;
        } else if cut_off {
            wait_for("the end of the run", PATIENCE, || {
                let Ok(status) = scene.json(&["status", "--json"]) else { return Ok(None) };
                let closed = status["open"] == false && status["coordinator"].is_null();
                Ok((status["run"].is_string() && closed).then_some(()))
            })
            .with_context(|| format!("{text}\n{}", scene.machine().journal()))?;
            let attached = scene.machine().exec(&["patchday", "attach", "--last"])?;
            text.push_str(&attached.stdout);
            text.push_str(&attached.stderr);
            code = attached.code();
        }
        let mut said = Said { verb, code, headline: first_error(&text), text };
        if scene.run_id() != before {
            let report = scene.machine().exec(&["patchday", "report"])?.stdout;
            said.text.push_str(&report);
            let text = scene.machine().exec(&["patchday", "report", "--json"])?.stdout;
            let Ok(report) = serde_json::from_str::<Value>(&text) else { bail!("no report: {}", said.text) };
            if let Some(summary) = report["summary"].as_str() {
                said.headline = summary.to_owned();
            }
            scene.report.replace(Some(text));
        }
        scene.last.replace(Some(said.clone()));
        Ok(said)
    }
}
