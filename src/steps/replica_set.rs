//! A member of a replica set goes only where the set can do without it, and a primary hands its part over first.

use jiff::SignedDuration;

use super::{StepContext, StepError};
use crate::config::ServiceSettings;
use crate::host::{DatabaseInsight, HostErrorKind};
use crate::model::spoken::exactly;
use crate::model::{DatabaseAccess, DatabaseFacts, ReplicaSet, UnitName};

const LOOK_EVERY: SignedDuration = SignedDuration::from_secs(1);

/// How long an election, or a step down, may take.
const CHANGE_WITHIN: SignedDuration = SignedDuration::from_secs(30);

/// What a server is to its replica set.
pub(super) struct Part {
    /// The set; none for a server that is in none.
    pub(super) set: Option<ReplicaSet>,
    pub(super) is_primary: bool,
    /// Every member is stopped by this run: the set goes down with the host.
    pub(super) nobody_stays: bool,
}

impl Part {
    /// A primary whose part somebody takes over.
    pub(super) fn is_replaceable_primary(&self) -> bool {
        self.is_primary && self.set.is_some() && !self.leaves_as_a_whole()
    }

    /// Nobody of the set would miss this member.
    pub(super) fn leaves_as_a_whole(&self) -> bool {
        self.set.is_some() && self.nobody_stays
    }
}

/// Waits until the set can do without this host's members, at most for the drain time.
pub(super) async fn until_dispensable(
    ctx: &StepContext<'_>,
    settings: &ServiceSettings,
    access: &DatabaseAccess,
    facts: &DatabaseFacts,
) -> Result<Part, StepError> {
    if facts.set_name.is_none() {
        return Ok(Part { set: None, is_primary: false, nobody_stays: false });
    }
    let leaving = leaving(ctx, &settings.unit).await;
    let is_primary = facts.role == "primary";
    let began = ctx.host.clock.now();
    let mut told = false;
    loop {
        let set = match look(ctx.host.insight.as_ref(), access, facts).await? {
            Some(set) => set,
            None => return Ok(Part { set: None, is_primary, nobody_stays: false }),
        };
        let Some(refusal) = set.refusal(&leaving, is_primary, settings.mongodb.max_lag) else {
            let nobody_stays = set.members.iter().all(|member| member.is_self || leaving.contains(&member.name));
            return Ok(Part { set: Some(set), is_primary, nobody_stays });
        };
        if ctx.host.clock.now().duration_since(began) >= settings.drain_timeout {
            let unit = &settings.unit;
            return Err(StepError::Failed(format!("{unit}, {}, must not go down: {refusal}", facts.described())));
        }
        if !told {
            ctx.note(format!("waiting for the replica set of {}: {refusal}", settings.unit));
            told = true;
        }
        ctx.host.clock.sleep(LOOK_EVERY).await;
    }
}

/// The set as this member sees it. An arbiter has no users: where a login is wanted, it can be asked for nothing.
async fn look(
    insight: &dyn DatabaseInsight,
    access: &DatabaseAccess,
    facts: &DatabaseFacts,
) -> Result<Option<ReplicaSet>, StepError> {
    match insight.replica_set(access).await {
        Ok(set) => Ok(set),
        Err(error) if facts.role == "arbiter" && error.kind == HostErrorKind::Refused => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The members that this run stops besides `unit`: they are no help while the host is down.
async fn leaving(ctx: &StepContext<'_>, unit: &UnitName) -> Vec<String> {
    let mut leaving = Vec::new();
    for service in ctx.settings.services.iter().filter(|service| &service.unit != unit) {
        let Some(access) = &service.database else { continue };
        let stopped = ctx.run().stops.iter().find(|proof| proof.unit == service.unit);
        let facts = match stopped.and_then(|proof| proof.database.clone()) {
            Some(facts) => Some(facts),
            None => ctx.host.database.facts(access).await.ok(),
        };
        leaving.extend(facts.and_then(|facts| facts.member));
    }
    leaving
}

/// Hands the primary's part over, and waits until this member is a secondary.
pub(super) async fn step_down(
    ctx: &StepContext<'_>,
    settings: &ServiceSettings,
    access: &DatabaseAccess,
) -> Result<(), StepError> {
    let unit = &settings.unit;
    ctx.note(format!("{unit} is primary: it hands its part over"));
    ctx.host.database.step_down(access, CHANGE_WITHIN).await?;
    let began = ctx.host.clock.now();
    loop {
        let role = ctx.host.database.facts(access).await.map(|facts| facts.role);
        if role.as_ref().is_ok_and(|role| role == "secondary") {
            return Ok(());
        }
        if ctx.host.clock.now().duration_since(began) >= CHANGE_WITHIN {
            let seen = role.unwrap_or_else(|error| error.to_string());
            return Err(StepError::Failed(format!(
                "{unit} did not step down within {change_within}: it is {seen}",
                change_within = exactly(CHANGE_WITHIN)
            )));
        }
        ctx.host.clock.sleep(LOOK_EVERY).await;
    }
}
