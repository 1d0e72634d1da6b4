use insta::assert_snapshot;

use super::stories;
use crate::report::sample::{self, Story};
use crate::report::{Style, brief};

fn screen(story: &Story, width: usize) -> String {
    brief::render(&story.report(), &Style { width, ..Style::plain() })
}

#[test]
fn every_ending_fits_on_ten_lines_with_its_verdict_and_the_way_to_the_report() {
    let screens = stories().into_iter().map(|(name, story)| format!("[{name}]\n{}", screen(&story, 80)));
    sample::snapshots(|| assert_snapshot!("briefs", screens.collect::<Vec<_>>().join("\n")));
    for width in [40, 60, 80, 100] {
        for (name, story) in stories() {
            let screen = screen(&story, width);
            assert!(screen.lines().count() <= 10, "{name} at {width}:\n{screen}");
            assert!(screen.ends_with(&format!("patchday report {}\n", story.run.id)), "{name}:\n{screen}");
            // Commands are copied, and never cut.
            let is_command = |line: &str| line.starts_with("              ") || line.contains("patchday report");
            let is_wide = |line: &&str| console::measure_text_width(line) > width && !is_command(line);
            assert_eq!(screen.lines().find(is_wide), None, "{name} at {width}");
        }
    }
}
