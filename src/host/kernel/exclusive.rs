//! Which kernels a module takes, as its `dkms.conf` says.

use regex_automata::Input;
use regex_automata::dfa::{Automaton, dense};
use regex_automata::util::syntax;

use crate::model::compare_releases;

/// No pattern of a `dkms.conf` needs more; what does is not understood.
const LARGEST: usize = 1 << 20;

/// What of this `dkms.conf` excludes a kernel, as it stands there; none if it takes it, or where nothing can be said.
///
/// The file is a script of bash. What it assigns by other means than a line with a plain value is not read: DKMS then says
/// itself what it does not build. `BUILD_EXCLUSIVE_CONFIG` asks for the configuration of a kernel that is not there yet.
pub(super) fn why_excluded(conf: &str, release: &str) -> Option<String> {
    let excludes = |name: &str, is_taken: &dyn Fn(&str) -> Option<bool>| {
        let value = assigned(conf, name)?;
        (is_taken(&value) == Some(false)).then(|| format!("{name}=\"{value}\""))
    };
    excludes("BUILD_EXCLUSIVE_KERNEL", &|pattern| matches(pattern, release))
        .or_else(|| excludes("BUILD_EXCLUSIVE_KERNEL_MIN", &|least| Some(compare_releases(release, least).is_ge())))
        .or_else(|| excludes("BUILD_EXCLUSIVE_KERNEL_MAX", &|most| Some(compare_releases(release, most).is_le())))
}

/// Whether DKMS builds the module for every new kernel. Only bash knows what is not plain; that counts as a yes, as
/// anything but an empty value does.
pub(super) fn is_built_by_itself(conf: &str) -> bool {
    let set = conf.lines().filter_map(|line| line.strip_prefix("AUTOINSTALL=")).next_back();
    set.is_some_and(|value| !matches!(value.split('#').next().unwrap_or_default().trim(), "" | "\"\"" | "''"))
}

/// The value of the last plain assignment.
fn assigned(conf: &str, name: &str) -> Option<String> {
    let mut values = conf.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    let text = values.next_back()?.trim();
    let quote = text.chars().next().filter(|first| matches!(first, '"' | '\''));
    let value = match quote {
        Some(quote) => text.get(1..)?.split(quote).next()?,
        None => text.split_whitespace().next()?,
    };
    // A variable, a command, or what an escape stands for: only bash knows.
    let is_plain = quote == Some('\'')
        || (quote == Some('"') || !value.contains('\\'))
            && !value.contains(['`'])
            && !value.contains("\\\\")
            && value.split('$').skip(1).all(|rest| rest.is_empty() || rest.starts_with([')', '|']));
    (!value.is_empty() && is_plain).then(|| value.to_owned())
}

/// As `[[ $release =~ $pattern ]]`; none for what is no pattern.
fn matches(pattern: &str, release: &str) -> Option<bool> {
    let limits = dense::Config::new().dfa_size_limit(Some(LARGEST)).determinize_size_limit(Some(LARGEST));
    let bytes = syntax::Config::new().unicode(false).utf8(false);
    let automaton = dense::Builder::new().configure(limits).syntax(bytes).build(pattern).ok()?;
    Some(automaton.try_search_fwd(&Input::new(release)).ok()?.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_is_excluded_where_the_file_says_so_in_plain_words() {
        const NEW: &str = "6.1.0-57-cloud-amd64";
        let excluded = |conf: &str| why_excluded(conf, NEW).is_some();
        for (conf, is) in [
            ("", false),
            ("PACKAGE_NAME=lab\nBUILD_EXCLUSIVE_KERNEL=\"^6\\.1\\..*\"\n", false),
            ("BUILD_EXCLUSIVE_KERNEL=\"^5\\..*\"", true),
            ("BUILD_EXCLUSIVE_KERNEL='^6\\.1\\.0-50-cloud-amd64$'", true),
            ("BUILD_EXCLUSIVE_KERNEL=\"^6\\.1\\.0-(50|57)-.*amd64$\"", false),
            ("BUILD_EXCLUSIVE_KERNEL=\"(-rt|-cloud)\"", false),
            ("BUILD_EXCLUSIVE_KERNEL=^4", true),
            ("BUILD_EXCLUSIVE_KERNEL=\"^4\"\nBUILD_EXCLUSIVE_KERNEL=\"^6\"", false),
            ("BUILD_EXCLUSIVE_KERNEL=\"\"", false),
            ("BUILD_EXCLUSIVE_KERNEL_MIN=6.2", true),
            ("BUILD_EXCLUSIVE_KERNEL_MIN=\"6.1\"", false),
            ("BUILD_EXCLUSIVE_KERNEL_MAX='5.19'", true),
            ("BUILD_EXCLUSIVE_KERNEL_MAX=6.5", false),
            ("BUILD_EXCLUSIVE_ARCH=\"aarch64\"", false),
            // What only bash can tell is not told.
            ("BUILD_EXCLUSIVE_KERNEL=\"^${major}\\.\"", false),
            ("BUILD_EXCLUSIVE_KERNEL=\"$(cat kernels)\"", false),
            ("BUILD_EXCLUSIVE_KERNEL=\"(\"", false),
            ("  BUILD_EXCLUSIVE_KERNEL=\"^5\"", false),
        ] {
            assert_eq!(excluded(conf), is, "{conf}");
        }
        let why = why_excluded("BUILD_EXCLUSIVE_KERNEL=\"^5\\..*\"", NEW);
        assert_eq!(why.as_deref(), Some("BUILD_EXCLUSIVE_KERNEL=\"^5\\..*\""));
    }

    #[test]
    fn a_module_is_built_by_itself_where_its_file_says_so() {
        for (conf, is) in [
            ("PACKAGE_NAME=lab\nAUTOINSTALL=\"yes\"\n", true),
            ("AUTOINSTALL=yes", true),
            ("AUTOINSTALL=\"\"", false),
            ("AUTOINSTALL= # not by itself", false),
            ("AUTOINSTALL=yes\nAUTOINSTALL=''", false),
            ("#AUTOINSTALL=yes", false),
            ("", false),
        ] {
            assert_eq!(is_built_by_itself(conf), is, "{conf}");
        }
    }

    #[test]
    fn spoiled_text_is_survived() {
        let samples = ["BUILD_EXCLUSIVE_KERNEL=\"^(6|5\\.1[0-9])\\..*$\"\nBUILD_EXCLUSIVE_KERNEL_MIN='5.10'\n"];
        crate::host::hostile::survives(&samples, |text| {
            let _ = (why_excluded(text, "6.1.0-57-amd64"), is_built_by_itself(text));
        });
    }
}
