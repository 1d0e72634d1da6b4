//! Who may ask what the wall's clock says. It is set at any moment, by whoever keeps it right: a wait or a duration that is
//! measured by it ends at once, or never.

use std::path::Path;

use crate::source::Tree;

/// Each file that asks, and why it may.
const ASK_THE_WALL: [(&str, &str); 16] = [
    ("src/host/clock.rs", "the port itself"),
    ("src/coordinator/time.rs", "holds it against the run's time"),
    ("src/checks/database.rs", "mongod's log has the wall's time"),
    ("src/checks/kernel.rs", "a file's time is the wall's"),
    ("src/checks/packages.rs", "a file's time is the wall's"),
    ("src/checks/people.rs", "an application writes the wall's time into its database"),
    ("src/verify/witness.rs", "mongod's log has the wall's time"),
    ("src/steps/drain.rs", "mongod's log has the wall's time"),
    ("src/steps/fetch.rs", "another run, on another day, asks how old it is"),
    ("src/cli/app.rs", "a run of another boot, the view's seconds, and how old a measure is"),
    ("src/cli/coordinate.rs", "when somebody wished for an end, for people"),
    ("src/cli/gate.rs", "windows are of the calendar"),
    ("src/cli/hold.rs", "a hold ends by the calendar"),
    ("src/cli/notify.rs", "a message that is only tried"),
    ("src/cli/hand_over.rs", "a run is named after the day"),
    ("src/cli/windows.rs", "windows are of the calendar"),
];

const WORDS: [&[&str]; 4] =
    [&["wall", "("], &["Timestamp", "::", "now"], &["Zoned", "::", "now"], &["SystemTime", "::", "now"]];

fn who_asks(tree: &Tree) -> Vec<String> {
    let asks = |tokens: &[String]| {
        WORDS.iter().any(|words| tokens.windows(words.len()).any(|some| some.iter().zip(*words).all(|(a, b)| a == b)))
    };
    let asking =
        tree.sources.iter().filter(|source| asks(&source.tokens) && source.file != "src/host/ports/machine.rs");
    asking.map(|source| source.file.clone()).collect()
}

#[test]
fn only_who_needs_the_calendar_asks_the_wall() {
    let files = super::tidy::files_below("src", &["rs"]);
    let tree = Tree::new(files.iter().map(|(file, text)| (file.as_str(), text.as_str())));
    let mut found = who_asks(&tree);
    found.sort();
    let mut listed: Vec<&str> = ASK_THE_WALL.iter().map(|(file, _)| *file).collect();
    listed.sort_unstable();
    assert_eq!(found, listed, "a wait is measured by Clock::now; see src/host/clock.rs");
    assert!(ASK_THE_WALL.iter().all(|(file, why)| Path::new(file).is_file() && !why.is_empty()));
}

#[test]
fn a_question_is_found_however_it_is_written() {
    for (text, asks) in [
        ("fn f() { let began = ctx.host.clock.wall(); }", true),
        ("fn f() { let began = jiff::Timestamp::now(); }", true),
        ("use std::time::SystemTime; fn f() { SystemTime::now(); }", true),
        ("fn f() { let now = ctx.host.clock.now(); let wall = 3; }", false),
        ("// Timestamp::now()\nconst X: &str = \"clock.wall()\";", false),
    ] {
        let tree = Tree::new([("src/steps/stop.rs", text)]);
        assert_eq!(!who_asks(&tree).is_empty(), asks, "{text}");
    }
}
