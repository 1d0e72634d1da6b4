//! Orders versions and kernel releases as Debian does.

use std::cmp::Ordering;

/// Compares two kernel releases by dpkg's rules for a version without epoch: digits by value, letters before other
/// signs, a tilde before everything. A release candidate (`-rc`) comes before its release, as in Debian's
/// `linux-version sort`.
pub fn compare_releases(left: &str, right: &str) -> Ordering {
    let prepare = |release: &str| release.replacen("-rc", "~rc", 1);
    compare_parts(prepare(left).as_bytes(), prepare(right).as_bytes())
}

/// Compares two versions of packages by dpkg's rules: epoch, upstream's version, Debian's revision.
pub fn compare_versions(left: &str, right: &str) -> Ordering {
    let split = |version: &str| {
        let (epoch, rest) = version.split_once(':').unwrap_or(("0", version));
        let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
        (epoch.to_owned(), upstream.to_owned(), revision.to_owned())
    };
    let (left, right) = (split(left), split(right));
    compare_parts(left.0.as_bytes(), right.0.as_bytes())
        .then_with(|| compare_parts(left.1.as_bytes(), right.1.as_bytes()))
        .then_with(|| compare_parts(left.2.as_bytes(), right.2.as_bytes()))
}

/// What a kernel is built for, as in `cloud-amd64` of `6.1.0-50-cloud-amd64`: the part after the numbers.
pub fn kernel_flavour(release: &str) -> &str {
    let mut rest = release;
    while let Some((part, after)) =
        rest.split_once('-').filter(|(part, _)| part.starts_with(|c: char| c.is_ascii_digit()))
    {
        let _number = part;
        rest = after;
    }
    if rest.starts_with(|c: char| c.is_ascii_digit()) { "" } else { rest }
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
            assert_eq!(compare_releases(older, newer), Ordering::Less, "{older} < {newer}");
            assert_eq!(compare_releases(newer, older), Ordering::Greater, "{newer} > {older}");
            assert_eq!(compare_releases(newer, newer), Ordering::Equal, "{newer}");
        }
        assert_eq!(compare_releases("6.01.0", "6.1.0"), Ordering::Equal);
    }

    #[test]
    fn versions_of_packages_have_epoch_and_revision() {
        for (older, newer) in [
            ("1.0-1", "1.0-2"),
            ("9.9-9", "1:1.0-1"),
            ("1.0~rc1-1", "1.0-1"),
            ("1.0", "1.0-1"),
            ("1.0-1", "1.0-1+deb12u1"),
            ("2.36-9", "2.36-9+b1"),
        ] {
            assert_eq!(compare_versions(older, newer), Ordering::Less, "{older} < {newer}");
            assert_eq!(compare_versions(newer, older), Ordering::Greater, "{newer} > {older}");
        }
        assert_eq!(compare_versions("0:1.0-0", "1.0"), Ordering::Equal);
    }

    #[test]
    fn a_flavour_is_what_follows_the_numbers() {
        for (release, flavour) in [
            ("6.1.0-50-amd64", "amd64"),
            ("6.1.0-50-cloud-amd64", "cloud-amd64"),
            ("6.12.107+deb13-cloud-amd64", "cloud-amd64"),
            ("6.8.0-45-generic", "generic"),
            ("6.1.192", ""),
        ] {
            assert_eq!(kernel_flavour(release), flavour, "{release}");
        }
    }
}
