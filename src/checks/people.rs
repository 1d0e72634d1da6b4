//! Who uses the host now.
use super::check;
use crate::config::UserSource;
use crate::host::HostError;
use crate::model::spoken::exactly;
use crate::model::{PortPeers, Session, Severity, Trigger};

check!(
    USERS_LOGGED_IN,
    People,
    "users-logged-in",
    Warning,
    60,
    "no one but you is logged in",
    "The reboot ends every session, and what was not saved in it. A run that a person starts expects one session: \
     that person's.",
    |check, inputs| {
        let sessions = inputs.host.people.sessions().await?;
        let own = usize::from(inputs.options.trigger == Trigger::Operator);
        if sessions.len() <= own {
            return Ok(None);
        }
        let title = format!("{} sessions would be ended by the reboot", sessions.len());
        let finding = check.found(title).lines(sessions.iter().map(told));
        Ok(Some(finding.remedy("tell them", "loginctl list-sessions")))
    }
);

check!(
    CONNECTIONS,
    People,
    "connections",
    Warning,
    60,
    "no more clients are connected to the services than usual",
    "The stop cuts these connections. [preflight] max-connections says how many are usual; fewer are only shown. \
     Connections of one configured service to another do not count.",
    |check, inputs| {
        let services: Vec<_> = inputs.settings.services.iter().map(|service| service.unit.clone()).collect();
        let peers = inputs.host.people.peers(&services).await?;
        let clients: Vec<&PortPeers> =
            peers.iter().filter(|peer| !peer.unit.as_ref().is_some_and(|unit| services.contains(unit))).collect();
        let count: usize = clients.iter().map(|peer| peer.connections).sum();
        if count == 0 {
            return Ok(None);
        }
        let lines = clients.iter().map(|peer| {
            let unit = peer.unit.as_ref().map_or(String::new(), |unit| format!(" ({unit})"));
            format!("{}: {} from {}{unit} to port {}", peer.service, peer.connections, peer.from, peer.port)
        });
        let mut finding = check.found(format!("{count} connections to the services stand")).lines(lines.take(20));
        if count <= inputs.settings.preflight.max_connections as usize {
            finding.severity = Severity::Info;
        }
        Ok(Some(finding.remedy("see whose they are", "ss -tnp state established")))
    }
);

check!(
    USERS_ACTIVE,
    People,
    "users-active",
    Blocker,
    60,
    "the application counts no more active users than its limit",
    "[preflight] names a page of the application that answers with a number (users-url), or a collection of MongoDB whose \
     documents have the time at which each user was last seen (users-collection), and the limit. Above it the run waits for \
     another day.",
    |check, inputs| {
        let Some(users) = &inputs.settings.preflight.users else { return Ok(None) };
        let (active, counted) = match &users.source {
            UserSource::Page { url } => (inputs.host.prober.count(url).await?, format!("{url} says")),
            UserSource::Documents { unit, collection, field, within } => {
                let access = inputs.settings.service(unit).and_then(|service| service.database.as_ref());
                let missing = || HostError::failed("count active users", format!("{unit} is no MongoDB"));
                let access = access.ok_or_else(missing)?;
                let since = inputs.host.clock.wall() - *within;
                let active = inputs.host.insight.count_since(access, collection, field, since).await?;
                (
                    active,
                    format!(
                        "{collection} has documents with a {field} of the last {within}:",
                        within = exactly(*within)
                    ),
                )
            }
        };
        if active <= users.limit {
            return Ok(None);
        }
        let finding = check.found(format!("{active} users are active"));
        let finding = finding.evidence(format!("{counted} {active}, the limit is {}", users.limit));
        Ok(Some(finding.hint("wait until they are gone, or raise [preflight] users-limit")))
    }
);

check!(
    LOAD,
    People,
    "load",
    Warning,
    10,
    "the host is not overloaded already",
    "A busy host upgrades slowly, and serves users. Wait, or find out what keeps it busy.",
    |check, inputs| {
        let resources = inputs.host.system.resources().await?;
        if resources.load_one_minute <= 2.0 * f64::from(resources.cpus.max(1)) {
            return Ok(None);
        }
        let line = format!("load {:.1} on {} CPUs", resources.load_one_minute, resources.cpus);
        let finding = check.found("the host is busy; the run will take longer").evidence(line);
        Ok(Some(
            finding.remedy("wait for a quieter hour, or see what keeps it busy", "ps --sort -pcpu -eo pcpu,unit,comm"),
        ))
    }
);

fn told(session: &Session) -> String {
    let on = if session.terminal.is_empty() { String::new() } else { format!(" on {}", session.terminal) };
    let from = if session.remote_host.is_empty() { String::new() } else { format!(" from {}", session.remote_host) };
    let since = session.since.map_or(String::new(), |since| format!(" since {since:.0}"));
    format!("{}{on}{from}{since} (session {})", session.user, session.id)
}
