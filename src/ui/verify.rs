//! `patchday verify`: how the host stands against its baseline.

use serde::Serialize;

use super::{Answer, Mark, Paint, Style};
use crate::model::{RunId, Verification};
use crate::report::words::{count, duration, one_line};
use crate::report::{Ending, grade};

/// Version of the shape of `patchday verify --json`.
pub const FORMAT: u32 = 1;

/// The verdict, what speaks against it, and how the services stand.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Verified<'a> {
    /// Version of this shape.
    pub format: u32,
    pub host: &'a str,
    pub run: &'a RunId,
    pub verification: &'a Verification,
}

impl Answer for Verified<'_> {
    fn render(&self, style: &Style) -> String {
        let (host, run, judged) = (self.host, self.run, self.verification);
        let (mark, paint) = grade(Ending::Judged, Some(judged.verdict));
        let verdict = style.paint(paint, judged.verdict.name());
        let mut lines = vec![
            format!("{} verify on {}", style.paint(Paint::Strong, "patchday"), style.paint(Paint::Strong, host)),
            format!("  {} {verdict}, against the baseline of run {run}", style.mark(mark)),
        ];
        lines.extend(style.section("What is not as it was", style.findings(&judged.findings)));
        let services: Vec<String> = judged
            .services
            .iter()
            .map(|service| {
                let ready = service.ready_usec.map(|usec| format!(", ready {:.1} s after the boot", usec as f64 / 1e6));
                let fast = service.latency.map(|latency| format!(", answers in {}", duration(latency.p50)));
                let (mark, text) = match &service.problem {
                    None => (Mark::Done, format!("{}{}", ready.unwrap_or_default(), fast.unwrap_or_default())),
                    Some(problem) => (Mark::Failed, format!(": {}", one_line(problem))),
                };
                format!("  {} {}{text}", style.mark(mark), service.unit)
            })
            .collect();
        lines.extend(style.section("Services", services));
        if !judged.expected.is_empty() {
            let text = format!(
                "{} that a boot or the upgrade makes (--json names them)",
                count(judged.expected.len(), "difference")
            );
            lines.extend([String::new(), format!("  {} {text}", style.mark(Mark::Note))]);
        }
        lines.join("\n") + "\n"
    }
}
