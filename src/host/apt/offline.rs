//! Work without a network: an upgrade while services are down must not wait for another host.

/// apt's ways to another host. With these switched off an upgrade cannot fetch while services are down: where a package
/// is missing after all, apt stops before it starts dpkg. `--no-download` would say the same, but breaks half way
/// through dpkg's work where packages come from a `file:` repository: removals are done by then (seen with apt 2.6
/// and 3.0).
pub(super) const NETWORK_METHODS: [&str; 8] =
    ["http", "https", "ftp", "mirror", "mirror+http", "mirror+https", "tor+http", "tor+https"];

/// Options that switch them off.
pub(super) fn without_network() -> impl Iterator<Item = String> {
    NETWORK_METHODS.iter().flat_map(|method| ["-o".to_owned(), format!("Dir::Bin::Methods::{method}=false")])
}

/// Reads `--print-uris`: `'URI' FILE SIZE HASH` for what is not in the archives. What lies in a repository on this host is
/// told as well, and needs no fetching.
pub(super) fn from_elsewhere(text: &str) -> Vec<String> {
    let file = |line: &str| {
        let (uri, rest) = line.strip_prefix('\'')?.split_once("' ")?;
        let scheme = uri.split_once(':')?.0;
        NETWORK_METHODS.contains(&scheme).then(|| rest.split(' ').next().unwrap_or_default().to_owned())
    };
    text.lines().filter_map(file).collect()
}
