//! Who still runs files that were replaced: `/proc/PID/maps` of every process of this system.
//!
//! A file that is mapped to be run and has no name any more was replaced, or removed, under whoever runs it. Only files of
//! packages count; what is made to be run and thrown away (`/memfd:`, `/dev/shm`, `/SYSV`, `/tmp`, code of a JIT) is nobody's
//! upgrade. No inode is compared: on overlay file systems those of a file and of its mapping differ.

mod used;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;

use super::command::below;
use super::sockets::unit_of_cgroup;
use super::{HostError, HostErrorKind, HostResult, RunningCode};
use crate::model::{OldCode, UsedFiles};

/// A process that is stuck in its own memory keeps its maps from everybody who looks.
const TIMEOUT: Duration = Duration::from_secs(20);
/// What is read of the maps of one process: a browser has five thousand lines.
const MOST: u64 = 16 << 20;
/// Files that are named of one unit.
const FILES: usize = 8;

const DELETED: &str = " (deleted)";
/// Where packages put what is run, and nobody else does.
const OF_PACKAGES: [&str; 7] = ["/usr/", "/lib/", "/lib32/", "/lib64/", "/libx32/", "/bin/", "/sbin/"];
const OF_ADMINISTRATOR: &str = "/usr/local/";
/// Never of a package.
const PASSING: [&str; 9] =
    ["/memfd:", "/dev/", "/SYSV", "/tmp/", "/var/tmp/", "/run/", "/proc/", "/anon_hugepage", "/[aio]"];

/// The processes of this host.
#[derive(Debug, Clone)]
pub struct HostProcesses {
    root: PathBuf,
}

impl HostProcesses {
    /// Reads below `root`; `/` except in tests.
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }
}

#[async_trait]
impl RunningCode for HostProcesses {
    async fn old_code(&self) -> HostResult<Vec<OldCode>> {
        self.in_time("look who runs replaced files", |root| look(root, std::process::id())).await
    }

    async fn used(&self, pids: &[u32], commands: &[Vec<String>]) -> HostResult<UsedFiles> {
        let (pids, commands) = (pids.to_vec(), commands.to_vec());
        self.in_time("look what a service uses", move |root| used::look(root, &pids, &commands)).await
    }
}

impl HostProcesses {
    /// A thread of its own: nobody waits for it where a process keeps it.
    async fn in_time<T: Send + 'static>(
        &self,
        what: &str,
        look: impl FnOnce(&Path) -> Result<T, String> + Send + 'static,
    ) -> HostResult<T> {
        let root = self.root.clone();
        let (answer, answered) = tokio::sync::oneshot::channel();
        let looks = move || drop(answer.send(look(&root)));
        std::thread::Builder::new().name("maps".into()).spawn(looks).map_err(|error| HostError::failed(what, error))?;
        match tokio::time::timeout(TIMEOUT, answered).await {
            Ok(Ok(seen)) => seen.map_err(|why| HostError::new(HostErrorKind::Unknown, what, why)),
            Ok(Err(_)) | Err(_) => Err(HostError::new(
                HostErrorKind::Unknown,
                what,
                format!("a process does not show what it has mapped within {} s", TIMEOUT.as_secs()),
            )),
        }
    }
}

/// Everybody who runs replaced files, by unit.
fn look(root: &Path, own_pid: u32) -> Result<Vec<OldCode>, String> {
    let proc = below(root, "/proc");
    let own_root = identity(root).map_err(|error| format!("{}: {error}", root.display()))?;
    let mut found: BTreeMap<(Option<String>, String), OldCode> = BTreeMap::new();
    let mut doubtful: BTreeSet<String> = BTreeSet::new();
    let mut seen: Vec<(u32, BTreeSet<String>)> = Vec::new();
    for entry in fs::read_dir(&proc).map_err(|error| format!("{}: {error}", proc.display()))?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        if pid == own_pid {
            continue;
        }
        let files = match replaced(&entry.path(), own_root) {
            Ok(files) => files,
            // It has ended meanwhile.
            Err(error) if error.kind() == ErrorKind::NotFound || error.raw_os_error() == Some(3) => continue,
            Err(error) => return Err(format!("process {pid}: {error}")),
        };
        if !files.is_empty() {
            doubtful.extend(files.iter().filter(|file| !is_of_package(file)).cloned());
            seen.push((pid, files));
        }
    }
    let known = known_to_dpkg(root, &doubtful);
    for (pid, files) in seen {
        let files: Vec<String> = files.into_iter().filter(|file| is_of_package(file) || known.contains(file)).collect();
        if files.is_empty() {
            continue;
        }
        let process = proc.join(pid.to_string());
        let program = fs::read_to_string(process.join("comm")).unwrap_or_default().trim_end().to_owned();
        let unit = fs::read_to_string(process.join("cgroup")).ok().and_then(|text| unit_of_cgroup(&text));
        let by_unit = unit.as_ref().map(ToString::to_string);
        let name = if by_unit.is_some() { String::new() } else { format!("{program}-{pid}") };
        let one = found.entry((by_unit, name)).or_insert_with(|| OldCode { unit, program, pid, files: Vec::new() });
        one.pid = one.pid.min(pid);
        for file in files {
            if one.files.len() < FILES && !one.files.contains(&file) {
                one.files.push(file);
            }
        }
    }
    Ok(found.into_values().collect())
}

/// Files that the process runs and that have no name any more. None of one that lives in another file system tree: a
/// container has its own packages.
fn replaced(process: &Path, own_root: (u64, u64)) -> std::io::Result<BTreeSet<String>> {
    let mut files = BTreeSet::new();
    if identity(&process.join("root"))? != own_root {
        return Ok(files);
    }
    for line in BufReader::new(File::open(process.join("maps"))?.take(MOST)).split(b'\n') {
        let line = line?;
        if let Some(file) = std::str::from_utf8(&line).ok().and_then(replaced_file) {
            files.insert(file.to_owned());
        }
    }
    Ok(files)
}

fn identity(path: &Path) -> std::io::Result<(u64, u64)> {
    fs::metadata(path).map(|metadata| (metadata.dev(), metadata.ino()))
}

/// `7f5c2e628000-7f5c2e77d000 r-xp 00028000 fe:00 131 /usr/lib/x86_64-linux-gnu/libc.so.6 (deleted)`
fn replaced_file(line: &str) -> Option<&str> {
    let file = line.strip_suffix(DELETED)?;
    let mut fields = file.splitn(6, ' ');
    let is_run = fields.nth(1)?.contains('x');
    let file = fields.nth(3)?.trim_start();
    let is_passing = PASSING.iter().any(|start| file.starts_with(start));
    (is_run && file.starts_with('/') && !is_passing).then_some(file)
}

fn is_of_package(file: &str) -> bool {
    OF_PACKAGES.iter().any(|start| file.starts_with(start)) && !file.starts_with(OF_ADMINISTRATOR)
}

/// Of files elsewhere (`/opt`), those that a package brought.
fn known_to_dpkg(root: &Path, files: &BTreeSet<String>) -> BTreeSet<String> {
    let mut known = BTreeSet::new();
    if files.is_empty() {
        return known;
    }
    for list in fs::read_dir(below(root, "/var/lib/dpkg/info")).into_iter().flatten().flatten() {
        if list.path().extension().is_none_or(|extension| extension != "list") {
            continue;
        }
        let Ok(list) = File::open(list.path()) else { continue };
        known.extend(BufReader::new(list.take(MOST)).lines().map_while(Result::ok).filter(|line| files.contains(line)));
    }
    known
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const MAPS: &str = "7f5c2e628000-7f5c2e77d000 r-xp 00028000 fe:00 131                      ";

    #[test]
    fn only_what_is_run_and_replaced_counts() {
        for (line, file) in [
            ("r-xp 00028000 fe:00 131    /usr/lib/libc.so.6 (deleted)", Some("/usr/lib/libc.so.6")),
            ("r-xp 00028000 fe:00 131    /opt/a b/agent (deleted)", Some("/opt/a b/agent")),
            ("r-xp 00028000 fe:00 131    /usr/lib/libc.so.6", None),
            // Data: a locale archive, a cache of fonts.
            ("r--p 00028000 fe:00 131    /usr/lib/locale/locale-archive (deleted)", None),
            ("r-xs 00000000 00:01 2048   /memfd:doublemapper (deleted)", None),
            ("rwxs 00000000 00:05 3      /dev/zero (deleted)", None),
            ("rwxs 00000000 00:19 3      /dev/shm/jit-1 (deleted)", None),
            ("rwxs 00000000 00:01 9      /SYSV00000000 (deleted)", None),
            ("r-xp 00000000 fe:00 9      /tmp/jffi123.so (deleted)", None),
            ("r-xp 00000000 fe:00 9      /var/tmp/x.so (deleted)", None),
            ("r-xp 00000000 00:00 0      [vdso]", None),
            ("rwxp 00000000 00:00 0 ", None),
            ("nonsense (deleted)", None),
        ] {
            assert_eq!(replaced_file(&format!("7f5c2e628000-7f5c2e77d000 {line}")), file, "{line}");
        }
    }

    /// A host with these processes: PID, program, control group, its root and the mapped file.
    fn host(processes: &[(u32, &str, &str, &str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let info = dir.path().join("var/lib/dpkg/info");
        fs::create_dir_all(&info).unwrap();
        fs::create_dir_all(dir.path().join("container")).unwrap();
        fs::write(info.join("agent.list"), "/.\n/opt/agent\n/opt/agent/bin\n").unwrap();
        fs::write(info.join("agent.md5sums"), "/opt/deployed/api\n").unwrap();
        for (pid, program, cgroup, root, file) in processes {
            let process = dir.path().join(format!("proc/{pid}"));
            fs::create_dir_all(&process).unwrap();
            fs::write(process.join("comm"), format!("{program}\n")).unwrap();
            fs::write(process.join("cgroup"), format!("0::{cgroup}\n")).unwrap();
            fs::write(process.join("maps"), format!("{MAPS}{file}\n")).unwrap();
            symlink(dir.path().join(root), process.join("root")).unwrap();
        }
        // A thread of the kernel, and files that are no process.
        fs::create_dir_all(dir.path().join("proc/2")).unwrap();
        fs::write(dir.path().join("proc/uptime"), "1 2").unwrap();
        dir
    }

    #[test]
    fn who_runs_what_is_told_by_unit() {
        let libc = "/usr/lib/x86_64-linux-gnu/libc.so.6 (deleted)";
        let dir = host(&[
            (1, "systemd", "/init.scope", "", libc),
            (80, "cron", "/system.slice/cron.service", "", libc),
            (81, "cron", "/system.slice/cron.service", "", "/usr/sbin/cron (deleted)"),
            (82, "new", "/system.slice/new.service", "", "/usr/sbin/new"),
            (83, "nginx", "/system.slice/docker-1f.scope", "container", libc),
            (84, "agent", "/system.slice/agent.service", "", "/opt/agent/bin (deleted)"),
            (85, "api", "/system.slice/api.service", "", "/opt/deployed/api (deleted)"),
            (86, "tool", "/system.slice/tool.service", "", "/usr/local/bin/tool (deleted)"),
            (87, "bash", "/user.slice/user-0.slice/session-3.scope", "", "/usr/bin/bash (deleted)"),
            (88, "stray", "/", "", libc),
            (99, "patchday", "/system.slice/own.service", "", libc),
        ]);
        let seen = look(dir.path(), 99).unwrap();
        let told: Vec<_> = seen
            .iter()
            .map(|one| (one.unit.as_ref().map_or("", |unit| unit.as_str()), one.pid, one.files.len()))
            .collect();
        assert_eq!(
            told,
            [
                ("", 88, 1),
                ("agent.service", 84, 1),
                ("cron.service", 80, 2),
                ("init.scope", 1, 1),
                ("session-3.scope", 87, 1),
            ]
        );
    }

    /// Unknown is not "nobody".
    #[test]
    fn a_process_that_cannot_be_looked_at_is_no_answer() {
        let dir = host(&[(80, "cron", "/system.slice/cron.service", "", "/usr/sbin/cron")]);
        let maps = dir.path().join("proc/80/maps");
        fs::remove_file(&maps).unwrap();
        fs::create_dir(&maps).unwrap();
        assert!(look(dir.path(), 99).unwrap_err().contains("process 80"));
        assert!(look(&dir.path().join("nowhere"), 99).is_err());
    }

    #[tokio::test]
    async fn this_host_is_looked_at_in_time() {
        let seen = HostProcesses::new("/".into()).old_code().await;
        // Whoever may not look at others, as in a container, is told so.
        let may_not = |error: &HostError| error.kind == HostErrorKind::Unknown && error.why.contains("process ");
        assert!(seen.as_ref().err().is_none_or(may_not), "{seen:?}");
    }
}
