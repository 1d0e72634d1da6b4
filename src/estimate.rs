//! How long a run will take on this host: from its earlier runs, else from the packages. Pure.

use jiff::SignedDuration;

use crate::model::{
    Basis, BootTime, Estimate, HostPace, Limits, Outcome, PackagingPace, PackagingWork, PlannedService, Restart, Run,
    Saving, ServiceKind, Step, StepEstimate, UpgradePlan,
};

/// What an estimate is made of.
#[derive(Debug, Clone, Copy)]
pub struct EstimateInputs<'a> {
    /// The steps to take.
    pub steps: &'a [Step],
    /// The services, for how long they take to stop.
    pub services: &'a [PlannedService],
    /// What would be upgraded.
    pub plan: &'a UpgradePlan,
    /// Earlier runs, oldest first.
    pub history: &'a [Run],
    /// What the work may take from the host.
    pub limits: &'a Limits,
    /// How long the services are watched after they are ready.
    pub settle: SignedDuration,
    /// How long those who are logged in are given.
    pub grace: SignedDuration,
    /// How long the boot that runs took; none if that is not known.
    pub boot: Option<BootTime>,
    /// How fast its disk and CPU were when they were measured; none if they were not.
    pub pace: Option<HostPace>,
    /// Whether the host will be rebooted.
    pub reboots: bool,
    /// In which way: earlier runs that did it in another one tell nothing of this.
    pub restart: Restart,
    /// Whether a kernel will be built from its source.
    pub builds_kernel: bool,
}

/// Runs that count: hosts change.
const RECENT: usize = 6;

/// Seconds to readiness after a reboot, where nothing is known of any.
const UNTIL_READY: f64 = 20.0;

/// Seconds of a soft reboot until systemd begins anew, once the services are down.
const SOFT_REBOOT: f64 = 4.0;

/// Seconds until services answer that have just become active, and somebody has seen it.
const UNTIL_SEEN: f64 = 2.0;

/// Seconds in which a MongoDB flushes what it has, and ends.
const MONGODB_STOP: f64 = 1.0;

/// Seconds until lists are fresh, and a mirror has answered.
const REFRESH: f64 = 5.0;

/// Bytes a second of a mirror.
const MIRROR: f64 = 4e6;

pub fn estimate(inputs: &EstimateInputs<'_>) -> Estimate {
    let history = &inputs.history[inputs.history.len().saturating_sub(RECENT)..];
    let alike = || history.iter().filter(|run| run.restarted().unwrap_or_default() == inputs.restart);
    let (until_ready, ready_basis) = match (median(alike().filter_map(seconds_until_ready)), inputs.boot) {
        (Some(seen), _) => (seen, Basis::History),
        (None, Some(boot)) => (boot.services.as_secs_f64() + UNTIL_SEEN, Basis::Boot),
        (None, None) => (UNTIL_READY, Basis::Assumed),
    };
    let host = inputs.pace;
    let seen_pace = pace(history, host.as_ref());
    let packaging =
        PackagingPace { host, thousandths: thousandths(seen_pace.unwrap_or_else(|| slowdown(inputs.limits))) };
    let mirror = median(history.iter().filter_map(|run| {
        Some(seconds_of(run, &Step::Fetch)? / fetching(run.upgrade.as_ref().filter(|plan| !plan.is_empty())?))
    }));
    let is_ahead = inputs.steps.contains(&Step::Ahead);
    let steps = inputs.steps.iter().map(|step| {
        let seen = match step {
            Step::Reboot => median(alike().filter_map(|run| seconds_of(run, step))),
            step => median(history.iter().filter_map(|run| seconds_of(run, step))),
        };
        let (seconds, basis) = match step {
            Step::Reboot if !inputs.reboots => (0.0, Basis::Assumed),
            Step::KernelSource | Step::InstallKernel if !inputs.builds_kernel => (0.0, Basis::Assumed),
            Step::Announce => (inputs.grace.as_secs_f64(), Basis::Assumed),
            Step::Ahead | Step::Upgrade => {
                let basis = match (seen_pace, host) {
                    (Some(_), _) => Basis::History,
                    (None, Some(_)) => Basis::Measured,
                    (None, None) => Basis::Sizes,
                };
                (work_of(step, inputs.plan, is_ahead, host.as_ref()) * paced(&packaging), basis)
            }
            Step::Fetch => match mirror {
                Some(mirror) => (fetching(inputs.plan) * mirror, Basis::History),
                None => (fetching(inputs.plan), Basis::Sizes),
            },
            Step::Verify => (until_ready + inputs.settle.as_secs_f64(), ready_basis),
            step => match (seen, inputs.boot) {
                (Some(seconds), _) => (seconds, Basis::History),
                (None, boot) if *step == Step::Reboot => match (inputs.restart, boot) {
                    (Restart::Soft, _) => (SOFT_REBOOT, Basis::Assumed),
                    (Restart::Kexec, Some(boot)) => (boot.by_kexec.as_secs_f64(), Basis::Boot),
                    (Restart::Full, Some(boot)) => (boot.reboot.as_secs_f64(), Basis::Boot),
                    (Restart::Kexec | Restart::Full, None) => (assumed(step, inputs.services), Basis::Assumed),
                },
                (None, _) => (assumed(step, inputs.services), Basis::Assumed),
            },
        };
        StepEstimate { step: step.clone(), takes: whole(seconds), basis }
    });
    Estimate { steps: steps.collect(), until_ready: whole(until_ready), packaging: Some(packaging) }
}

/// The same for another plan, as apt sees it once its lists are fresh.
pub fn for_plan(estimate: &Estimate, before: &UpgradePlan, now: &UpgradePlan) -> Estimate {
    let is_ahead = estimate.steps.iter().any(|one| one.step == Step::Ahead);
    let host = estimate.host_pace();
    // The seconds themselves are whole: of a short upgrade they tell no pace.
    let pace = match &estimate.packaging {
        Some(packaging) => paced(packaging),
        None => estimate.takes(&Step::Upgrade).as_secs_f64() / work_of(&Step::Upgrade, before, is_ahead, host),
    };
    let step = |step: &StepEstimate| match step.step {
        Step::Ahead | Step::Upgrade => {
            StepEstimate { takes: whole(work_of(&step.step, now, is_ahead, host) * pace), ..step.clone() }
        }
        _ => step.clone(),
    };
    Estimate { steps: estimate.steps.iter().map(step).collect(), ..estimate.clone() }
}

/// Seconds of dpkg's work in one step, on a host of that pace.
fn work_of(step: &Step, plan: &UpgradePlan, is_ahead: bool, pace: Option<&HostPace>) -> f64 {
    let work = |plan: &UpgradePlan| PackagingWork::of(plan, pace).total();
    match step {
        Step::Ahead => Some(plan.ahead_of_stop()).filter(|plan| !plan.is_empty()).map_or(0.0, |plan| work(&plan)),
        _ if is_ahead => work(&plan.behind_stop()),
        _ => work(plan),
    }
}

/// Seconds to refresh the lists, and to fetch the packages of a plan.
fn fetching(plan: &UpgradePlan) -> f64 {
    REFRESH + plan.download_bytes() as f64 / MIRROR
}

fn thousandths(pace: f64) -> u32 {
    (pace * 1000.0).round().clamp(1.0, f64::from(u32::MAX)) as u32
}

fn paced(packaging: &PackagingPace) -> f64 {
    f64::from(packaging.thousandths) / 1000.0
}

/// What would shorten the time without the services, the most first.
pub fn savings(estimate: &Estimate, plan: &UpgradePlan, limits: &Limits) -> Vec<Saving> {
    let takes = |step: &Step| estimate.takes(step).as_secs_f64();
    let slowdown = slowdown(limits);
    let is_ahead = estimate.steps.iter().any(|one| one.step == Step::Ahead);
    let work = |is_ahead| work_of(&Step::Upgrade, plan, is_ahead, estimate.host_pace());
    let kernels = 1.0 - work(true) / work(false);
    let mut savings =
        vec![("no reboot now (patchday run --no-reboot); it is then still to come".to_owned(), takes(&Step::Reboot))];
    if !estimate.stops_late() {
        let own_kernel = takes(&Step::KernelSource) + takes(&Step::InstallKernel);
        let own_kernel = if is_ahead { 0.0 } else { own_kernel };
        let work = takes(&Step::Upgrade) + takes(&Step::BuildKernel);
        savings.push((
            format!("the whole machine for the upgrade ([limits] cpu = \"100%\", not {}%)", limits.cpu_percent),
            work * (1.0 - 1.0 / slowdown),
        ));
        let late =
            "everything before the services stop ([upgrade] order = \"late-stop\"); see docs/packages.md".to_owned();
        savings.push((late, work + own_kernel));
        if !is_ahead {
            let ahead = "the new kernel before the services stop ([upgrade] ahead = \"kernel\")".to_owned();
            savings.push((ahead, takes(&Step::Upgrade) * kernels + own_kernel));
        }
    }
    savings.retain(|(_, seconds)| *seconds >= 1.0);
    savings.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    savings.into_iter().map(|(what, seconds)| Saving { what, saves: whole(seconds) }).collect()
}

/// dpkg works on one CPU: a share that is more than one slows nothing down.
fn slowdown(limits: &Limits) -> f64 {
    let cpus = f64::from(limits.cpu_percent.max(1)) / 100.0 * f64::from(limits.cpus.max(1));
    (1.0 / cpus).max(1.0)
}

/// How long the upgrades of this host took, beside what they should have.
fn pace(history: &[Run], host: Option<&HostPace>) -> Option<f64> {
    median(history.iter().filter_map(|run| {
        let plan = run.upgrade.as_ref().filter(|plan| !plan.is_empty())?;
        let is_ahead = seconds_of(run, &Step::Ahead).is_some();
        Some(seconds_of(run, &Step::Upgrade)? / work_of(&Step::Upgrade, plan, is_ahead, host))
    }))
}

fn seconds_of(run: &Run, step: &Step) -> Option<f64> {
    let record = run.last_record(step).filter(|record| record.outcome == Outcome::Succeeded)?;
    let took = record.ended.duration_since(record.attempt.began).as_secs_f64();
    (took >= 0.0).then_some(took)
}

fn seconds_until_ready(run: &Run) -> Option<f64> {
    let rebooted = run.rebooted?;
    let back = run.verification.as_ref()?.services.iter().filter_map(|service| service.ready_at).max()?;
    Some(back.duration_since(rebooted).as_secs_f64().max(0.0))
}

fn assumed(step: &Step, services: &[PlannedService]) -> f64 {
    match step {
        Step::Stop(wave) => {
            let is_mongodb =
                services.iter().any(|service| wave.contains(&service.unit) && service.kind == ServiceKind::Mongodb);
            if is_mongodb { MONGODB_STOP } else { step.nature().seconds }
        }
        step => step.nature().seconds,
    }
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

fn whole(seconds: f64) -> SignedDuration {
    SignedDuration::from_secs(seconds.round().max(0.0) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{PackageChange, PackageSize};
    use crate::report::sample::Story;

    fn limits(cpu_percent: u8, cpus: u32) -> Limits {
        serde_json::from_value(serde_json::json!({
            "cpu_percent": cpu_percent, "cpu_weight": 20, "io_weight": 20, "cpus": cpus, "nice": 0
        }))
        .unwrap()
    }

    fn of(history: &[Run], limits: &Limits, reboots: bool) -> Estimate {
        let run = Story::healthy().run;
        let settle = SignedDuration::from_secs(60);
        let plan = run.upgrade.as_ref().unwrap();
        let (steps, services, grace) = (&run.steps[..], &run.services[..], SignedDuration::ZERO);
        let (boot, pace, builds_kernel) = (None, None, false);
        estimate(&EstimateInputs {
            steps,
            services,
            plan,
            history,
            limits,
            settle,
            grace,
            boot,
            pace,
            reboots,
            restart: Restart::Full,
            builds_kernel,
        })
    }

    fn takes(estimate: &Estimate, step: &Step) -> (i64, Basis) {
        let one = estimate.steps.iter().find(|one| &one.step == step).unwrap();
        (one.takes.as_secs(), one.basis)
    }

    #[test]
    fn earlier_runs_of_the_host_count_more_than_guesses() {
        let whole_machine = limits(100, 2);
        let guessed = of(&[], &whole_machine, true);
        assert_eq!(takes(&guessed, &Step::Reboot), (60, Basis::Assumed));
        assert_eq!(takes(&guessed, &Step::Upgrade).1, Basis::Sizes);
        let run = Story::healthy().run;
        let known = of(std::slice::from_ref(&run), &whole_machine, true);
        for step in [Step::Upgrade, Step::Reboot, Step::Preflight] {
            let real = seconds_of(&run, &step).unwrap().round() as i64;
            assert_eq!(takes(&known, &step), (real, Basis::History), "{step}");
        }
        // What it took is what would be told next time.
        let measured = run.measured_downtime().unwrap();
        assert!((known.downtime() - measured).abs() <= SignedDuration::from_secs(5), "{measured:#}: {known:?}");
    }

    /// Where no run has shown how long a reboot takes, the boot that runs has.
    #[test]
    fn the_boot_that_runs_counts_less_than_earlier_runs_and_more_than_guesses() {
        let run = Story::healthy().run;
        let [reboot, by_kexec, services] = [31, 11, 7].map(SignedDuration::from_secs);
        let boot = BootTime { reboot, by_kexec, services };
        let of = |history: &[Run]| {
            estimate(&EstimateInputs {
                steps: &run.steps,
                services: &run.services,
                plan: run.upgrade.as_ref().unwrap(),
                history,
                limits: &limits(100, 2),
                settle: SignedDuration::from_secs(60),
                grace: SignedDuration::ZERO,
                boot: Some(boot),
                pace: None,
                reboots: true,
                restart: Restart::Full,
                builds_kernel: false,
            })
        };
        let first = of(&[]);
        assert_eq!(takes(&first, &Step::Reboot), (31, Basis::Boot));
        assert_eq!((first.until_ready.as_secs(), takes(&first, &Step::Verify)), (9, (69, Basis::Boot)));
        let known = of(std::slice::from_ref(&run));
        assert_eq!([Step::Reboot, Step::Verify].map(|step| takes(&known, &step).1), [Basis::History; 2]);
    }

    #[test]
    fn a_share_below_one_cpu_makes_the_upgrade_longer() {
        let upgrade = |limits: &Limits| takes(&of(&[], limits, true), &Step::Upgrade).0;
        let whole = upgrade(&limits(100, 1));
        assert_eq!(upgrade(&limits(50, 2)), whole);
        assert!((upgrade(&limits(25, 1)) - 4 * whole).abs() <= 2);
        let slow = limits(25, 1);
        let plan = Story::healthy().run.upgrade.unwrap();
        let savings = savings(&of(&[], &slow, true), &plan, &slow);
        assert_eq!(savings.len(), 4, "{savings:?}");
        assert!(savings.is_sorted_by(|one, other| one.saves >= other.saves));
        // Without a reboot there is none to save, and a rest that has no kernel cannot come ahead of itself.
        let rest = plan.behind_stop();
        let savings = super::savings(&of(&[], &limits(100, 1), false), &rest, &limits(100, 1));
        assert!(savings.len() == 1 && savings[0].what.contains("late-stop"), "{savings:?}");
    }

    #[test]
    fn what_is_done_ahead_is_no_downtime() {
        let run = Story::healthy().run;
        let mut plan = run.upgrade.clone().unwrap();
        let kernel = plan.new_kernels().changes[0].name.clone();
        let size = PackageSize { download: 70_000_000, installed: 400_000_000, files: None, has_script: true };
        plan.sizes.insert(kernel, size);
        let (plan, limits) = (&plan, &limits(100, 1));
        let of_steps = |steps: &[Step]| {
            let (services, settle, grace) = (&run.services[..], SignedDuration::from_secs(60), SignedDuration::ZERO);
            let (reboots, builds_kernel) = (true, true);
            estimate(&EstimateInputs {
                steps,
                services,
                plan,
                history: &[],
                limits,
                settle,
                grace,
                boot: None,
                pace: None,
                reboots,
                restart: Restart::Full,
                builds_kernel,
            })
        };
        let mut steps = run.steps.clone();
        let after_stop = of_steps(&steps);
        steps.insert(3, Step::Ahead);
        let ahead = of_steps(&steps);
        let saved = (after_stop.downtime() - ahead.downtime()).as_secs();
        let promised = savings(&after_stop, plan, limits);
        let promised = promised.iter().find(|saving| saving.what.contains("ahead = ")).unwrap().saves;
        assert!(saved > 5 && (saved - promised.as_secs()).abs() <= 1, "{saved} s, {promised:#} promised");
        assert!(!savings(&ahead, plan, limits).iter().any(|saving| saving.what.contains("ahead = ")));
    }

    #[test]
    fn fresh_package_lists_correct_the_upgrade_alone() {
        let before = of(&[], &limits(100, 1), true);
        let plan = Story::healthy().run.upgrade.unwrap();
        let mut more = plan.clone();
        more.changes.extend(
            plan.changes.iter().map(|change| PackageChange { name: format!("{}-more", change.name), ..change.clone() }),
        );
        let after = for_plan(&before, &plan, &more);
        assert!(takes(&after, &Step::Upgrade).0 > takes(&before, &Step::Upgrade).0);
        assert_eq!(takes(&after, &Step::Reboot), takes(&before, &Step::Reboot));
    }
}
