//! Which packages wait for the stop of the services under `ahead = "unrelated"`, and why, as Patchday's plan has it.

use crate::figures::{Table, one_line};
use anyhow::{Context, Result};
use patchday_lab::Suite;
use serde_json::Value;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// One row for each reason, that of most packages first, and at the end those that have none.
pub(crate) fn table(plan: &Value, suite: Suite) -> Result<Table> {
    let ahead = &plan["ahead"];
    let waits = ahead["waits"].as_array().context("the plan does not say what waits")?;
    let free = ahead["ahead"].as_array().context("the plan does not say what comes ahead")?;
    let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for waiting in waits {
        let name = waiting["package"].as_str().context("a package without a name")?;
        reasons.entry(waiting["why"].as_str().context("a package without a reason")?).or_default().push(name);
    }
    let mut reasons: Vec<(&str, Vec<&str>)> = reasons.into_iter().collect();
    reasons.sort_by_key(|(_, names)| Reverse(names.len()));
    reasons.push(("none: it comes ahead", free.iter().filter_map(Value::as_str).collect()));

    let all = match ahead["all_waits"].as_str() {
        Some(why) => format!("; all waits: {}", one_line(why)),
        None => String::new(),
    };
    let said = format!("{suite}, {} packages wait and {} come ahead{all}", waits.len(), free.len());
    let mut table = Table::new(said, &["reason to wait", "packages", "which"]);
    for (reason, mut names) in reasons {
        names.sort_unstable();
        table.row([one_line(reason), names.len().to_string(), names.join(", ")]);
    }
    Ok(table)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn packages_with_the_same_reason_share_a_row() {
        let wait = |package: &str, why: &str| json!({ "package": package, "why": why });
        let waits = [wait("zlib1g", "mapped"), wait("udev", "the host's"), wait("dbus", "the host's")];
        let plan = json!({ "ahead": { "ahead": ["vim", "perl"], "waits": waits, "all_waits": null } });
        let rows = [
            "bookworm, 3 packages wait and 2 come ahead",
            "",
            "| reason to wait | packages | which |",
            "|---|---|---|",
            "| the host's | 2 | dbus, udev |",
            "| mapped | 1 | zlib1g |",
            "| none: it comes ahead | 2 | perl, vim |",
        ];
        assert_eq!(table(&plan, Suite::Bookworm).unwrap().text(), rows.join("\n"));
        assert!(table(&json!({ "ahead": null }), Suite::Bookworm).is_err());
    }
}
