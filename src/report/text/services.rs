//! How the services went and came back.

use super::Page;
use crate::report::{Paint, Report, ServiceStory, phrases};

/// One block for each service, in the order in which they came back; those that did not come back last.
pub(super) fn section(report: &Report, page: &Page<'_>) -> Vec<String> {
    let mut services: Vec<&ServiceStory> = report.services.iter().filter(|service| has_a_story(service)).collect();
    services.sort_by_key(|service| service.ready_position.unwrap_or(u32::MAX));
    let rebooted = phrases::was_rebooted(report);
    services.into_iter().flat_map(|service| block(service, rebooted, page)).collect()
}

fn has_a_story(service: &ServiceStory) -> bool {
    service.stopped.is_some() || service.returned.is_some() || service.downtime.is_some()
}

fn block(service: &ServiceStory, rebooted: bool, page: &Page<'_>) -> Vec<String> {
    let (mark, impact) = phrases::impact(service);
    let head = format!("{}  {impact}", page.style.fit(service.unit.as_str(), 26));
    let mut lines = vec![format!("  {} {head}", page.style.mark(mark))];
    if let Some(proof) = &service.stopped {
        lines.extend(detail("stopped", &phrases::stop_words(proof), page));
    }
    if let Some(returned) = &service.returned {
        lines.extend(detail("returned", &phrases::return_words(returned, service.ready_position, rebooted), page));
    }
    lines.extend(phrases::latency_words(service).iter().flat_map(|words| detail("answers", words, page)));
    if let Some(database) = &service.database {
        lines.extend(detail("database", &phrases::database_words(database), page));
    }
    lines
}

fn detail(name: &str, words: &str, page: &Page<'_>) -> Vec<String> {
    let mut lines = page.style.wrap(words, 15);
    if let Some(first) = lines.first_mut() {
        let name = page.style.paint(Paint::Dim, &format!("    {name:<11}"));
        *first = format!("{name}{}", first.trim_start());
    }
    lines
}
