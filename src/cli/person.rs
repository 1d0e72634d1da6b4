//! Who is at the keyboard.

use std::{env, fs};

use crate::report::words::one_line;

/// What `/proc/self/loginuid` says of a process that nobody logged in for.
const NOBODY: u32 = u32::MAX;

/// Whether somebody else than whose rights these are is at the keyboard: by sudo and its like, or by su.
pub(super) fn is_elevated() -> bool {
    const BY: [&str; 3] = ["SUDO_UID", "PKEXEC_UID", "DOAS_USER"];
    BY.iter().any(|name| env::var_os(name).is_some())
        || login_uid().is_some_and(|uid| uid != rustix::process::geteuid().as_raw())
}

/// Whom the login was opened for; none if nobody logged in.
fn login_uid() -> Option<u32> {
    let uid: u32 = fs::read_to_string("/proc/self/loginuid").ok()?.trim().parse().ok()?;
    (uid != NOBODY).then_some(uid)
}

/// The name of whoever typed the command: as sudo tells it, or whom the session was opened for.
pub(super) fn operator() -> String {
    let by_sudo = env::var("SUDO_USER").ok().filter(|name| !name.is_empty());
    let by_login = || Some(name_of(login_uid()?, &fs::read_to_string("/etc/passwd").unwrap_or_default()));
    by_sudo.or_else(by_login).map_or_else(|| "root".to_owned(), |name| one_line(&name))
}

/// The same, with the terminal: `ada on pts/0`.
pub(super) fn at_terminal() -> String {
    let terminal = fs::read_link("/proc/self/fd/0").ok().filter(|target| target.starts_with("/dev"));
    let terminal = terminal.and_then(|path| Some(path.strip_prefix("/dev").ok()?.display().to_string()));
    match terminal.filter(|name| name != "null") {
        Some(name) => format!("{} on {}", operator(), one_line(&name)),
        None => operator(),
    }
}

/// Users that no local file names (LDAP) are told by number.
fn name_of(uid: u32, passwd: &str) -> String {
    let is_theirs = |line: &&str| line.split(':').nth(2) == Some(uid.to_string().as_str());
    let name = passwd.lines().find(is_theirs).and_then(|line| line.split(':').next());
    name.map_or_else(|| format!("user {uid}"), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_told_by_name_or_by_number() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\nada:x:1000:1000::/srv/ada:/bin/sh\n";
        for (uid, name) in [(0, "root"), (1000, "ada"), (100, "user 100")] {
            assert_eq!(name_of(uid, passwd), name);
        }
    }
}
