//! Names as people write them: what a pattern names, and what was meant by a name that nothing has.

/// Whether a pattern names it, as `fnmatch` does with `*` and `?`.
pub fn matches(pattern: &str, name: &str) -> bool {
    let name: Vec<char> = name.chars().collect();
    // Which beginnings of the name the pattern so far matches.
    let mut reached: Vec<bool> = (0..=name.len()).map(|at| at == 0).collect();
    for one in pattern.chars() {
        let mut next = vec![false; name.len() + 1];
        for at in 0..=name.len() {
            next[at] = match one {
                '*' => reached[at] || (at > 0 && next[at - 1]),
                '?' => at > 0 && reached[at - 1],
                letter => at > 0 && reached[at - 1] && name[at - 1] == letter,
            };
        }
        reached = next;
    }
    reached[name.len()]
}

/// The candidate nearest to the text, if it is near enough to be what was meant.
pub fn nearest<'a>(text: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = text.chars().count();
    let limit = (length / 3).clamp(1, 3);
    let rated = candidates.into_iter().map(|candidate| {
        let begun = length >= 3 && candidate.starts_with(text);
        (if begun { 1 } else { strsim::levenshtein(text, candidate) }, candidate)
    });
    rated.filter(|(distance, _)| *distance <= limit).min_by_key(|(distance, _)| *distance).map(|(_, found)| found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_names_the_whole_name() {
        for (pattern, named, not_named) in [
            ("docker-*", vec!["docker-ce", "docker-"], vec!["docker", "a-docker-ce"]),
            ("*-dkms", vec!["zfs-dkms"], vec!["zfs-dkms-extra", "dkms"]),
            ("php?.?", vec!["php8.2"], vec!["php8.12", "php"]),
            ("*a*b*", vec!["ab", "xaxbx"], vec!["ba"]),
            ("libc6", vec!["libc6"], vec!["libc6-dev", "LIBC6"]),
            ("", vec![""], vec!["a"]),
        ] {
            assert!(named.iter().all(|name| matches(pattern, name)), "{pattern} of {named:?}");
            assert!(!not_named.iter().any(|name| matches(pattern, name)), "{pattern} of {not_named:?}");
        }
    }

    #[test]
    fn the_word_that_was_meant_is_found() {
        let words = ["stop-timeout", "start-timeout", "unit", "kind"];
        assert_eq!(nearest("stop_timout", words), Some("stop-timeout"));
        assert_eq!(nearest("start-timeouts", words), Some("start-timeout"));
        assert_eq!(nearest("units", words), Some("unit"));
        assert_eq!(nearest("kin", words), Some("kind"));
        assert_eq!(nearest("colour", words), None);
        assert_eq!(nearest("", words), None);
    }
}
