//! Whether the proofs of clean ends that are wanted could be taken: what is found out after the stop ends the run with the
//! services down for nothing.

use super::{check, is_allowed};
use crate::config::Settings;
use crate::model::RunOptions;

const LABEL: &str = "stop-proof";

/// Whether a service may be stopped although nothing would prove that it ended cleanly.
pub fn goes_without_proof(settings: &Settings, options: &RunOptions) -> bool {
    is_allowed(settings, options, LABEL)
}

check!(
    STOP_PROOF,
    Database,
    "stop-proof",
    Blocker,
    120,
    "every proof of a clean end that is wanted could be taken",
    "What `stop-proof` asks for is looked for while the server runs: its process, `pg_controldata` and its answer, the log \
     that it writes to, the program of the configuration. Found missing after the stop, it would end the run with the \
     services down for nothing. With `--allow stop-proof` such a service is stopped without a proof.",
    |check, inputs| {
        let up = inputs.units().await?.iter().filter(|(_, state)| state.is_up()).map(|(unit, _)| unit);
        let mut found = None;
        for unit in up {
            let Some(wanted) = inputs.settings.service(unit).and_then(|service| service.stop_proof.as_ref()) else {
                continue;
            };
            let Err(error) = inputs.host.end_proofs.find(unit, wanted).await else { continue };
            let finding = found.take().unwrap_or_else(|| {
                let hint = "name the unit whose process the server is, as postgresql@15-main.service, or prove it by a program \
                            of your own (docs/databases.md)";
                check
                    .found("nothing would prove that a server ended cleanly")
                    .remedy(hint, format!("systemctl status {unit}"))
            });
            found = Some(finding.evidence(format!("{unit}: {}", error.why)));
        }
        Ok(found)
    }
);
