//! Hosts as strangers have them: a selection, on real machines; `tests/lab/strangers` makes all. See
//! `docs/reliability.md`.
use std::path::Path;

use patchday_lab::strangers::{Stage, TOPICS, perform};

/// Those of a topic that are marked for it. One machine at a time: the tests of other topics run beside.
fn as_it_should_be(name: &str) {
    let topic = TOPICS.iter().find(|topic| topic.name == name).unwrap();
    let mut situations = (topic.situations)();
    situations.retain(|situation| situation.is_in_check());
    let patchday = Path::new(env!("CARGO_BIN_EXE_patchday"));
    let stage = Stage { patchday, systemd: Path::new("systemd"), jobs: 1 };
    let told = |outcome: &_| println!("{outcome:#?}");
    let wrong: Vec<_> = perform(stage, name, situations, &told).into_iter().filter_map(|one| one.wrong).collect();
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
