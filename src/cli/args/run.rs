//! What `patchday run` is asked for.

use super::PlanArgs;
use crate::cli::complete;
use crate::model::RunId;

#[derive(Debug, Clone, PartialEq, Eq, Default, clap::Args)]
pub(in crate::cli) struct RunArgs {
    /// Do not ask for confirmation.
    #[arg(long, short)]
    pub(in crate::cli) yes: bool,
    /// Change nothing, and do what `patchday plan` does with the same options.
    #[arg(long, short = 'n', conflicts_with = "foreground")]
    pub(in crate::cli) dry_run: bool,
    /// Stop before the reboot, and bring the services back.
    #[arg(long)]
    pub(in crate::cli) no_reboot: bool,
    /// Count blockers of this check as warnings; repeat it for more checks.
    #[arg(long, value_name = "LABEL", add = complete::labels())]
    pub(in crate::cli) allow: Vec<String>,
    /// Install only what `patchday plan --fetch` fetched, and refresh no package lists.
    #[arg(long)]
    pub(in crate::cli) only_planned: bool,
    /// Ignore maintenance windows and blackouts; the report says so.
    #[arg(long)]
    pub(in crate::cli) outside_window: bool,
    /// Print events as lines of JSON on stdout.
    #[arg(long)]
    pub(in crate::cli) json: bool,
    /// Do the work in this process instead of starting a service for it; for units.
    #[arg(long)]
    pub(in crate::cli) foreground: bool,
    /// The run's ID, minted by the caller.
    #[arg(long, hide = true, requires = "foreground")]
    pub(in crate::cli) run_id: Option<RunId>,
    /// Fetch what a plan needs, and do no more.
    #[arg(long, hide = true, requires = "run_id")]
    pub(in crate::cli) fetch_only: bool,
}

impl RunArgs {
    /// The command of a coordinator that carries this run in a service of its own: what was asked for, and nothing that
    /// only concerns whoever asked.
    pub(in crate::cli) fn for_coordinator(&self, id: &RunId) -> Vec<String> {
        // Named one by one, so that a new one is not forgotten here.
        let Self {
            yes: _,
            dry_run: _,
            no_reboot,
            allow,
            only_planned,
            outside_window,
            json: _,
            foreground: _,
            run_id: _,
            fetch_only,
        } = self;
        let flags = [
            (*no_reboot, "--no-reboot"),
            (*only_planned, "--only-planned"),
            (*outside_window, "--outside-window"),
            (*fetch_only, "--fetch-only"),
        ];
        let mut words: Vec<String> =
            ["run", "--foreground", "--yes", "--run-id", id.as_str()].map(str::to_owned).into();
        words.extend(flags.into_iter().filter(|(given, _)| *given).map(|(_, flag)| flag.to_owned()));
        words.extend(allow.iter().flat_map(|label| ["--allow".to_owned(), label.clone()]));
        words
    }

    /// The plan of the same run.
    pub(in crate::cli) fn plan(&self) -> PlanArgs {
        PlanArgs {
            json: self.json,
            allow: self.allow.clone(),
            no_reboot: self.no_reboot,
            fetch: false,
            only_planned: self.only_planned,
            outside_window: self.outside_window,
        }
    }

    /// The shipped service: no one minted an ID for it.
    pub(in crate::cli) fn is_unattended(&self) -> bool {
        self.foreground && self.run_id.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::{Args, Command};
    use clap::Parser as _;

    #[test]
    fn a_dry_run_plans_what_the_run_was_asked_for() {
        let asked = ["--no-reboot", "--only-planned", "--outside-window", "--json", "--allow", "fstab"];
        let of = |verb: &[&str]| Args::try_parse_from(["patchday"].iter().chain(verb).chain(&asked)).unwrap().command;
        let Command::Plan(plan) = of(&["plan"]) else { panic!() };
        for dry in ["--dry-run", "-n"] {
            let Command::Run(run) = of(&["run", dry]) else { panic!() };
            assert!(run.dry_run);
            assert_eq!(run.plan(), plan);
        }
    }

    #[test]
    fn what_a_run_was_asked_for_crosses_to_its_coordinator() {
        let id: RunId = "20261128t040000z-abcd".parse().unwrap();
        let all = RunArgs {
            no_reboot: true,
            allow: vec!["boot-space".into(), "fstab".into()],
            only_planned: true,
            outside_window: true,
            fetch_only: true,
            ..RunArgs::default()
        };
        for asked in [RunArgs::default(), RunArgs { fetch_only: true, ..RunArgs::default() }, all] {
            let words = [vec!["patchday".to_owned()], asked.for_coordinator(&id)].concat();
            let Command::Run(crossed) = Args::try_parse_from(&words).unwrap().command else { panic!("{words:?}") };
            let expected = RunArgs { yes: true, foreground: true, run_id: Some(id.clone()), ..asked };
            assert_eq!(crossed, expected, "{words:?}");
        }
    }
}
