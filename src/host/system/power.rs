//! Mains and batteries, as the kernel has them below `/sys/class/power_supply`.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use crate::host::command::below;
use crate::host::{HostError, HostResult};
use crate::model::PowerSupply;

/// None if the kernel has none to show.
pub(super) fn supplies(root: &Path) -> HostResult<Vec<PowerSupply>> {
    let class = below(root, "/sys/class/power_supply");
    let entries = match fs::read_dir(&class) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(HostError::failed(format!("read {}", class.display()), error)),
    };
    let mut supplies = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| HostError::failed(format!("read {}", class.display()), error))?;
        let tells = |name: &str| fs::read_to_string(entry.path().join(name)).map(|text| text.trim().to_owned());
        // The batteries of a mouse or a keyboard are none of the host's.
        if tells("scope").is_ok_and(|scope| scope == "Device") {
            continue;
        }
        supplies.push(PowerSupply {
            name: entry.file_name().to_string_lossy().into_owned(),
            kind: tells("type").unwrap_or_default(),
            status: tells("status").unwrap_or_default(),
            online: tells("online").ok().map(|online| online != "0"),
            capacity: tells("capacity").ok().and_then(|capacity| capacity.parse().ok()),
        });
    }
    supplies.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(supplies)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::tree::write;

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            write(dir.path(), path, text);
        }
        dir
    }

    #[test]
    fn supplies_of_the_host_are_told_and_those_of_a_mouse_are_not() {
        let root = tree(&[
            ("sys/class/power_supply/AC/type", "Mains\n"),
            ("sys/class/power_supply/AC/online", "0\n"),
            ("sys/class/power_supply/BAT0/type", "Battery\n"),
            ("sys/class/power_supply/BAT0/status", "Discharging\n"),
            ("sys/class/power_supply/BAT0/capacity", "41\n"),
            ("sys/class/power_supply/hidpp_battery_0/type", "Battery\n"),
            ("sys/class/power_supply/hidpp_battery_0/scope", "Device\n"),
        ]);
        let seen = supplies(root.path()).unwrap();
        let seen: Vec<_> = seen.iter().map(|s| (s.name.as_str(), s.status.as_str(), s.online, s.capacity)).collect();
        assert_eq!(seen, [("AC", "", Some(false), None), ("BAT0", "Discharging", None, Some(41))]);
        assert!(supplies(tree(&[]).path()).unwrap().is_empty());
    }
}
