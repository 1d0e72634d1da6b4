//! The ways beside the script: what was measured of each, and the table of it.

use crate::downtime::Round;
use crate::figures::{Table, one_line};
use crate::prober::Downtime;
use crate::ways::Way;
use std::time::Duration;

const COLUMNS: [&str; 8] = [
    "way",
    "without an answer",
    "longest",
    "until the boot",
    "after it",
    "p99 beside the work",
    "beside the script",
    "aim",
];

/// A way and what became of its rounds.
pub(crate) struct Measured {
    pub(crate) way: Way,
    pub(crate) rounds: Vec<Round>,
    /// The cause of each round that failed, in a line or a few.
    pub(crate) failures: Vec<String>,
}

impl Measured {
    pub(crate) fn of(way: Way) -> Self {
        Self { way, rounds: Vec::new(), failures: Vec::new() }
    }

    /// In seconds, smallest first.
    fn sorted(&self, of: impl Fn(&Downtime) -> Option<Duration>) -> Vec<f64> {
        let values = self.rounds.iter().filter_map(|round| of(&round.downtime));
        let mut values: Vec<f64> = values.map(|value| value.as_secs_f64()).collect();
        values.sort_by(f64::total_cmp);
        values
    }

    /// None if nothing was measured.
    fn median(&self, of: impl Fn(&Downtime) -> Option<Duration>) -> Option<f64> {
        let values = self.sorted(of);
        values.get(values.len() / 2).copied()
    }

    fn total(&self) -> Option<f64> {
        self.median(|downtime| Some(downtime.total()))
    }

    /// The median, and between which the rounds were.
    fn told_total(&self) -> String {
        let values = self.sorted(|downtime| Some(downtime.total()));
        match (values.as_slice(), self.total()) {
            ([first, .., last], Some(median)) => format!("{median:.1} s ({first:.1} to {last:.1})"),
            (_, Some(median)) => format!("{median:.1} s"),
            (_, None) => "**failed**".to_owned(),
        }
    }

    fn row(&self, script: Option<f64>) -> [String; 8] {
        let seconds = |of: &dyn Fn(&Downtime) -> Duration| {
            self.median(|downtime| Some(of(downtime))).map(|median| format!("{median:.1} s")).unwrap_or_default()
        };
        let p99 = self.median(|downtime| downtime.p99);
        let share = self.total().zip(script).map(|(total, script)| total / script);
        let met = |aim: f64| match share {
            Some(share) if share <= aim => format!("at most {aim}: met"),
            Some(_) => format!("at most {aim}: **missed**"),
            None => format!("at most {aim}"),
        };
        let title = match self.failures.first() {
            Some(cause) => {
                let rounds = self.rounds.len() + self.failures.len();
                format!("{}; failed in {} of {rounds}: {}", self.way.title(), self.failures.len(), one_line(cause))
            }
            None => self.way.title().to_owned(),
        };
        [
            title,
            self.told_total(),
            seconds(&|downtime| downtime.longest),
            seconds(&|downtime| downtime.before_boot),
            seconds(&|downtime| downtime.after_boot),
            p99.map(|p99| format!("{:.0} ms", p99 * 1000.0)).unwrap_or_default(),
            share.map(|share| format!("{share:.2}")).unwrap_or_default(),
            self.way.aims().iter().copied().map(met).collect::<Vec<_>>().join("; "),
        ]
    }
}

/// The first script among them is what the others are compared with; without one there is no comparison.
pub(crate) fn table(measured: &[Measured], rounds: u32, on: &str) -> Table {
    let script = measured.iter().find(|measured| measured.way == Way::Script).and_then(Measured::total);
    let pending = measured.iter().flat_map(|measured| &measured.rounds).map(|round| round.pending).max();
    let pending = pending.map(|pending| format!(", {pending} packages to upgrade")).unwrap_or_default();
    let mut table = Table::new(format!("{on}{pending}, the median of {rounds}"), &COLUMNS);
    for measured in measured {
        table.row(measured.row(script));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(seconds: u64) -> Round {
        let before_boot = Duration::from_secs(seconds);
        Round { pending: 9, downtime: Downtime { longest: before_boot, before_boot, ..Downtime::default() } }
    }

    #[test]
    fn a_way_that_failed_is_told_and_those_that_did_not_are_compared() {
        let script = Measured { rounds: [30, 10, 20].map(round).into(), ..Measured::of(Way::Script) };
        let default = Measured { rounds: vec![round(5)], ..Measured::of(Way::Default) };
        let late = Measured { failures: vec!["no | answer\nfor long".to_owned()], ..Measured::of(Way::LateStop) };
        let rows = [&script, &default, &late].map(|measured| measured.row(script.total()).join(" ; "));
        assert_eq!(
            rows,
            [
                "script ; 20.0 s (10.0 to 30.0) ; 20.0 s ; 20.0 s ; 0.0 s ;  ; 1.00 ; ",
                "Patchday ; 5.0 s ; 5.0 s ; 5.0 s ; 0.0 s ;  ; 0.25 ; at most 0.6: met; at most 0.3: met",
                "Patchday, `order = \"late-stop\"`; failed in 1 of 1: no / answer ; **failed** ;  ;  ;  ;  ;  ; \
                 at most 0.06",
            ]
        );
        assert_eq!(default.row(None)[6..], ["", "at most 0.6; at most 0.3"]);
        assert_eq!(default.row(Some(10.0))[6..], ["0.50", "at most 0.6: met; at most 0.3: **missed**"]);
    }
}
