//! Hosts as strangers have them: a selection, on real machines; `tests/lab/strangers` makes all. See
//! `docs/reliability.md`.
use std::path::Path;

use crate::report_schema::assert_text_is_report;
use patchday_lab::strangers::{Outcome, Stage, TOPICS, perform};

/// Those of a topic that are marked for it. One machine at a time: the tests of other topics run beside.
fn as_it_should_be(name: &str) {
    let topic = TOPICS.iter().find(|topic| topic.name == name).unwrap();
    let mut situations = (topic.situations)();
    situations.retain(|situation| situation.is_in_check());
    let patchday = Path::new(env!("CARGO_BIN_EXE_patchday"));
    let stage = Stage { patchday, systemd: Path::new("systemd"), jobs: 1 };
    let told = |outcome: &Outcome| println!("{}: {}; {}", outcome.name, outcome.said, outcome.host);
    let outcomes = perform(stage, name, situations, &told);
    for report in outcomes.iter().filter_map(|outcome| outcome.report.as_deref()) {
        assert_text_is_report(report);
    }
    let wrong: Vec<_> = outcomes.into_iter().filter_map(|outcome| outcome.wrong).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

macro_rules! topics {
    ($($topic:ident)*) => {
        $(#[test]
        fn $topic() {
            as_it_should_be(stringify!($topic));
        })*

        #[test]
        fn every_topic_is_a_test() {
            assert_eq!(TOPICS.map(|topic| topic.name), [$(stringify!($topic)),*]);
        }
    };
}

topics! { services database probes packages kernel reboot root world }
