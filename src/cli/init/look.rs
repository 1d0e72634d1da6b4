//! What runs on this host, and what it answers.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::checks;
use crate::discovery::{self, Bears, Candidate, HttpAnswer, Seen, Selection, reachable};
use crate::error::Failure;
use crate::host::bus::{Bus, BusAddress};
use crate::host::end_proof::ServerFiles;
use crate::host::systemd::SystemdUnits;
use crate::host::{EndProofs, Units, probe, sockets};
use crate::model::{ServiceKind, UnitName, UnitRelations, UnitState, WantedProof};

/// A service that takes longer to answer is not asked again: its unit is its probe then.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// So many addresses of a service are asked.
const ASKED: usize = 4;

/// All that belongs into the file, with the probe of each tried.
pub(super) async fn look() -> Result<Selection, Failure> {
    let root = Path::new("/");
    let mut listening = sockets::listening(root)?;
    listening.retain(|socket| socket.protocol.starts_with("tcp"));
    let unix = sockets::listening_unix(root)?;

    let units: Arc<dyn Units> = Arc::new(SystemdUnits::new(Bus::new(BusAddress::System), root));
    let mut by_unit: BTreeMap<UnitName, Seen> = active_services(&*units).await?;
    for socket in listening.iter().chain(&unix) {
        let Some(seen) = socket.unit.as_ref().and_then(|unit| by_unit.get_mut(unit)) else { continue };
        match socket.address.parse::<SocketAddr>() {
            Ok(address) => seen.listens.push(address),
            Err(_) => seen.sockets.push(socket.address.clone()),
        }
    }
    for held in sockets::connections(root)? {
        if let Some(seen) = by_unit.get_mut(&held.client) {
            seen.connections.push((held.server, held.connections));
        }
    }

    let seen: Vec<Seen> = by_unit.into_values().collect();
    let mut selection = discovery::choose(&seen);
    selection.left_out.extend(discovery::strays(&listening));
    let proofs = ServerFiles::new(units, root.to_owned());
    for candidate in &mut selection.candidates {
        let wanted = candidate.server.and_then(|server| WantedProof::of_server(server.stop_proof?));
        if let Some(wanted) = wanted {
            candidate.unproven = proofs.find(&candidate.unit, &wanted).await.err().map(|error| error.why);
        }
        let asked: BTreeSet<SocketAddr> = candidate.listens.iter().map(|address| reachable(*address)).collect();
        ask(candidate, asked.into_iter().take(ASKED)).await;
    }
    Ok(selection)
}

/// What systemd knows of each service that is active.
async fn active_services(units: &dyn Units) -> Result<BTreeMap<UnitName, Seen>, Failure> {
    let mut active = units.survey().await?.active;
    active.retain(|unit| unit.as_str().ends_with(".service"));
    let mut relations = units.dependents(&active).await?;
    let mut services = BTreeMap::new();
    for unit in active {
        let state = units.state(&unit).await?;
        let relations = relations.remove(&unit).unwrap_or_default();
        let mut processes = units.processes(&unit).await?;
        // The main process says best what it is.
        processes.sort_by_key(|process| Some(process.pid) != state.main_pid);
        let seen = Seen {
            obstacles: obstacles(&unit, &state, &relations),
            relations,
            programs: processes.into_iter().map(|process| process.name).collect(),
            listens: Vec::new(),
            sockets: Vec::new(),
            connections: Vec::new(),
            unit: unit.clone(),
        };
        services.insert(unit, seen);
    }
    Ok(services)
}

/// Why a plan would refuse to run with it.
fn obstacles(unit: &UnitName, state: &UnitState, relations: &UnitRelations) -> Vec<String> {
    let mut obstacles = checks::uncontrollable(unit, relations);
    if state.is_started_by_nobody() {
        obstacles.push(format!("no boot starts {unit}"));
    }
    obstacles
}

/// Tries as much as it bears: whether it accepts, and what it answers. A mongod has a probe of its own.
async fn ask(candidate: &mut Candidate, addresses: impl Iterator<Item = SocketAddr>) {
    let bears = candidate.bears();
    if candidate.kind() == ServiceKind::Mongodb || bears == Bears::Nothing {
        return;
    }
    for address in addresses {
        if !matches!(timeout(ANSWER_WITHIN, TcpStream::connect(address)).await, Ok(Ok(_))) {
            continue;
        }
        candidate.accepts.get_or_insert(address);
        if bears != Bears::Http || discovery::speaks_otherwise(address.port()) {
            continue;
        }
        match http_answer(address).await {
            Some(answer) if (200..400).contains(&answer.status) => {
                candidate.http_answers = Some(answer);
                return;
            }
            Some(answer) => drop(candidate.http_answers.get_or_insert(answer)),
            None => {}
        }
    }
}

/// What a GET answers: at `/health`, where many services have a page for that, else at `/`.
async fn http_answer(address: SocketAddr) -> Option<HttpAnswer> {
    probe::install_crypto_provider();
    let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    let client = client.timeout(ANSWER_WITHIN).build().ok()?;
    let scheme = if matches!(address.port(), 443 | 8443) { "https" } else { "http" };
    let mut last = None;
    for path in ["/health", "/"] {
        let url = format!("{scheme}://{address}{path}");
        let Ok(answer) = client.get(&url).send().await else { break };
        let status = answer.status();
        last = Some(HttpAnswer { url, status: status.as_u16() });
        if status.is_success() {
            break;
        }
    }
    last
}
