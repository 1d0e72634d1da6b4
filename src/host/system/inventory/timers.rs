//! Active timers, as `systemctl list-timers` tells them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use crate::host::{HostError, HostResult};
use crate::model::UnitName;

/// Arguments of `systemctl`.
pub(super) const ARGS: [&str; 4] = ["list-timers", "--output=json", "--no-pager", "--no-legend"];

/// `next` is in microseconds since 1970; 0, null or the largest number is never.
pub(super) fn parse(json: &str) -> HostResult<BTreeMap<UnitName, Option<Timestamp>>> {
    let failed = |why: String| HostError::failed("read the timers", why);
    let rows: Vec<Value> = serde_json::from_str(json).map_err(|error| failed(error.to_string()))?;
    let mut timers = BTreeMap::new();
    for row in rows {
        let unit = row.get("unit").and_then(Value::as_str).and_then(|unit| unit.parse().ok());
        let unit = unit.ok_or_else(|| failed(format!("no unit in {row}")))?;
        let next = row.get("next").and_then(Value::as_i64).filter(|usec| *usec > 0);
        timers.insert(unit, next.and_then(|usec| Timestamp::from_microsecond(usec).ok()));
    }
    Ok(timers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_of_systemd_252_and_257() {
        let json = r#"[{"next":1795500000000000,"left":1,"last":0,"passed":0,"unit":"fstrim.timer","activates":"fstrim.service"},
            {"next":0,"left":0,"last":1795400000000000,"passed":1,"unit":"once.timer","activates":"once.service"},
            {"next":null,"left":null,"last":null,"passed":null,"unit":"never.timer","activates":"never.service"}]"#;
        let timers = parse(json).unwrap();
        let next: Vec<bool> = timers.values().map(Option::is_some).collect();
        assert_eq!(next, [true, false, false]);
        assert!(parse("[{}]").is_err() && parse("").is_err());
    }

    #[test]
    fn spoiled_text_is_survived() {
        let samples = [
            "[{\"next\":1764547200000000,\"left\":1,\"last\":0,\"passed\":0,\"unit\":\"apt-daily.timer\",\"activates\":\"apt-daily.service\"}]",
        ];
        crate::host::hostile::survives(&samples, |text| {
            let _ = parse(text);
        });
    }
}
