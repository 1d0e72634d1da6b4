//! Checkouts from which services run: what is only here is lost with the host, and comes back as something else.

use super::{Check, CheckInputs, check};
use crate::checks::CheckAnswer;
use crate::model::Checkout;

/// More lines of one checkout are counted.
const TOLD: usize = 8;

/// A finding about every checkout of which `lines` has something to tell.
async fn each(
    check: &Check,
    inputs: &CheckInputs<'_>,
    title: &str,
    lines: impl Fn(&Checkout) -> Vec<String>,
    remedy: (&str, &str),
) -> CheckAnswer {
    let mut finding = check.found(title);
    let mut first = None;
    for checkout in inputs.checkouts().await? {
        let lines = lines(checkout);
        let more = lines.len().saturating_sub(TOLD);
        first = first.or_else(|| (!lines.is_empty()).then_some(checkout));
        finding = finding.lines(lines.into_iter().take(TOLD).map(|line| format!("{}: {line}", checkout.path)));
        finding = finding.lines((more > 0).then(|| format!("{}: and {more} more", checkout.path)));
    }
    let (hint, command) = remedy;
    Ok(first.map(|checkout| {
        // git refuses to work in somebody else's checkout, and is right.
        let as_owner = if checkout.owner == 0 { String::new() } else { format!("sudo -u '#{}' ", checkout.owner) };
        finding.remedy(hint, format!("{as_owner}git -C {} {command}", checkout.path))
    }))
}

check!(
    DEPLOYMENT_CHANGES,
    Deployments,
    "deployment-changes",
    Warning,
    60,
    "no deployment has changes that were never committed",
    "The code was changed on the host itself. After the reboot it runs for the first time as it is now.",
    |check, inputs| {
        let title = "a deployment has changes that were never committed";
        let lines = |checkout: &Checkout| checkout.changes.clone();
        each(check, inputs, title, lines, ("commit them, or take them back", "status")).await
    }
);

check!(
    DEPLOYMENT_STASHES,
    Deployments,
    "deployment-stashes",
    Warning,
    60,
    "no deployment has stashed changes",
    "A stash is a change that was meant to come back, and that no other copy has.",
    |check, inputs| {
        let lines = |checkout: &Checkout| checkout.stashes.clone();
        each(check, inputs, "a deployment has stashed changes", lines, ("look at them", "stash list")).await
    }
);

check!(
    DEPLOYMENT_UNPUSHED,
    Deployments,
    "deployment-unpushed",
    Warning,
    60,
    "every commit of every deployment was pushed",
    "A commit that only this host has is gone with its disk.",
    |check, inputs| {
        let title = "a deployment has commits that were never pushed";
        let lines = |checkout: &Checkout| checkout.unpushed.clone();
        each(check, inputs, title, lines, ("push them", "log --branches --not --remotes")).await
    }
);

check!(
    DEPLOYMENT_BEHIND,
    Deployments,
    "deployment-behind",
    Info,
    60,
    "no deployment is behind its upstream",
    "As of its last fetch: no other host is asked. After a reboot is a good moment to deploy, and a bad one to forget it.",
    |check, inputs| {
        let lines = |checkout: &Checkout| {
            let behind = checkout.behind.filter(|behind| *behind > 0);
            behind.map(|behind| format!("{behind} commits behind its upstream")).into_iter().collect()
        };
        each(
            check,
            inputs,
            "a deployment is behind its upstream",
            lines,
            ("see what it lacks", "log HEAD..@{upstream}"),
        )
        .await
    }
);
