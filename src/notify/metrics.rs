//! The text format of Prometheus, for node_exporter's textfile collector.

use std::fmt::Write as _;

use jiff::SignedDuration;

use crate::model::{Severity, Verdict};
use crate::report::Report;

/// What a run leaves to be watched. Alert on the age of the last healthy run: a host that is no longer patched is silent
/// otherwise.
pub(super) fn run(report: &Report) -> String {
    let mut page = Page(String::new());
    let end = report.ended.unwrap_or(report.built);
    page.gauge(
        "run_start_timestamp_seconds",
        "When the last run began.",
        [(String::new(), whole(report.began.as_second()))],
    );
    page.gauge("run_end_timestamp_seconds", "When the last run ended.", [(String::new(), whole(end.as_second()))]);
    let healthy = report.last_healthy.map(|at| (String::new(), whole(at.as_second())));
    page.gauge(
        "last_healthy_run_timestamp_seconds",
        "When the last run ended that was healthy, or had nothing to do.",
        healthy,
    );
    let code = report.exit_code.map(|code| (String::new(), whole(i64::from(code))));
    page.gauge("run_exit_code", "Exit code of the last run; 0 is good.", code);
    let verdicts = [Verdict::Healthy, Verdict::Degraded, Verdict::Failed].map(|verdict| {
        let is_it = report.verdict == Some(verdict);
        (labelled("verdict", verdict.name()), whole(i64::from(is_it)))
    });
    page.gauge("run_verdict", "1 for the verdict of the last run, if there was one.", verdicts);
    let took = report.took().map(|took| (String::new(), seconds(took)));
    page.gauge("run_duration_seconds", "How long the last run took.", took);
    let back = report.reboot.as_ref().and_then(|reboot| reboot.back_after);
    let back = back.map(|back| (String::new(), seconds(back)));
    page.gauge("reboot_duration_seconds", "From the request to reboot until the host was back.", back);
    let owed = report.owed.iter().filter(|owed| owed.reason.asks_for_reboot());
    page.gauge(
        "boot_owed",
        "What is installed and only in force after a boot, at the end of the last run.",
        [(String::new(), owed.clone().count().to_string())],
    );
    let since = owed.map(|owed| owed.since).min().map(|at| (String::new(), whole(at.as_second())));
    page.gauge("boot_owed_since_timestamp_seconds", "Since when a boot is owed.", since);
    let downtimes = report.services.iter().filter_map(|service| {
        Some((labelled("unit", service.unit.as_str()), seconds(service.downtime.as_ref()?.took?)))
    });
    page.gauge("service_downtime_seconds", "How long a service was away in the last run.", downtimes);
    // A time without an end is no sample: that it has none is one.
    let still = report.services.iter().filter_map(|service| {
        let downtime = service.downtime.as_ref()?;
        let is_down = report.away.is_some_and(|away| away.still_down) && downtime.until.is_none();
        Some((labelled("unit", service.unit.as_str()), whole(i64::from(is_down))))
    });
    page.gauge(
        "service_still_down",
        "1 for a service that the last run stopped, and that was not back at its end.",
        still,
    );
    let changes = &report.packages.changes;
    let security = changes.iter().filter(|line| line.security).count();
    let packages = [("security", security), ("other", changes.len() - security)]
        .map(|(origin, number)| (labelled("origin", origin), number.to_string()));
    page.gauge("packages", "Packages in the plan of the last run.", packages);
    let findings = [("blocker", Severity::Blocker), ("warning", Severity::Warning), ("info", Severity::Info)].map(
        |(name, severity)| {
            let number = report.findings.iter().filter(|finding| finding.severity == severity).count();
            (labelled("severity", name), number.to_string())
        },
    );
    page.gauge("findings", "What the last verification found.", findings);
    let unsent = report.notifications.iter().filter(|notification| notification.problem.is_some()).count();
    page.gauge(
        "notifications_failed",
        "Messages of the last run that did not arrive.",
        [(String::new(), unsent.to_string())],
    );
    page.0
}

struct Page(String);

impl Page {
    /// One metric with its samples; nothing where there is none, since 0 would be a measurement.
    fn gauge(&mut self, name: &str, help: &str, samples: impl IntoIterator<Item = (String, String)>) {
        let mut samples = samples.into_iter().peekable();
        if samples.peek().is_none() {
            return;
        }
        let _ = writeln!(self.0, "# HELP patchday_{name} {help}\n# TYPE patchday_{name} gauge");
        for (labels, value) in samples {
            let _ = writeln!(self.0, "patchday_{name}{labels} {value}");
        }
    }
}

fn whole(number: i64) -> String {
    number.to_string()
}

fn seconds(span: SignedDuration) -> String {
    format!("{:.3}", span.as_secs_f64())
}

fn labelled(name: &str, value: &str) -> String {
    let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("{{{name}=\"{value}\"}}")
}
