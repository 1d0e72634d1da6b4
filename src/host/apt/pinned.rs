//! What we read of apt, and what we have it do, does not depend on how a host likes its apt: every use of it, question and
//! work alike, gets these. An option of the command line counts more than any file, a `Binary::apt-get` block included
//! (seen with apt 2.6). What a site decides about its packages (pins, sources, proxies, hooks, automatic removals) is
//! not in here, and counts.

use crate::host::command;

/// Names and values, for `-o`.
const OPTIONS: [(&str, &str); 41] = [
    // `quiet "2"` leaves out the lists that we read, and implies --assume-yes.
    ("quiet", "1"),
    ("quiet::NoUpdate", "false"),
    ("quiet::NoProgress", "false"),
    ("quiet::NoStatistic", "false"),
    ("APT::Color", "false"),
    // With versions a list of names is no list of names.
    ("APT::Get::Show-Versions", "false"),
    ("APT::Get::Show-Upgraded", "true"),
    ("APT::Get::Show-User-Simulation-Note", "false"),
    // Each of these has an upgrade end well that has done nothing, or has done something else.
    ("APT::Get::Assume-No", "false"),
    ("APT::Get::Trivial-Only", "false"),
    ("APT::Get::Simulate", "false"),
    ("APT::Get::Download-Only", "false"),
    ("APT::Get::Download", "true"),
    ("APT::Get::Print-URIs", "false"),
    ("APT::Get::CallResolver", "true"),
    ("APT::Get::Only-Upgrade", "false"),
    ("APT::Get::Upgrade", "true"),
    ("APT::Get::ReInstall", "false"),
    ("APT::Get::Force-Yes", "false"),
    // Removals are [upgrade] allow-removals' to judge, by their names; the work itself says --no-remove.
    ("APT::Get::Remove", "true"),
    ("APT::Cache::AllVersions", "true"),
    ("Debug::NoLocking", "false"),
    ("Debug::RunScripts", "false"),
    ("Debug::Locking", "false"),
    ("Debug::Phasing", "false"),
    ("Debug::Hashes", "false"),
    ("Debug::pkgAcquire", "false"),
    ("Debug::pkgAcquire::Auth", "false"),
    ("Debug::pkgAutoRemove", "false"),
    ("Debug::pkgCacheGen", "false"),
    ("Debug::pkgDepCache::AutoInstall", "false"),
    ("Debug::pkgDepCache::Marker", "false"),
    // Prints what dpkg would be told, and tells it nothing.
    ("Debug::pkgDPkgPM", "false"),
    ("Debug::pkgOrderList", "false"),
    ("Debug::pkgPackageManager", "false"),
    ("Debug::pkgPolicy", "false"),
    ("Debug::pkgProblemResolver", "false"),
    ("Dpkg::Use-Pty", "false"),
    ("Dpkg::Progress", "false"),
    ("Dpkg::Progress-Fancy", "false"),
    ("DPkg::ConfigurePending", "true"),
];

/// Keep the host's own configuration files where they were changed, and take the new ones where they were not. dpkg
/// takes `confnew` for the stronger of two wishes, and asks where it was told `confask`: both may stand in a site's files.
pub(super) const CONFFILES: [&str; 4] =
    ["--no-force-confnew", "--no-force-confask", "--force-confdef", "--force-confold"];

/// As arguments of any of apt's programs; ours come before what a single use of it wants.
pub(super) fn options() -> impl Iterator<Item = String> {
    OPTIONS.iter().flat_map(|(name, value)| ["-o".to_owned(), format!("{name}={value}")])
}

/// What nobody is there to answer: debconf, ucf, apt-listchanges and apt-listbugs must not ask, needrestart must not restart
/// services which are held down.
const UNATTENDED: [(&str, &str); 6] = [
    ("DEBIAN_FRONTEND", "noninteractive"),
    ("DEBCONF_NONINTERACTIVE_SEEN", "true"),
    ("UCF_FORCE_CONFFOLD", "1"),
    ("APT_LISTCHANGES_FRONTEND", "none"),
    ("APT_LISTBUGS_FRONTEND", "none"),
    ("NEEDRESTART_SUSPEND", "1"),
];

/// The whole environment of work on packages.
pub(super) fn environment() -> Vec<(String, String)> {
    let unattended = UNATTENDED.iter().map(|&(name, value)| (name.to_owned(), value.to_owned()));
    command::environment().into_iter().chain(unattended).collect()
}
