//! The adapters against the Debian host that the tests run on. They only read.

use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::path::Path;

use jiff::SignedDuration;
use patchday::host::apt::Apt;
use patchday::host::kernel::Kernel;
use patchday::host::running_code::HostProcesses;
use patchday::host::system::HostSystem;
use patchday::host::{Kernels, PackageSurvey, Packages, RunningCode, System, sockets};
use patchday::model::lasting_mounts;

/// False, and says so, where the host is no Debian.
fn is_debian() -> bool {
    let found = Path::new("/usr/bin/apt-get").exists();
    if !found {
        println!("skipped: this host has no apt-get");
    }
    found
}

fn apt() -> Apt {
    Apt::new("/".into(), SignedDuration::from_secs(60))
}

#[tokio::test]
async fn the_plan_fits_what_is_installed() {
    if !is_debian() {
        return;
    }
    let installed = apt().installed().await.unwrap();
    assert!(installed.contains_key("dpkg") && installed.contains_key("libc6"));
    let plan = apt().simulate().await.unwrap();
    for change in &plan.changes {
        assert_eq!(change.from.as_ref(), installed.get(&change.name), "{}", change.name);
    }
    assert!(plan.kept_back.iter().all(|name| installed.contains_key(name)), "{:?}", plan.kept_back);
    let archives = apt().archives().await.unwrap();
    for told in plan.changes.iter().filter_map(|change| change.origin.as_deref()).flat_map(|told| told.split(", ")) {
        assert!(archives.iter().any(|archive| archive.told == told), "{told} is none of {archives:?}");
    }
    let own = apt().architecture().await.unwrap();
    assert!(!own.is_empty() && !own.contains(char::is_whitespace), "{own:?}");
}

#[tokio::test]
async fn the_state_of_the_packages_is_known() {
    if !is_debian() {
        return;
    }
    let state = apt().state().await.unwrap();
    assert!(state.broken.iter().all(|line| line.split(' ').count() == 2), "{:?}", state.broken);
}

#[tokio::test]
async fn the_command_lines_name_programs_that_exist() {
    if !is_debian() {
        return;
    }
    for work in [patchday::host::PackageWork::Refresh, patchday::host::PackageWork::Configure] {
        let (argv, _) = apt().command(&work).unwrap();
        assert!(Path::new(&argv[0]).is_file(), "{}", argv[0]);
    }
}

#[tokio::test]
async fn the_kernel_and_the_system_answer() {
    let kernel = Kernel::new("/".into(), "/usr/bin/patchday");
    let facts = kernel.facts().await.unwrap();
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    assert_eq!(facts.running, release.trim());
    kernel.dkms().await.unwrap();

    let system = HostSystem::new("/".into());
    assert!(system.boot().await.is_some());
    assert!(system.uptime().await.unwrap() > SignedDuration::ZERO);
    let free = system.free_space(&["/", "/no/such/place"]).await.unwrap();
    assert_eq!(free.keys().collect::<Vec<_>>(), ["/"]);
    let mounts = lasting_mounts(system.mounts().await.unwrap());
    assert!(mounts.contains_key("/") && !mounts.contains_key("/proc"), "{mounts:?}");
}

#[tokio::test]
async fn our_own_socket_and_connection_are_found() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let client = TcpStream::connect(address).unwrap();
    let program = std::fs::read_to_string("/proc/self/comm").unwrap();

    let listening = HostSystem::new("/".into()).listening_sockets().await.unwrap();
    let ours = listening.iter().find(|socket| socket.address == address.to_string()).unwrap();
    assert_eq!((ours.protocol.as_str(), ours.program.as_str()), ("tcp", program.trim_end()));

    // It has two ends, and both are ours.
    assert!(sockets::connections(Path::new("/")).unwrap().iter().all(|held| held.client != held.server));
    drop(client);

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("own.sock");
    let _unix = UnixListener::bind(&path).unwrap();
    let listening = sockets::listening_unix(Path::new("/")).unwrap();
    let ours = listening.iter().find(|socket| path == Path::new(&socket.address)).unwrap();
    assert_eq!((ours.protocol.as_str(), ours.program.as_str()), ("unix", program.trim_end()));
}

/// What this very process uses belongs to packages that dpkg knows, and these need each other.
#[tokio::test]
async fn our_own_libraries_have_owners_that_dpkg_knows() {
    if !is_debian() {
        return;
    }
    let command = vec!["/bin/sh".to_owned(), "/etc/passwd".to_owned()];
    let used = match HostProcesses::new("/".into()).used(&[std::process::id()], &[command]).await {
        Ok(used) => used,
        // Whoever may not look, as in some containers, is told so.
        Err(error) => return assert!(error.why.contains("process "), "{error}"),
    };
    let own = std::env::current_exe().unwrap().display().to_string();
    assert!(used.running.contains(&own) || used.running.iter().any(|path| path.ends_with("(deleted)")), "{used:?}");
    let libc = used.files.iter().find(|file| file.contains("/libc.so")).expect("every program has it");
    let files = used.files.iter().chain(&used.started_with).cloned().collect();
    let owners = apt().owners(&files).await.unwrap();
    assert!(owners[libc].contains("libc6"), "{owners:?}");
    assert!(owners["/bin/sh"].contains("dash"), "{owners:?}");
    let packages = apt().relations().await.unwrap();
    let installed = apt().installed().await.unwrap();
    assert!(packages.iter().all(|package| installed.keys().any(|name| name.starts_with(&package.name))));
    let libc = packages.iter().find(|package| package.name == "libc6").unwrap();
    assert!(libc.source == "glibc" && libc.depends.contains(&"libgcc-s1".to_owned()), "{libc:?}");
    assert!(packages.iter().any(|package| package.name == "dpkg" && package.essential));
}
