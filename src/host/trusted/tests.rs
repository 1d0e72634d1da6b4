use std::os::unix::fs::{PermissionsExt as _, chown, lchown, symlink};

use super::*;

const SOMEBODY: Option<u32> = Some(64_001);

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn write(path: &Path, text: &str, mode: u32) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn only_roots_own_programs_are_trusted() {
    assert_eq!(check(Path::new("/bin/true")), Ok(()));
    assert!(check(Path::new("/nonexistent")).is_err());
    assert!(check(Path::new("/etc/passwd")).unwrap_err().ends_with("is no program"));
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("probe");
    for (mode, trusted) in [(0o755, true), (0o775, false), (0o757, false)] {
        write(&program, "#!/bin/true\n", mode);
        assert_eq!(check(&program).is_ok(), trusted, "{mode:o}: {:?}", check(&program));
    }
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
    assert!(check(&program).unwrap_err().contains("writable by others"));
}

/// Whoever owns any place on the way decides what runs, whatever lies at its end.
#[test]
fn every_link_and_every_directory_on_the_way_counts() {
    if !is_root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    for (directory, owner) in [("roots", None), ("theirs", SOMEBODY)] {
        fs::create_dir(at(directory)).unwrap();
        chown(at(directory), owner, None).unwrap();
    }
    write(&at("roots/program"), "#!/bin/true\n", 0o755);
    // Root's own link to root's own program, in somebody's directory: that person replaces the link.
    symlink(at("roots/program"), at("theirs/link")).unwrap();
    // A chain: root's link, to a link in somebody's directory, to root's program.
    symlink(at("theirs/link"), at("roots/chain")).unwrap();
    // A directory on the way is somebody's link.
    symlink(at("roots"), at("their-way")).unwrap();
    lchown(at("their-way"), SOMEBODY, None).unwrap();
    symlink(at("roots/program"), at("roots/link")).unwrap();
    symlink("../roots", at("theirs/up")).unwrap();
    for (path, trusted) in [
        ("roots/program", true),
        ("roots/link", true),
        ("roots/../roots/program", true),
        ("theirs/link", false),
        ("roots/chain", false),
        ("their-way/program", false),
        ("theirs/up/program", false),
        ("theirs/../roots/program", false),
    ] {
        assert_eq!(check(&at(path)).is_ok(), trusted, "{path}: {:?}", check(&at(path)));
    }
}

#[test]
fn what_runs_a_script_and_what_a_shell_is_told_to_run_counts_as_well() {
    if !is_root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    write(&at("interpreter"), "#!/bin/true\n", 0o755);
    write(&at("theirs"), "#!/bin/true\n", 0o755);
    chown(at("theirs"), SOMEBODY, None).unwrap();
    let script = |name: &str, first: String| {
        write(&at(name), &format!("{first}\necho\n"), 0o755);
        at(name)
    };
    for (name, first, trusted) in [
        ("own", format!("#! {} -x", at("interpreter").display()), true),
        ("foreign", format!("#!{}", at("theirs").display()), false),
        ("twice", format!("#!{}", at("foreign").display()), false),
        ("env", "#!/usr/bin/env sh".to_owned(), true),
        ("env-with-words", "#!/usr/bin/env -S A=b sh -e".to_owned(), true),
        ("env-nothing", "#!/usr/bin/env no-such-program".to_owned(), false),
        ("loop", format!("#!{}", at("loop").display()), false),
        ("none", "echo".to_owned(), true),
    ] {
        let script = script(name, first);
        assert_eq!(check(&script).is_ok(), trusted, "{name}: {:?}", check(&script));
    }
    let theirs = at("theirs").display().to_string();
    for (words, trusted) in [
        (vec!["/bin/sh", &theirs], false),
        (vec!["/bin/sh", "-e", &theirs[1..]], false),
        (vec!["/usr/bin/env", "A=b", &theirs], false),
        (vec!["/usr/bin/timeout", "5", &theirs], false),
        // Not to run it, but to look at it.
        (vec!["/usr/bin/stat", &theirs], true),
        (vec!["/bin/sh", "-c", "true"], true),
    ] {
        let argv: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        assert_eq!(check_command(&argv).is_ok(), trusted, "{argv:?}: {:?}", check_command(&argv));
    }
    assert!(check_command(&[]).is_err());
}

#[test]
fn a_tree_is_looked_at_to_its_last_file() {
    if !is_root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("linux");
    fs::create_dir_all(tree.join("scripts/deep")).unwrap();
    write(&tree.join("Makefile"), "", 0o644);
    write(&tree.join("scripts/deep/tool"), "", 0o755);
    // As a tarball of kernel.org is unpacked by root.
    write(&tree.join("scripts/Kbuild"), "", 0o664);
    symlink("deep/tool", tree.join("scripts/tool")).unwrap();
    symlink("nowhere", tree.join("broken")).unwrap();
    symlink("/bin/true", tree.join("outside")).unwrap();
    assert_eq!(check_tree(&tree), Ok(()));

    let tool = tree.join("scripts/deep/tool");
    let other = dir.path().join("other");
    write(&other, "", 0o644);
    chown(&other, SOMEBODY, None).unwrap();
    type Change<'a> = Box<dyn Fn() + 'a>;
    let changes: [(&str, Change<'_>, Change<'_>); 5] = [
        (
            "does not belong",
            Box::new(|| chown(&tool, SOMEBODY, None).unwrap()),
            Box::new(|| chown(&tool, Some(0), None).unwrap()),
        ),
        ("writable", Box::new(|| write(&tool, "", 0o757)), Box::new(|| write(&tool, "", 0o755))),
        (
            "writable",
            Box::new(|| {
                chown(&tool, None, SOMEBODY).unwrap();
                write(&tool, "", 0o775);
            }),
            Box::new(|| {
                chown(&tool, None, Some(0)).unwrap();
                write(&tool, "", 0o755);
            }),
        ),
        (
            "does not belong",
            Box::new(|| symlink(&other, tree.join("away")).unwrap()),
            Box::new(|| fs::remove_file(tree.join("away")).unwrap()),
        ),
        (
            "writable",
            Box::new(|| fs::set_permissions(tree.join("scripts"), fs::Permissions::from_mode(0o777)).unwrap()),
            Box::new(|| fs::set_permissions(tree.join("scripts"), fs::Permissions::from_mode(0o755)).unwrap()),
        ),
    ];
    for (why, change, undo) in &changes {
        change();
        let refused = check_tree(&tree).unwrap_err();
        assert!(refused.contains(why), "{refused}");
        undo();
        assert_eq!(check_tree(&tree), Ok(()));
    }
    for number in 0..10 {
        symlink(&other, tree.join(format!("away-{number}"))).unwrap();
    }
    assert!(check_tree(&tree).unwrap_err().ends_with(", and more"));
}
