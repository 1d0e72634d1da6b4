//! How units hang together, and what happens to them.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use futures_util::future::join_all;
use jiff::SignedDuration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use zbus::{Connection, MatchRule, MessageStream, message};

use super::manager::Manager;
use super::object::{object_path, unescaped};
use super::proxy::{ALREADY_SUBSCRIBED, MANAGER_PATH, SERVICE_NAME, manager, properties};
use super::unit_properties::UnitProperty;
use crate::host::bus::{host_error, is_named};
use crate::host::{HostResult, UnitChanges};
use crate::model::{UnitName, UnitRelations};

/// Questions that are under way at the same time: enough to keep systemd busy, few enough to leave it time for others.
const AT_ONCE: usize = 64;

/// Queue between the connection and the draining task.
const MAX_QUEUED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(4095);

impl Manager {
    pub(super) async fn relations(&self, units: &[UnitName]) -> HostResult<BTreeMap<UnitName, UnitRelations>> {
        self.walk(units, |one| [one.after.clone(), one.needs.clone(), one.wants.clone()].concat()).await
    }

    pub(super) async fn dependents(&self, units: &[UnitName]) -> HostResult<BTreeMap<UnitName, UnitRelations>> {
        self.walk(units, |one| [one.stops.clone(), one.triggered_by.clone(), one.upheld_by.clone()].concat()).await
    }

    /// What follows a change within `burst` is told together with it.
    pub(super) async fn listen(&self, burst: Duration) -> HostResult<Box<dyn UnitChanges>> {
        let signals = self.bus.retry(|connection| async move { Signals::subscribe(&connection, burst).await }).await;
        Ok(Box::new(signals.map_err(|error| host_error("listen to systemd", &error))?))
    }

    /// From unit to unit. One call for a unit and one more for its type, all of a distance at once.
    async fn walk(
        &self,
        units: &[UnitName],
        onward: impl Fn(&UnitRelations) -> Vec<UnitName> + Send + Sync,
    ) -> HostResult<BTreeMap<UnitName, UnitRelations>> {
        let mut known: BTreeMap<UnitName, UnitRelations> = BTreeMap::new();
        let mut wanted: BTreeSet<UnitName> = units.iter().cloned().collect();
        while !wanted.is_empty() {
            let asked: Vec<UnitName> = wanted.into_iter().collect();
            for some in asked.chunks(AT_ONCE) {
                let answers = join_all(some.iter().map(|unit| self.one(unit))).await;
                for (unit, answer) in some.iter().zip(answers) {
                    let what = format!("read the relations of {unit}");
                    known.insert(unit.clone(), answer.map_err(|error| host_error(what, &error))?);
                }
            }
            let next = asked.iter().filter_map(|unit| known.get(unit)).flat_map(&onward);
            wanted = next.filter(|unit| !known.contains_key(unit)).collect();
        }
        Ok(known)
    }

    async fn one(&self, unit: &UnitName) -> zbus::Result<UnitRelations> {
        let path = &object_path(unit.as_str())?;
        let is_service = unit.as_str().ends_with(".service");
        self.bus
            .retry(|connection| async move {
                let known = properties(&connection, path, "Unit").await?;
                let (service_type, has_stop_program, has_bus_name) = match is_service {
                    true => {
                        let service = properties(&connection, path, "Service").await?;
                        let has_bus_name = service.text(UnitProperty::BusName).is_some_and(|name| !name.is_empty());
                        (
                            service.text(UnitProperty::Type).unwrap_or_default(),
                            service.is_filled(UnitProperty::ExecStop),
                            has_bus_name,
                        )
                    }
                    false => (String::new(), false, false),
                };
                let all = |properties: &[UnitProperty]| -> Vec<UnitName> {
                    let mut units: Vec<UnitName> = Vec::new();
                    for name in properties.iter().flat_map(|property| known.texts(*property)) {
                        // Kinds of unit without a name of ours (devices) start nothing and stop nothing.
                        let Ok(name) = name.parse() else { continue };
                        if !units.contains(&name) {
                            units.push(name);
                        }
                    }
                    units
                };
                let active = known.text(UnitProperty::ActiveState);
                let is_down = matches!(active.as_deref(), None | Some("inactive"));
                let is_active = matches!(active.as_deref(), Some("active" | "reloading" | "activating"));
                // Our own protection refuses a stop too, and is lifted before one.
                let ours = known.texts(UnitProperty::DropInPaths).iter().any(|path| path.contains("patchday"));
                let refused = |(property, _): &(UnitProperty, &str)| !ours && known.flag(*property) == Some(true);
                let refuses = [(UnitProperty::RefuseManualStart, "start"), (UnitProperty::RefuseManualStop, "stop")]
                    .into_iter()
                    .filter(refused);
                Ok(UnitRelations {
                    after: all(&[UnitProperty::After]),
                    needs: all(&[UnitProperty::Requires, UnitProperty::Requisite, UnitProperty::BindsTo]),
                    wants: all(&[UnitProperty::Wants, UnitProperty::PartOf]),
                    mounts_for: known.texts(UnitProperty::RequiresMountsFor),
                    wanted_by: all(&[
                        UnitProperty::WantedBy,
                        UnitProperty::RequiredBy,
                        UnitProperty::RequisiteOf,
                        UnitProperty::BoundBy,
                    ]),
                    triggered_by: all(&[UnitProperty::TriggeredBy]),
                    stops: all(&[
                        UnitProperty::RequiredBy,
                        UnitProperty::RequisiteOf,
                        UnitProperty::BoundBy,
                        UnitProperty::ConsistsOf,
                        UnitProperty::PropagatesStopTo,
                    ]),
                    upheld_by: all(&[UnitProperty::UpheldBy]),
                    is_active,
                    id: known.text(UnitProperty::Id).and_then(|id| id.parse().ok()),
                    is_transient: known.flag(UnitProperty::Transient) == Some(true),
                    refuses: refuses.map(|(_, job)| job.to_owned()).collect(),
                    has_stop_program,
                    takes_part: !is_down,
                    is_loaded: known.text(UnitProperty::LoadState).as_deref() == Some("loaded"),
                    conditions_met: known.flag(UnitProperty::ConditionResult).unwrap_or(true)
                        || known.counter(UnitProperty::ConditionTimestampMonotonic).unwrap_or(0) == 0,
                    unit_file: known.text(UnitProperty::UnitFileState).unwrap_or_default(),
                    service_type,
                    has_bus_name,
                })
            })
            .await
    }
}

/// Signals of systemd, drained by a task of their own: a boot makes thousands, and a full queue would stop the
/// connection, replies included.
struct Signals {
    changed: mpsc::UnboundedReceiver<UnitName>,
    drain: JoinHandle<()>,
    burst: Duration,
}

impl Drop for Signals {
    fn drop(&mut self) {
        self.drain.abort();
    }
}

impl Signals {
    async fn subscribe(connection: &Connection, burst: Duration) -> zbus::Result<Self> {
        let rule = MatchRule::builder()
            .msg_type(message::Type::Signal)
            .sender(SERVICE_NAME)
            .path_namespace(format!("{MANAGER_PATH}/unit"))
            .interface("org.freedesktop.DBus.Properties")
            .member("PropertiesChanged")
            .build()?;
        let mut stream = MessageStream::for_match_rule(rule, connection, Some(MAX_QUEUED)).await?;
        match manager(connection).await?.subscribe().await {
            Err(error) if !is_named(&error, ALREADY_SUBSCRIBED) => return Err(error),
            _ => {}
        }
        let (sender, changed) = mpsc::unbounded_channel();
        let drain = tokio::spawn(async move {
            while let Some(Ok(message)) = stream.next().await {
                let Some(unit) = message.header().path().and_then(|path| unescaped(path.as_str())) else { continue };
                if sender.send(unit).is_err() {
                    return;
                }
            }
        });
        Ok(Self { changed, drain, burst })
    }
}

#[async_trait]
impl UnitChanges for Signals {
    async fn next(&mut self, timeout: SignedDuration) -> BTreeSet<UnitName> {
        let timeout = Duration::try_from(timeout).unwrap_or_default();
        let mut units = BTreeSet::new();
        let began = tokio::time::Instant::now();
        match tokio::time::timeout(timeout, self.changed.recv()).await {
            Ok(Some(unit)) => units.insert(unit),
            // The bus was lost: from here on only the looks besides tell anything.
            Ok(None) => {
                tokio::time::sleep_until(began + timeout).await;
                return units;
            }
            Err(_) => return units,
        };
        // Without a wait, so that who gives up waiting loses nothing.
        while let Ok(unit) = self.changed.try_recv() {
            units.insert(unit);
        }
        while !self.burst.is_zero() && began.elapsed() <= self.burst * 5 {
            let Ok(Some(unit)) = tokio::time::timeout(self.burst, self.changed.recv()).await else { break };
            units.insert(unit);
        }
        units
    }
}
