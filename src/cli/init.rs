//! `patchday init`: look at what runs, and write a configuration of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::stdout;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::Duration;

use super::app::{App, online_cpus, require_root};
use super::args::InitArgs;
use crate::atomic_file;
use crate::checks;
use crate::config;
use crate::discovery::{self, Candidate, HttpAnswer};
use crate::error::{Failure, FailureKind};
use crate::exit_code;
use crate::host::bus::{Bus, BusAddress};
use crate::host::systemd::SystemdUnits;
use crate::host::{System, Units, probe, sockets, system::HostSystem};
use crate::model::{ListeningSocket, UnitName, UnitRelations, UnitState};
use crate::ui;

/// A service that takes longer to answer is not asked again: the file says how to add a probe.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

pub(super) async fn init(app: &App, args: &InitArgs) -> Result<u8, Failure> {
    require_root("init")?;
    let exists = app.config.exists();
    if exists && !args.force && !args.stdout {
        let message = format!("{} exists already, and is not replaced", app.config.display());
        return Err(Failure::new(FailureKind::Usage, message).hint("patchday init --force, or patchday init --stdout"));
    }
    let candidates = find_candidates().await?;
    let text = discovery::render(&candidates, online_cpus());
    // Nobody should be handed a file that the next command refuses.
    let labels: Vec<&str> = crate::checks::labels().collect();
    config::parse(&text, &app.config, online_cpus(), &labels)?;
    if args.stdout {
        ui::print_data(&mut stdout(), &text);
        return Ok(exit_code::DONE);
    }
    write(&app.config, &text)?;
    let names: Vec<String> = candidates.iter().map(|candidate| candidate.unit.to_string()).collect();
    let found = if names.is_empty() { "no service was found to take along".into() } else { names.join(", ") };
    let notes: String = candidates.iter().flat_map(|one| &one.notes).map(|note| format!("note: {note}\n")).collect();
    let told = format!("wrote {}: {found}\n{notes}read it, then: patchday plan\n", app.config.display());
    ui::print_data(&mut std::io::stderr(), &told);
    Ok(exit_code::DONE)
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let failed =
        |error: std::io::Error| Failure::new(FailureKind::Unexpected, format!("write {}: {error}", path.display()));
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        fs::DirBuilder::new().recursive(true).mode(0o755).create(directory).map_err(failed)?;
    }
    // A whole file or the old one: a half-written configuration would be obeyed.
    atomic_file::replace_shared(path, text.as_bytes(), 0o644).map_err(failed)
}

/// MongoDB, the units that hold connections to it, and the units that are ordered after it.
async fn find_candidates() -> Result<Vec<Candidate>, Failure> {
    let root = Path::new("/");
    let bus = Bus::new(BusAddress::System);
    let units = SystemdUnits::new(bus, root);
    let mut listening = HostSystem::new(root.to_owned()).listening_sockets().await?;
    listening.retain(|socket| socket.protocol.starts_with("tcp"));
    let by_unit = addresses_by_unit(&listening);
    let mongods = mongods(&listening);

    let mut clients: BTreeMap<UnitName, u32> = BTreeMap::new();
    for port in mongods.values() {
        for client in sockets::connections_to(root, *port)? {
            if let Some(unit) = client.unit.filter(|unit| !mongods.contains_key(unit)) {
                *clients.entry(unit).or_default() += u32::try_from(client.connections).unwrap_or(u32::MAX);
            }
        }
    }

    let active: Vec<UnitName> = units.survey().await?.active;
    let mut candidates = Vec::new();
    for unit in active.into_iter().filter(config::takes_unit) {
        let is_mongod = mongods.contains_key(&unit);
        let holds = clients.get(&unit).copied().unwrap_or(0);
        let state = units.state(&unit).await?;
        let follows_mongod = state.after.iter().any(|after| mongods.contains_key(after));
        // systemd orders its own units in many ways; a unit without a process serves nobody.
        if !(is_mongod || holds > 0 || (follows_mongod && state.main_pid.is_some())) {
            continue;
        }
        let mut relations = units.dependents(std::slice::from_ref(&unit)).await?;
        let notes = notes(&unit, &state, relations.remove(&unit));
        let listens: Vec<SocketAddr> = by_unit.get(&unit).into_iter().flatten().copied().collect();
        let http_answers = if is_mongod { None } else { first_http_answer(&listens).await };
        candidates.push(Candidate {
            description: String::new(),
            mongodb: is_mongod,
            mongod_port: mongods.get(&unit).copied(),
            listens,
            holds_connections_to_mongodb: holds,
            after: state.after,
            notes,
            http_answers,
            unit,
        });
    }
    Ok(candidates)
}

/// Why the unit does not belong into the file as it is: a plan would refuse to run with it.
fn notes(unit: &UnitName, state: &UnitState, relations: Option<UnitRelations>) -> Vec<String> {
    let mut notes = relations.map_or(Vec::new(), |relations| checks::uncontrollable(unit, &relations));
    notes.iter_mut().for_each(|note| note.push_str(". Give it a unit file of its own, or take it out."));
    if state.is_started_by_nobody() {
        notes.push(format!("no boot starts {unit}. Enable it, or take it out: it would not be back after the reboot."));
    }
    notes
}

fn addresses_by_unit(listening: &[ListeningSocket]) -> BTreeMap<UnitName, BTreeSet<SocketAddr>> {
    let mut by_unit: BTreeMap<UnitName, BTreeSet<SocketAddr>> = BTreeMap::new();
    for socket in listening {
        if let (Some(unit), Ok(address)) = (&socket.unit, socket.address.parse()) {
            by_unit.entry(unit.clone()).or_default().insert(address);
        }
    }
    by_unit
}

/// Units whose listening program is a mongod, and the lowest port of each.
fn mongods(listening: &[ListeningSocket]) -> BTreeMap<UnitName, u16> {
    let mut found: BTreeMap<UnitName, u16> = BTreeMap::new();
    for socket in listening.iter().filter(|socket| socket.program == "mongod") {
        if let (Some(unit), Ok(address)) = (&socket.unit, socket.address.parse::<SocketAddr>()) {
            let port = found.entry(unit.clone()).or_insert(address.port());
            *port = (*port).min(address.port());
        }
    }
    found
}

/// The address that answers a GET: at `/health`, where many services have one, else at `/`.
async fn first_http_answer(listens: &[SocketAddr]) -> Option<HttpAnswer> {
    probe::install_crypto_provider();
    let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    let client = client.timeout(ANSWER_WITHIN).build().ok()?;
    let mut any = None;
    for address in listens {
        for path in ["/health", "/"] {
            let url = format!("http://{}{path}", reachable(address));
            let Ok(answer) = client.get(&url).send().await else { break };
            let status = answer.status().as_u16();
            if answer.status().is_success() {
                return Some(HttpAnswer { url, status });
            }
            any.get_or_insert(HttpAnswer { url, status });
        }
    }
    any
}

/// An address that listens on every interface is asked on the loopback one.
fn reachable(address: &SocketAddr) -> SocketAddr {
    let mut address = *address;
    if address.ip().is_unspecified() {
        let loopback = if address.is_ipv4() { [127, 0, 0, 1].into() } else { std::net::Ipv6Addr::LOCALHOST.into() };
        address.set_ip(loopback);
    }
    address
}
