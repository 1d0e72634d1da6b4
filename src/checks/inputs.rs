//! What a check may look at. What several checks ask for is asked once.

use std::collections::BTreeMap;

use futures_util::future::try_join_all;
use jiff::SignedDuration;
use tokio::sync::OnceCell;

use super::servers::{self, Server};
use crate::config::Settings;
use crate::estimate::for_plan;
use crate::host::{Host, HostResult};
use crate::model::{
    BootSurvey, Checkout, DkmsModule, Estimate, Footprint, KernelFacts, RunOptions, UnitName, UnitState, UnitSurvey,
    UpgradePlan,
};

/// What a check may look at: the ports themselves, and what more than one check wants to know.
pub struct CheckInputs<'a> {
    pub host: &'a Host,
    pub settings: &'a Settings,
    /// What the caller asked for.
    pub options: &'a RunOptions,
    expected: Option<(Estimate, UpgradePlan)>,
    upgrade: OnceCell<HostResult<UpgradePlan>>,
    kernels: OnceCell<HostResult<KernelFacts>>,
    units: OnceCell<HostResult<Vec<(UnitName, UnitState)>>>,
    survey: OnceCell<HostResult<UnitSurvey>>,
    boot: OnceCell<HostResult<BootSurvey>>,
    dkms: OnceCell<HostResult<Vec<DkmsModule>>>,
    checkouts: OnceCell<HostResult<Vec<Checkout>>>,
    servers: OnceCell<HostResult<Vec<Server>>>,
    footprints: OnceCell<HostResult<BTreeMap<String, Footprint>>>,
}

impl<'a> CheckInputs<'a> {
    /// Nothing is asked yet.
    pub fn new(host: &'a Host, settings: &'a Settings, options: &'a RunOptions) -> Self {
        Self {
            host,
            settings,
            options,
            expected: None,
            upgrade: OnceCell::new(),
            kernels: OnceCell::new(),
            units: OnceCell::new(),
            survey: OnceCell::new(),
            boot: OnceCell::new(),
            dkms: OnceCell::new(),
            checkouts: OnceCell::new(),
            servers: OnceCell::new(),
            footprints: OnceCell::new(),
        }
    }

    /// How long a run with this plan would take is known.
    pub fn expecting(mut self, estimate: Estimate, plan: UpgradePlan) -> Self {
        self.expected = Some((estimate, plan));
        self
    }

    /// From now until every service is ready again, by the estimate; none if there is no estimate.
    pub async fn until_back(&self) -> HostResult<Option<SignedDuration>> {
        let Some((estimate, before)) = &self.expected else { return Ok(None) };
        Ok(Some(for_plan(estimate, before, self.upgrade().await?).until_back()))
    }

    /// What a dist-upgrade would do now. Simulating it is the dearest question of all.
    pub async fn upgrade(&self) -> HostResult<&UpgradePlan> {
        answer(self.upgrade.get_or_init(|| self.host.packages.simulate()).await)
    }

    /// What runs, what is installed, what is unmitigated.
    pub async fn kernels(&self) -> HostResult<&KernelFacts> {
        answer(self.kernels.get_or_init(|| self.host.kernels.facts()).await)
    }

    /// The configured services, each with its state.
    pub async fn units(&self) -> HostResult<&Vec<(UnitName, UnitState)>> {
        let look = || async {
            let mut units = Vec::new();
            for service in &self.settings.services {
                units.push((service.unit.clone(), self.host.units.state(&service.unit).await?));
            }
            Ok(units)
        };
        answer(self.units.get_or_init(look).await)
    }

    pub async fn survey(&self) -> HostResult<&UnitSurvey> {
        answer(self.survey.get_or_init(|| self.host.units.survey()).await)
    }

    /// What the next boot needs besides a kernel.
    pub async fn boot(&self) -> HostResult<&BootSurvey> {
        answer(self.boot.get_or_init(|| self.host.kernels.boot_survey()).await)
    }

    pub async fn dkms(&self) -> HostResult<&Vec<DkmsModule>> {
        answer(self.dkms.get_or_init(|| self.host.kernels.dkms()).await)
    }

    pub async fn checkouts(&self) -> HostResult<&Vec<Checkout>> {
        let look =
            || try_join_all(self.settings.preflight.deployments.iter().map(|path| self.host.deployments.look(path)));
        answer(self.checkouts.get_or_init(look).await)
    }

    /// Where the installed versions of the upgrade's packages lie: thousands of files are looked at.
    pub async fn footprints(&self) -> HostResult<&BTreeMap<String, Footprint>> {
        let look = || async {
            let names: Vec<String> = self.upgrade().await?.changes.iter().map(|change| change.name.clone()).collect();
            self.host.package_survey.footprints(&names).await
        };
        answer(self.footprints.get_or_init(look).await)
    }

    /// The configured MongoDB servers, each with its answer.
    pub(super) async fn servers(&self) -> HostResult<&Vec<Server>> {
        answer(self.servers.get_or_init(|| servers::ask(self.host, self.settings)).await)
    }
}

fn answer<T>(kept: &HostResult<T>) -> HostResult<&T> {
    kept.as_ref().map_err(Clone::clone)
}
