use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

use super::*;
use crate::host::command::below;
use crate::host::tree;

/// A host whose process 7 is a PostgreSQL that was replaced since it was started, and runs in a directory that this host
/// has by the same name.
fn cluster() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let (root, data) = (dir.path().join("root"), dir.path().join("main"));
    tree::write(&root, "/usr/lib/postgresql/15/bin/pg_controldata", "#!/bin/sh\n");
    tree::write(&data, "/global/pg_control", "");
    fs::create_dir_all(below(&root, "/proc/7")).unwrap();
    symlink("/usr/lib/postgresql/15/bin/postgres (deleted)", below(&root, "/proc/7/exe")).unwrap();
    let top = Path::new("/").join(data.iter().nth(1).unwrap());
    symlink(&top, below(&root, &top.to_string_lossy())).unwrap();
    (dir, root, data)
}

#[test]
fn a_cluster_is_where_its_server_runs() {
    let (_dir, root, data) = cluster();
    let cwd = below(&root, "/proc/7/cwd");
    symlink(&data, &cwd).unwrap();
    let owner = fs::metadata(&data).unwrap();
    let expected = ProofSource::Cluster {
        program: "/usr/lib/postgresql/15/bin/pg_controldata".into(),
        directory: data.display().to_string(),
        user: owner.uid(),
        group: owner.gid(),
    };
    assert_eq!(postgresql::source(&root, 7), Ok(expected));

    fs::remove_file(data.join("global/pg_control")).unwrap();
    assert!(postgresql::source(&root, 7).unwrap_err().contains("which is no data directory"));
    fs::remove_file(&cwd).unwrap();
    symlink("/usr", &cwd).unwrap();
    let why = postgresql::source(&root, 7).unwrap_err();
    assert!(why.contains("has /usr, which this host does not have by that name"), "another one of that name: {why}");
    let why = postgresql::source(&root, 8).unwrap_err();
    assert!(why.contains("/proc/8/cwd"), "{why}");
}

#[test]
fn one_server_is_found_among_its_children_and_of_several_none() {
    let dir = tempfile::tempdir().unwrap();
    let (mut processes, names) = (Vec::new(), ["postgres", "postmaster"]);
    let mut is = |pid: u32, name: &str, parent: Option<u32>, expected: Result<u32, &str>| {
        if let Some(parent) = parent {
            tree::write(dir.path(), &format!("/proc/{pid}/status"), format!("Name:\tx\nPPid:\t{parent}\n"));
        }
        processes.push(UnitProcess { pid, own_pid: pid, name: name.to_owned() });
        processes.sort_by_key(|process| process.pid);
        match (only_server(dir.path(), &processes, &names), expected) {
            (Ok(server), Ok(pid)) => assert_eq!(server.pid, pid),
            (Err(why), Err(text)) => assert!(why.contains(text), "{why}"),
            (found, _) => panic!("{pid}: {found:?}"),
        }
    };
    is(40, "patroni", Some(1), Err("it has patroni (40), and none named postgres or postmaster"));
    is(70, "postgres", Some(40), Ok(70));
    is(61, "postgres", Some(70), Ok(70));
    // It has ended while we looked.
    is(62, "postgres", None, Ok(70));
    is(90, "postgres", Some(1), Err("it has several servers, postgres (70) and postgres (90)"));
    assert!(only_server(dir.path(), &[], &names).unwrap_err().contains("it has no process"));
}

/// A program that only root can replace.
fn program(dir: &tempfile::TempDir, text: &str) -> Vec<String> {
    let path = dir.path().join("proof");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    vec![path.display().to_string(), "x".to_owned()]
}

#[tokio::test]
async fn a_program_of_the_users_proves_by_its_status() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let soon = SignedDuration::from_secs(20);
    for (text, status, said) in [
        ("#!/bin/sh\necho all; echo \"clean $1\"; echo\n", Some(0), Some("clean x")),
        ("#!/bin/sh\nprintf 'a\\033[2Jb' >&2; exit 3\n", Some(3), Some("a[2Jb")),
        ("#!/bin/sh\necho from mysql://root:secret@db/ \n", Some(0), Some("from mysql://…@db/")),
        ("#!/bin/sh\nkill -9 $$\n", None, None),
    ] {
        let argv = program(&dir, text);
        let seen = said_by(&argv, soon).await.unwrap();
        let EndEvidence::Command { program, exit_status, said: last } = &seen else { panic!("{seen:?}") };
        assert_eq!((program, *exit_status, last.as_deref()), (&argv[0], status, said), "{text}");
    }
    let argv = program(&dir, "#!/bin/sh\nsleep 600\n");
    let seen = said_by(&argv, SignedDuration::from_millis(100)).await.unwrap();
    assert!(seen.objection().unwrap().contains("no answer within"), "{seen:?}");
    fs::set_permissions(&argv[0], fs::Permissions::from_mode(0o777)).unwrap();
    let error = said_by(&argv, soon).await.unwrap_err();
    assert!(error.why.contains("writable by others"), "{error}");
}

/// As root it is asked by the owner of its files, and by nobody else.
#[tokio::test]
async fn a_cluster_is_asked_as_its_owner() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let argv = program(&dir, "#!/bin/sh\necho \"Database cluster state:   $(id -u):$(id -G) $2\"\n");
    let (user, group) = (64_001, 64_002);
    let source = ProofSource::Cluster { program: argv[0].clone(), directory: "/srv/pg".into(), user, group };
    let seen = postgresql::ask(Path::new("/"), &source).await.unwrap();
    let state = Some("64001:64002 /srv/pg".to_owned());
    assert_eq!(seen, EndEvidence::Postgresql { directory: "/srv/pg".into(), state });
}
