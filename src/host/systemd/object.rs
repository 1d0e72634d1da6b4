//! The D-Bus objects of units, by their names: no call is needed to find one.

use zbus::OwnedObjectPath;

use super::proxy::MANAGER_PATH;
use crate::model::UnitName;

/// The unit's object: systemd loads the unit when it is asked about, so that no call is needed to find it.
pub(super) fn object_path(unit: &str) -> zbus::Result<OwnedObjectPath> {
    OwnedObjectPath::try_from(format!("{MANAGER_PATH}/unit/{}", escaped(unit)))
}

/// Everything but letters and digits in hexadecimal, and a digit in the first place too.
fn escaped(unit: &str) -> String {
    let mut text = String::with_capacity(unit.len() + 16);
    for (at, byte) in unit.bytes().enumerate() {
        if byte.is_ascii_alphabetic() || (at > 0 && byte.is_ascii_digit()) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("_{byte:02x}"));
        }
    }
    text
}

/// The other way round; none for what is no unit's object.
pub(super) fn unescaped(path: &str) -> Option<UnitName> {
    let text = path.strip_prefix(MANAGER_PATH)?.strip_prefix("/unit/")?;
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        if first == b'_' {
            let digits = std::str::from_utf8(tail.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = tail.get(2..)?;
        } else {
            bytes.push(first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_and_their_objects_are_the_same_both_ways() {
        for (unit, path) in [
            ("mongod.service", "mongod_2eservice"),
            ("srv-data\\x2dold.mount", "srv_2ddata_5cx2dold_2emount"),
            ("0-first.timer", "_30_2dfirst_2etimer"),
        ] {
            assert_eq!(escaped(unit), path);
            let object = object_path(unit).unwrap();
            assert_eq!(unescaped(object.as_str()).unwrap().as_str(), unit);
        }
        assert_eq!(unescaped("/org/freedesktop/systemd1/job/12"), None);
    }
}
