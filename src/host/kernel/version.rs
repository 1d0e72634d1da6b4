//! Orders kernel releases as Debian does.

use std::cmp::Ordering;

/// Compares two kernel releases by dpkg's rules for a version without epoch: digits by value, letters before other
/// signs, a tilde before everything. A release candidate (`-rc`) comes before its release, as in Debian's
/// `linux-version sort`.
pub(super) fn compare(left: &str, right: &str) -> Ordering {
    let prepare = |release: &str| release.replacen("-rc", "~rc", 1);
    compare_parts(prepare(left).as_bytes(), prepare(right).as_bytes())
}

/// dpkg's `verrevcmp`: runs of non-digits and runs of digits, in turn.
fn compare_parts(mut left: &[u8], mut right: &[u8]) -> Ordering {
    while !left.is_empty() || !right.is_empty() {
        let (left_text, left_rest) = split(left, |byte| !byte.is_ascii_digit());
        let (right_text, right_rest) = split(right, |byte| !byte.is_ascii_digit());
        let (left_number, left_rest) = split(left_rest, |byte| byte.is_ascii_digit());
        let (right_number, right_rest) = split(right_rest, |byte| byte.is_ascii_digit());
        let order = compare_text(left_text, right_text).then_with(|| compare_numbers(left_number, right_number));
        if order.is_ne() {
            return order;
        }
        (left, right) = (left_rest, right_rest);
    }
    Ordering::Equal
}

fn split(bytes: &[u8], belongs: impl Fn(&u8) -> bool) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|byte| !belongs(byte)).unwrap_or(bytes.len());
    bytes.split_at(end)
}

fn compare_text(left: &[u8], right: &[u8]) -> Ordering {
    let weight = |byte: Option<&u8>| match byte {
        Some(b'~') => -1,
        None => 0,
        Some(letter) if letter.is_ascii_alphabetic() => i32::from(*letter),
        Some(other) => i32::from(*other) + 256,
    };
    (0..left.len().max(right.len()))
        .map(|at| weight(left.get(at)).cmp(&weight(right.get(at))))
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

/// By value, without a limit on the number of digits.
fn compare_numbers(left: &[u8], right: &[u8]) -> Ordering {
    let strip = |digits: &[u8]| split(digits, |byte| *byte == b'0').1.to_vec();
    let (left, right) = (strip(left), strip(right));
    left.len().cmp(&right.len()).then_with(|| left.cmp(&right))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newer_kernels_come_after_older_ones() {
        for (older, newer) in [
            ("6.1.0-9-amd64", "6.1.0-10-amd64"),
            ("6.1.0-50-amd64", "6.1.0-56-amd64"),
            ("6.1.0-56-amd64", "6.12.107+deb13-amd64"),
            ("6.12.9+deb13-amd64", "6.12.107+deb13-amd64"),
            ("6.12.107+deb13-amd64", "6.12.107+deb14-amd64"),
            ("5.15.0-101-generic", "6.8.0-40-generic"),
            ("6.12.0-rc7", "6.12.0"),
            ("6.12.0-rc2", "6.12.0-rc10"),
            ("6.1.192", "6.1.192-custom"),
            ("6.1.99999999999999999999998", "6.1.99999999999999999999999"),
        ] {
            assert_eq!(compare(older, newer), Ordering::Less, "{older} < {newer}");
            assert_eq!(compare(newer, older), Ordering::Greater, "{newer} > {older}");
            assert_eq!(compare(newer, newer), Ordering::Equal, "{newer}");
        }
        assert_eq!(compare("6.01.0", "6.1.0"), Ordering::Equal);
    }
}
