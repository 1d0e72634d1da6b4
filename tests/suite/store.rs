//! The state directory on a real file system: one writer, whole files, nothing for other people's eyes.

use std::env;
use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Write, stdin};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use crate::fake_host::settings;
use crate::sample_runs::{at, healthy, mid_upgrade, planned_at};
use patchday::events::{EVENT_VERSION, Event, EventKind};
use patchday::machine::apply;
use patchday::model::{Abort, AbortWish, Fact, Run, RunId};
use patchday::store::{LockHolder, LockedState, RunStore, StateDir, StoreError};
use tempfile::{TempDir, tempdir};

/// Names the state directory to the child process that takes the lock.
const CHILD_STATE: &str = "PATCHDAY_TEST_STATE";

/// A process that is about to become another one still has our locks for a moment: nobody is spawned while a test
/// looks who holds them.
static SPAWNING: RwLock<()> = RwLock::new(());

/// What a test needs to stay: its directory, and the peace.
type Kept = (TempDir, RwLockReadGuard<'static, ()>);

fn state() -> (Kept, PathBuf, StateDir) {
    let peace = SPAWNING.read().unwrap_or_else(PoisonError::into_inner);
    let directory = tempdir().unwrap();
    let root = directory.path().join("patchday");
    let state = StateDir::new(&root);
    ((directory, peace), root, state)
}

/// Spawns, and returns when the child is the other program.
fn spawn(command: &mut Command) -> std::io::Result<Child> {
    let _alone = SPAWNING.write().unwrap_or_else(PoisonError::into_inner);
    command.spawn()
}

fn lock(state: &StateDir) -> LockedState {
    state.lock("a test").unwrap()
}

fn create(state: &StateDir, run: &Run) -> RunStore {
    lock(state).create_run(run, &settings()).unwrap()
}

/// The run given up and closed, as the next durable state.
fn closed(run: &Run) -> Run {
    let step = "preflight".parse().unwrap();
    let run = apply(run, Fact::GivenUp { step, reason: "a test".into(), at: at(90) }).unwrap();
    apply(&run, Fact::Closed { exit_code: 20, at: at(91) }).unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn everything_below(root: &Path) -> Vec<PathBuf> {
    let mut found = vec![root.to_owned()];
    let mut at = 0;
    while at < found.len() {
        if found[at].is_dir() {
            found.extend(fs::read_dir(&found[at]).unwrap().map(|entry| entry.unwrap().path()));
        }
        at += 1;
    }
    found
}

fn event(run: &Run, message: &str) -> Event {
    let kind = EventKind::Noted { message: message.into() };
    Event { v: EVENT_VERSION, run: run.id.clone(), at: at(1), kind }
}

#[test]
fn only_the_owner_may_look() {
    let (_directory, root, state) = state();
    let run = planned_at(0);
    let store = create(&state, &run);
    store.event_log().unwrap().append(&event(&run, "x"));
    store.write_file("report.txt", b"x").unwrap();
    let found = everything_below(&root);
    let names = ["lock", "open-run", "run.json", "settings.json", "events.jsonl", "report.txt"];
    for name in names {
        assert!(found.iter().any(|path| path.ends_with(name)), "{name} is missing: {found:?}");
    }
    for path in &found {
        let expected = if path.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode(path), expected, "{}", path.display());
    }
    // Nothing half written stays behind.
    assert!(!found.iter().any(|path| path.extension().is_some_and(|extension| extension == "new")), "{found:?}");
}

#[test]
fn what_was_saved_is_loaded() {
    let (_directory, _root, state) = state();
    let run = planned_at(0);
    let store = create(&state, &run);
    assert_eq!(state.load(&run.id).unwrap(), run);
    let later = mid_upgrade();
    store.save(&later).unwrap();
    assert_eq!(state.load(&run.id).unwrap(), later);
    store.write_file("report.txt", b"all is well").unwrap();
    assert_eq!(state.read_file(&run.id, "report.txt").unwrap(), "all is well");
    drop(store);
    let (_store, reopened, saved_settings) = lock(&state).reopen_run().unwrap().unwrap();
    assert_eq!((reopened, saved_settings), (later, settings()));
}

#[test]
fn an_empty_directory_holds_nothing() {
    let (_directory, root, state) = state();
    assert_eq!(state.runs().unwrap(), []);
    assert_eq!(state.open_run().unwrap(), None);
    assert_eq!(state.lock_holder(), None);
    assert!(matches!(state.load(&planned_at(0).id), Err(StoreError::NoSuchRun(_))));
    assert!(!root.exists(), "reading creates nothing");
    assert!(lock(&state).reopen_run().unwrap().is_none());
}

#[test]
fn one_writer_at_a_time_who_is_named() {
    let (_directory, root, state) = state();
    let first = state.lock("run 20261123t231000z-0f3a").unwrap();
    let expected = LockHolder { pid: Some(std::process::id()), note: "run 20261123t231000z-0f3a".into() };
    match state.lock("me too") {
        Err(error @ StoreError::Locked(_)) => {
            let told = error.to_string();
            assert!(told.contains(&format!("process {}", std::process::id())), "{told}");
            assert!(told.contains("run 20261123t231000z-0f3a"), "{told}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(state.lock_holder(), Some(expected), "the one who was refused leaves no trace");
    drop(first);
    assert_eq!(state.lock_holder(), None);
    assert_eq!(fs::read_to_string(root.join("lock")).unwrap(), "", "the note would name somebody who is gone");
    let second = state.lock("2").unwrap();
    assert_eq!(state.lock_holder().unwrap().note, "2", "a shorter note leaves nothing of the longer one");
    drop(second);
}

#[test]
fn the_lock_lives_as_long_as_the_open_run() {
    let (_directory, _root, state) = state();
    let store = create(&state, &planned_at(0));
    assert!(matches!(state.lock("2"), Err(StoreError::Locked(_))));
    drop(store);
    assert!(state.lock("2").is_ok());
}

/// Not a test: the process that takes the lock and is killed. Does nothing where nobody asked for it.
#[test]
fn child_that_holds_the_lock() {
    let Ok(root) = env::var(CHILD_STATE) else { return };
    let _locked = StateDir::new(root).lock("a run that is killed").unwrap();
    println!("\nlocked");
    let _ = stdin().read_line(&mut String::new());
}

/// Killed for good when the test is over, however it ends.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_lock_dies_with_its_process() {
    let root = tempdir().unwrap();
    let state = StateDir::new(root.path());
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "store::child_that_holds_the_lock", "--nocapture"]).env(CHILD_STATE, root.path());
    let mut child = Killed(spawn(command.stdin(Stdio::piped()).stdout(Stdio::piped())).unwrap());
    let lines = BufReader::new(child.0.stdout.take().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|line| line == "locked"), "the child has no lock");

    let Err(StoreError::Locked(holder)) = state.lock("me too") else { panic!("two writers") };
    assert_eq!(holder, LockHolder { pid: Some(child.0.id()), note: "a run that is killed".into() });

    // SIGKILL: nobody tidies up.
    child.0.kill().unwrap();
    child.0.wait().unwrap();
    assert_eq!(state.lock_holder(), None, "a note without a lock names nobody");
    let locked = state.lock("the next one").unwrap();
    assert_eq!(state.lock_holder().unwrap().note, "the next one");
    drop(locked);
}

#[test]
fn a_closed_run_is_no_longer_the_open_one() {
    let (_directory, root, state) = state();
    let run = planned_at(0);
    let store = create(&state, &run);
    assert_eq!(state.open_run().unwrap(), Some(run.id.clone()));
    store.save(&run).unwrap();
    assert_eq!(state.open_run().unwrap(), Some(run.id.clone()));
    store.save(&closed(&run)).unwrap();
    assert_eq!(state.open_run().unwrap(), None);
    assert!(!root.join("open-run").exists(), "the resume service's condition");
    drop(store);
    assert!(lock(&state).reopen_run().unwrap().is_none());
    assert_eq!(state.load(&run.id).unwrap(), closed(&run));
}

#[test]
fn a_pointer_that_outlived_its_run_is_removed() {
    let (_directory, root, state) = state();
    let run = planned_at(0);
    create(&state, &run).save(&closed(&run)).unwrap();
    // The power went between the last save and the removal.
    fs::write(root.join("open-run"), format!("{}\n", run.id)).unwrap();
    assert!(lock(&state).reopen_run().unwrap().is_none());
    assert_eq!(state.open_run().unwrap(), None);
    drop(create(&state, &planned_at(5)));
}

#[test]
fn a_pointer_that_outlived_its_run_stands_in_nobodys_way() {
    let (_directory, root, state) = state();
    let run = planned_at(0);
    create(&state, &run).save(&closed(&run)).unwrap();
    fs::write(root.join("open-run"), format!("{}\n", run.id)).unwrap();
    assert_eq!(state.unfinished_run().unwrap(), None);
    let next = planned_at(5);
    drop(create(&state, &next));
    assert_eq!(state.open_run().unwrap(), Some(next.id));
}

#[test]
fn a_run_is_there_whole_or_not_at_all() {
    let (_directory, root, state) = state();
    let run = planned_at(0);
    // What a crash in the middle of the creation leaves.
    let unborn = root.join("runs").join(format!(".{}", run.id));
    fs::create_dir_all(&unborn).unwrap();
    fs::write(unborn.join("settings.json"), "{").unwrap();
    assert_eq!(state.runs().unwrap(), []);
    let store = create(&state, &run);
    assert_eq!(state.runs().unwrap(), std::slice::from_ref(&run.id));
    assert!(!unborn.exists());
    fs::create_dir(root.join("runs/.20261123t000000z-0000")).unwrap();
    store.prune(5);
    assert!(!root.join("runs/.20261123t000000z-0000").exists());
}

#[test]
fn a_wish_to_end_the_run_outlives_its_coordinator() {
    let (_directory, root, state) = state();
    let run = planned_at(0);
    let store = create(&state, &run);
    assert_eq!(state.abort_wish(&run.id).unwrap(), None);
    let wish = AbortWish { abort: Abort { by: "SIGTERM".into(), at: at(3) }, boot: run.boot.clone() };
    store.wish_box().put(&wish).unwrap();
    drop(store);
    assert_eq!(state.abort_wish(&run.id).unwrap(), Some(wish));
    // A signal has no sender: whoever asks signs before.
    assert_eq!(state.abort_signed_by(&run.id), None);
    state.sign_abort(&run.id, "ada on pts/0\u{1b}[2J").unwrap();
    assert_eq!(state.abort_signed_by(&run.id).as_deref(), Some("ada on pts/0[2J"));
    fs::write(root.join("runs").join(run.id.as_str()).join("abort-wish"), "{").unwrap();
    assert!(matches!(state.abort_wish(&run.id), Err(StoreError::Unreadable { .. })));
}

/// A shutdown ends the coordinator by the signal with which a person would: so every reboot leaves a wish behind.
#[test]
fn a_wish_to_end_the_run_goes_with_its_end() {
    let (_directory, root, state) = state();
    let run = planned_at(0);
    let store = create(&state, &run);
    let wish = AbortWish { abort: Abort { by: "SIGTERM".into(), at: at(3) }, boot: run.boot.clone() };
    store.wish_box().put(&wish).unwrap();
    store.save(&mid_upgrade()).unwrap();
    assert_eq!(state.abort_wish(&run.id).unwrap(), Some(wish));
    store.save(&closed(&run)).unwrap();
    assert!(!everything_below(&root).iter().any(|path| path.ends_with("abort-wish")));
    assert_eq!(state.abort_wish(&run.id).unwrap(), None);
}

#[test]
fn no_run_begins_while_one_is_open() {
    let (_directory, root, state) = state();
    let run = planned_at(0);
    drop(create(&state, &run));
    let second = planned_at(5);
    match lock(&state).create_run(&second, &settings()) {
        Err(StoreError::RunIsOpen(open)) => assert_eq!(open, run.id),
        other => panic!("{other:?}"),
    }
    assert_eq!(state.runs().unwrap(), std::slice::from_ref(&run.id), "the refused run leaves nothing behind");
    assert!(!root.join("runs").join(second.id.as_str()).exists());
    // The same ID twice is refused too, even when nothing is open.
    let (store, ..) = lock(&state).reopen_run().unwrap().unwrap();
    store.save(&closed(&run)).unwrap();
    drop(store);
    assert!(matches!(lock(&state).create_run(&run, &settings()), Err(StoreError::Io { action: "create", .. })));
    assert_eq!(state.load(&run.id).unwrap(), closed(&run));
}

#[test]
fn damage_is_told_with_the_name_of_the_file() {
    for (name, garbage) in [
        ("run.json", ""),
        ("run.json", "{\"format\":1,\"run\":{\"id\":"),
        ("settings.json", "{"),
        ("settings.json", ""),
        ("open-run", ""),
        ("open-run", "../../etc"),
    ] {
        let (_directory, root, state) = state();
        let run = planned_at(0);
        drop(create(&state, &run));
        let path =
            if name == "open-run" { root.join(name) } else { root.join("runs").join(run.id.as_str()).join(name) };
        fs::write(&path, garbage).unwrap();
        match lock(&state).reopen_run() {
            Err(error @ StoreError::Unreadable { .. }) => {
                assert!(error.to_string().contains(&path.display().to_string()), "{error}");
            }
            other => panic!("{name}: {other:?}"),
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), garbage, "{name} was touched");
    }
}

/// Something that is not a run lies among them; nobody trips over it.
#[test]
fn what_is_no_run_is_not_listed() {
    let (_directory, root, state) = state();
    let runs: Vec<Run> = [5, 0].into_iter().map(planned_at).collect();
    for run in &runs {
        create(&state, run).save(&closed(run)).unwrap();
    }
    fs::create_dir(root.join("runs/lost+found")).unwrap();
    assert_eq!(state.runs().unwrap(), [runs[1].id.clone(), runs[0].id.clone()], "oldest first");
}

#[test]
fn a_save_that_fails_leaves_the_old_state_whole() {
    let (_directory, root, state) = state();
    let run = planned_at(0);
    let store = create(&state, &run);
    // What is in the way here is a directory; root may write anywhere else.
    let blocker = root.join("runs").join(run.id.as_str()).join(".run.json.new");
    fs::create_dir(&blocker).unwrap();
    match store.save(&mid_upgrade()) {
        Err(StoreError::Io { path, .. }) => assert_eq!(path, blocker.with_file_name("run.json")),
        other => panic!("{other:?}"),
    }
    assert_eq!(state.load(&run.id).unwrap(), run);
    fs::remove_dir(&blocker).unwrap();
    // What a crash left half written is no obstacle.
    fs::write(&blocker, "{\"format\":1,").unwrap();
    store.save(&mid_upgrade()).unwrap();
    assert_eq!(state.load(&run.id).unwrap(), mid_upgrade());
}

/// A file system of a few pages, unmounted at the end.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let directory = tempdir().ok()?;
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=64k,mode=0700", "patchday-test"]).arg(directory.path());
        let mount = spawn(mount.stderr(Stdio::null())).and_then(|mut child| child.wait());
        mount.is_ok_and(|status| status.success()).then_some(Self(directory))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = spawn(Command::new("umount").arg(self.0.path())).and_then(|mut child| child.wait());
    }
}

#[test]
fn a_full_disk_leaves_the_old_state_whole() {
    let Some(disk) = SmallDisk::mount() else {
        eprintln!("skipped: this process may not mount a tmpfs");
        return;
    };
    let state = StateDir::new(disk.0.path());
    let run = planned_at(0);
    let store = create(&state, &run);
    let log = store.event_log().unwrap();
    let ballast = disk.0.path().join("ballast");
    let mut file = OpenOptions::new().create(true).append(true).open(&ballast).unwrap();
    while file.write_all(&[0; 512]).is_ok() {}

    let error = store.save(&mid_upgrade()).unwrap_err();
    let StoreError::Io { source, .. } = &error else { panic!("{error:?}") };
    assert_eq!(source.kind(), std::io::ErrorKind::StorageFull, "{error}");
    assert_eq!(state.load(&run.id).unwrap(), run);
    // The log is told nothing, and does not complain.
    log.append(&event(&run, &"x".repeat(8192)));

    file.set_len(0).unwrap();
    store.save(&mid_upgrade()).unwrap();
    assert_eq!(state.load(&run.id).unwrap(), mid_upgrade());
    drop((store, log, file));
}

fn messages(events: &[Event]) -> Vec<&str> {
    let told = events.iter().map(|event| match &event.kind {
        EventKind::Noted { message } => message.as_str(),
        other => panic!("{other:?}"),
    });
    told.collect()
}

#[test]
fn events_are_read_as_they_come() {
    let (_directory, root, state) = state();
    let run = planned_at(0);
    let store = create(&state, &run);
    let mut reader = state.events(&run.id);
    assert_eq!(reader.read_new().unwrap(), [], "there is no log yet");
    let log = store.event_log().unwrap();
    log.append(&event(&run, "one"));
    log.append(&event(&run, "two"));
    assert_eq!(messages(&reader.read_new().unwrap()), ["one", "two"]);
    assert_eq!(reader.read_new().unwrap(), []);

    // Half a line is kept until the rest is there, even when it is cut within a letter.
    let path = root.join("runs").join(run.id.as_str()).join("events.jsonl");
    let mut raw = OpenOptions::new().append(true).open(&path).unwrap();
    let mut line = serde_json::to_vec(&event(&run, "größer")).unwrap();
    line.push(b'\n');
    let within = line.iter().position(|byte| *byte == 0xc3).unwrap() + 1;
    raw.write_all(&line[..within]).unwrap();
    assert_eq!(reader.read_new().unwrap(), []);
    raw.write_all(&line[within..]).unwrap();
    assert_eq!(messages(&reader.read_new().unwrap()), ["größer"]);

    // A line torn by a power cut runs into the next one; both are passed over, and what follows is read.
    raw.write_all(&line[..within]).unwrap();
    log.append(&event(&run, "lost with the torn one"));
    raw.write_all(b"{\"v\":99,\"event\":\"unheard-of\"}\n\n\0\0\0\0\n").unwrap();
    log.append(&event(&run, "three"));
    assert_eq!(messages(&reader.read_new().unwrap()), ["three"]);

    // Who comes later reads all of it; a second log appends.
    drop(log);
    store.event_log().unwrap().append(&event(&run, "four"));
    assert_eq!(messages(&state.events(&run.id).read_new().unwrap()), ["one", "two", "größer", "three", "four"]);
    assert_eq!(messages(&store.events().read_new().unwrap()), ["one", "two", "größer", "three", "four"]);
}

/// Four finished runs and an open one; how many are left, by their minting.
fn pruned(keep: u32, open_at: i64) -> Vec<RunId> {
    let (_directory, _root, state) = state();
    for seconds in [10, 20, 30, 40] {
        let run = planned_at(seconds);
        create(&state, &run).save(&closed(&run)).unwrap();
    }
    let store = create(&state, &planned_at(open_at));
    store.prune(keep);
    let open = state.open_run().unwrap();
    assert_eq!(open, Some(planned_at(open_at).id), "the open run was pruned");
    assert_eq!(state.load(&open.unwrap()).unwrap(), planned_at(open_at));
    state.runs().unwrap()
}

#[test]
fn pruning_keeps_the_newest_and_the_open_one() {
    let ids = |seconds: &[i64]| seconds.iter().map(|second| planned_at(*second).id).collect::<Vec<_>>();
    assert_eq!(pruned(9, 50), ids(&[10, 20, 30, 40, 50]));
    assert_eq!(pruned(4, 50), ids(&[10, 20, 30, 40, 50]), "what counts is the finished ones");
    assert_eq!(pruned(3, 50), ids(&[20, 30, 40, 50]));
    assert_eq!(pruned(1, 50), ids(&[40, 50]));
    assert_eq!(pruned(0, 50), ids(&[50]));
    // A clock that was set back makes the open run the oldest: it stays all the same.
    assert_eq!(pruned(3, 5), ids(&[5, 20, 30, 40]));
}

#[test]
fn a_finished_run_is_whole_after_a_restart_of_everything() {
    let (_directory, root, state) = state();
    let run = healthy();
    let store = create(&state, &planned_at(0));
    store.save(&run).unwrap();
    drop((store, state));
    let state = StateDir::new(root);
    assert_eq!(state.load(&run.id).unwrap(), run);
    assert_eq!(state.runs().unwrap(), [run.id]);
}

#[test]
fn an_open_run_whose_directory_is_gone_is_told_as_that() {
    let (_kept, root, state) = state();
    let run = planned_at(0);
    drop(create(&state, &run));
    fs::remove_dir_all(root.join("runs").join(run.id.as_str())).unwrap();
    for error in [
        state.unfinished_run().unwrap_err(),
        lock(&state).reopen_run().unwrap_err(),
        lock(&state).create_run(&planned_at(1), &settings()).unwrap_err(),
    ] {
        assert!(matches!(&error, StoreError::Gone { run: gone, .. } if *gone == run.id), "{error}");
    }
    fs::remove_file(root.join("open-run")).unwrap();
    assert_eq!(state.unfinished_run().unwrap(), None);
}
