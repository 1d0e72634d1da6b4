//! MongoDB. Only servers that run are asked: what is down needs no stop.

use super::servers::{Server, answering, running};
use super::{Check, CheckInputs, check};
use crate::host::{HostError, HostErrorKind};
use crate::model::{DatabaseCondition, DatabaseFacts, Finding, summary_of_clients};

/// What a run does on the cluster besides the shutdown, in any case.
const NEEDED: [&str; 4] = ["serverStatus", "inprog", "getCmdLineOpts", "getParameter"];
/// And on a member of a replica set.
const NEEDED_IN_A_SET: [&str; 3] = ["replSetGetStatus", "replSetGetConfig", "replSetStateChange"];

const GRANT_HINT: &str = "give it to the user's role, in mongosh; docs/mongodb.md has the whole role";

/// What gives Patchday's role these actions; harmless where it has them.
fn grant(actions: &[&str]) -> String {
    let actions: Vec<String> = actions.iter().map(|action| format!("\"{action}\"")).collect();
    let privilege = format!("{{ resource: {{ cluster: true }}, actions: [ {} ] }}", actions.join(", "));
    format!("db.getSiblingDB(\"admin\").grantPrivilegesToRole(\"patchday\", [ {privilege} ])")
}

/// The server answers, and will not tell this to our user. The run goes without it, and says so.
fn untold(check: &Check, error: &HostError) -> Finding {
    let finding = check.found("MongoDB does not tell our user what this check looks at").evidence(error.to_string());
    finding.remedy(GRANT_HINT, grant(&["inprog"]))
}

/// One line for each server in whose condition something is found.
async fn in_condition(
    inputs: &CheckInputs<'_>,
    look: impl Fn(&DatabaseFacts, &DatabaseCondition) -> Option<String>,
) -> Result<Vec<String>, HostError> {
    let mut evidence = Vec::new();
    for (server, facts) in answering(inputs.servers().await?) {
        let condition = server.condition(inputs.host).await?;
        evidence.extend(look(facts, condition).map(|what| format!("{}: {what}", server.service.unit)));
    }
    Ok(evidence)
}

/// A finding where there is evidence.
fn told(check: &Check, title: &str, evidence: Vec<String>, hint: &str) -> Option<Finding> {
    if evidence.is_empty() {
        return None;
    }
    let mut finding = check.found(title);
    finding.evidence = evidence;
    Some(finding.hint(hint))
}

/// `6.0` of `6.0.5`.
fn release(version: &str) -> Option<String> {
    let mut parts = version.split('.');
    Some(format!("{}.{}", parts.next()?, parts.next()?))
}

check!(
    DATABASE_REACHABLE,
    Database,
    "database-reachable",
    Blocker,
    60,
    "every configured MongoDB answers and knows our user",
    "A server that does not answer cannot be shut down cleanly.",
    |check, inputs| {
        let servers = running(inputs.servers().await?);
        let silent: Vec<_> =
            servers.filter_map(|server| Some((&server.service.unit, server.answer.as_ref().err()?))).collect();
        let hint = match silent.first() {
            Some((_, error)) if error.is_about_tls() => {
                "fix the certificate, or how [service.mongodb] uri names it; docs/mongodb.md has both"
            }
            Some((_, error)) if error.kind == HostErrorKind::Refused => "give [service.mongodb] a valid login",
            _ => "see that it runs, and that [service.mongodb] leads to it: address, port, TLS",
        };
        let title = "a MongoDB cannot be asked, so it could not be shut down cleanly";
        Ok(told(check, title, silent.iter().map(|(unit, error)| format!("{unit}: {error}")).collect(), hint))
    }
);

check!(
    DATABASE_SHUTDOWN,
    Database,
    "database-shutdown",
    Blocker,
    60,
    "Patchday's user may shut every MongoDB down",
    "Without the right the stop falls back to SIGTERM through the unit, and no primary steps down first.",
    |check, inputs| {
        let lacks = |_: &DatabaseFacts, condition: &DatabaseCondition| {
            let lacking = condition.lacks(&["shutdown"]);
            (!lacking.is_empty()).then(|| "its user lacks the action shutdown on the cluster".to_owned())
        };
        let title = "MongoDB would refuse to be shut down by its own command";
        let found = told(check, title, in_condition(inputs, lacks).await?, GRANT_HINT);
        Ok(found.map(|finding| finding.remedy(GRANT_HINT, grant(&["shutdown"]))))
    }
);

check!(
    DATABASE_RIGHTS,
    Database,
    "database-rights",
    Warning,
    60,
    "Patchday's user may see what a stop wants to know",
    "What it may not see is missing in the proof of a clean end.",
    |check, inputs| {
        let lacks = |facts: &DatabaseFacts, condition: &DatabaseCondition| {
            let mut lacking = condition.lacks(&NEEDED);
            if facts.set_name.is_some() {
                lacking.extend(condition.lacks(&NEEDED_IN_A_SET));
            }
            (!lacking.is_empty()).then(|| format!("its user lacks {} on the cluster", lacking.join(", ")))
        };
        let title = "MongoDB will not tell all that a stop wants to know";
        let found = told(check, title, in_condition(inputs, lacks).await?, GRANT_HINT);
        Ok(found.map(|finding| finding.remedy(GRANT_HINT, grant(&[&NEEDED[..], &NEEDED_IN_A_SET].concat()))))
    }
);

check!(
    DATABASE_SET,
    Database,
    "database-set",
    Blocker,
    60,
    "every replica set can do without this host's members",
    "A set without a majority takes no writes. Members on this host go together, and are no help to each other.",
    |check, inputs| {
        let servers = answering(inputs.servers().await?);
        let leaving: Vec<String> = servers.iter().filter_map(|(_, facts)| facts.member.clone()).collect();
        let mut evidence = Vec::new();
        for (Server { service, access, .. }, facts) in servers {
            if facts.role == "other" {
                let why = facts.outside.as_deref().unwrap_or("it is neither primary nor secondary of its set");
                evidence.push(format!("{}: {why}", service.unit));
                continue;
            }
            if facts.set_name.is_none() {
                continue;
            }
            let Some(set) = inputs.host.insight.replica_set(access).await? else { continue };
            let refusal = set.refusal(&leaving, facts.role == "primary", service.mongodb.max_lag);
            evidence.extend(refusal.map(|why| format!("{}, {}: {why}", service.unit, facts.described())));
        }
        let title = "a replica set cannot do without this host now";
        Ok(told(check, title, evidence, "bring the other members back, or let them catch up"))
    }
);

check!(
    DATABASE_CLIENTS,
    Database,
    "database-clients",
    Warning,
    60,
    "MongoDB has no flood of connections",
    "Connections that leak are the first sign of an application that will not come back well.",
    |check, inputs| {
        let mut evidence = Vec::new();
        for (Server { service, access, .. }, facts) in answering(inputs.servers().await?) {
            let clients = match inputs.host.insight.clients(access).await {
                Err(error) if error.kind == HostErrorKind::Refused => return Ok(Some(untold(check, &error))),
                clients => clients?,
            };
            let limit = service.mongodb.client_limit as usize;
            if clients.len() > limit {
                let (_, facts) = super::server_of(inputs.host, service, facts.clone()).await?;
                let clients = inputs.host.forensics.with_ages(&facts, clients, inputs.host.clock.wall()).await;
                evidence.push(format!("{}: {} connections, {limit} at most expected", service.unit, clients.len()));
                evidence.extend(summary_of_clients(&clients));
            }
        }
        let title = "MongoDB has more client connections than it should: a client leaks them";
        Ok(told(check, title, evidence, "see which application leaks connections; client-limit sets the limit"))
    }
);

check!(
    DATABASE_OPERATIONS,
    Database,
    "database-operations",
    Warning,
    60,
    "no long operation and no index build is under way",
    "The stop would have to wait for it, or to end it.",
    |check, inputs| {
        let mut evidence = Vec::new();
        for (Server { service, access, .. }, _) in answering(inputs.servers().await?) {
            let limit = service.mongodb.operation_limit;
            let operations = match inputs.host.insight.operations(access).await {
                Err(error) if error.kind == HostErrorKind::Refused => return Ok(Some(untold(check, &error))),
                operations => operations?,
            };
            let long = operations.iter().filter(|one| one.is_index_build || one.running >= limit);
            evidence.extend(long.map(|one| format!("{}: {one}", service.unit)));
        }
        let title = "MongoDB is at work on what the stop would have to wait for";
        Ok(told(check, title, evidence, "let it end first, or see that long-operations says what you want"))
    }
);

check!(
    DATABASE_LOCKED,
    Database,
    "database-locked",
    Blocker,
    60,
    "no client holds an fsyncLock",
    "A server is locked to copy its files; a stop would spoil the copy.",
    |check, inputs| {
        let locked = |_: &DatabaseFacts, condition: &DatabaseCondition| {
            (condition.fsync_locked == Some(true)).then(|| "writes are blocked by fsyncLock".to_owned())
        };
        let title = "a MongoDB is locked, most likely for a backup";
        Ok(told(check, title, in_condition(inputs, locked).await?, "let the backup end, or unlock: db.fsyncUnlock()"))
    }
);

check!(
    DATABASE_COMPATIBILITY,
    Database,
    "database-compatibility",
    Warning,
    60,
    "data are of the release that runs",
    "A server refuses to start on data that are two releases old.",
    |check, inputs| {
        let older = |facts: &DatabaseFacts, condition: &DatabaseCondition| {
            let (release, data) = (release(&facts.version)?, condition.compatibility.as_ref()?);
            (&release != data).then(|| format!("version {}, data of {data}", facts.version))
        };
        let title = "the feature compatibility version is not that of the server";
        let hint = "finish the last upgrade once it has proven itself: setFeatureCompatibilityVersion";
        Ok(told(check, title, in_condition(inputs, older).await?, hint))
    }
);

check!(
    DATABASE_JOURNAL,
    Database,
    "database-journal",
    Warning,
    60,
    "every MongoDB writes a journal",
    "Without one a crash loses what was written since the last checkpoint.",
    |check, inputs| {
        let off = |_: &DatabaseFacts, condition: &DatabaseCondition| {
            (condition.journaled == Some(false)).then(|| "storage.journal.enabled is false".to_owned())
        };
        let hint = "take storage.journal.enabled out of its configuration";
        Ok(told(check, "a MongoDB writes no journal", in_condition(inputs, off).await?, hint))
    }
);

check!(
    DATABASE_FILES,
    Database,
    "database-files",
    Blocker,
    60,
    "every MongoDB may use its data, log, socket and keys at its next start",
    "A server that runs does not notice that a file has another owner now; its next start fails.",
    |check, inputs| {
        let mut evidence = Vec::new();
        for Server { service, .. } in running(inputs.servers().await?) {
            let symptoms = match inputs.host.forensics.symptoms(&service.unit).await {
                Ok(symptoms) => symptoms,
                // A wrapper, or a container, starts it: then its files are none that could be known.
                Err(error) if error.kind == HostErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            let unusable = symptoms.files.iter().filter(|file| file.problem.is_some());
            evidence.extend(unusable.map(|file| format!("{}: {}", service.unit, file.described())));
        }
        let title = "a MongoDB that runs would not start again";
        Ok(told(check, title, evidence, "give the files back to the server's user before it stops"))
    }
);
