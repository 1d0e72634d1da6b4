use std::collections::BTreeSet;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use super::*;
use crate::host::tree;

const MAPS: &str = "7f5c2e628000-7f5c2e77d000 r-xp 00028000 fe:00 131                      ";

/// A process with this program, these mappings and these open files.
fn process(root: &Path, pid: u32, program: &str, mapped: &[&str], open: &[&str]) -> PathBuf {
    let process = root.join(format!("proc/{pid}"));
    fs::create_dir_all(process.join("fd")).unwrap();
    symlink(program, process.join("exe")).unwrap();
    symlink(root, process.join("root")).unwrap();
    let maps: String = mapped.iter().map(|file| format!("{MAPS}{file}\n")).collect();
    tree::write(root, &format!("proc/{pid}/maps"), &maps);
    tree::write(root, &format!("proc/{pid}/comm"), "main\n");
    for (number, file) in open.iter().enumerate() {
        symlink(file, process.join("fd").join(number.to_string())).unwrap();
    }
    process
}

fn list(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

#[test]
fn what_processes_have_mapped_and_open_is_told_by_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let libc = "/usr/lib/libc.so.6";
    process(dir.path(), 7, "/usr/bin/shopd (deleted)", &[libc, "[vdso]", "", "/memfd:x (deleted)"], &["/dev/null"]);
    process(
        dir.path(),
        8,
        "/usr/bin/helper",
        &["/opt/a b/lib.so (deleted)"],
        &["/usr/share/zoneinfo/UTC", "socket:[7]"],
    );
    let used = look(dir.path(), &[7, 8], &[]).unwrap();
    assert_eq!(used.running, list(&["/usr/bin/shopd", "/usr/bin/helper"]));
    assert_eq!(used.files, list(&[libc, "/opt/a b/lib.so", "/usr/share/zoneinfo/UTC"]));
}

/// Unknown is not "nothing".
#[test]
fn who_has_left_or_lives_elsewhere_is_no_answer() {
    let dir = tempfile::tempdir().unwrap();
    let container = process(dir.path(), 8, "/usr/sbin/nginx", &[], &[]);
    fs::create_dir(dir.path().join("container")).unwrap();
    fs::remove_file(container.join("root")).unwrap();
    symlink(dir.path().join("container"), container.join("root")).unwrap();
    let hidden = process(dir.path(), 9, "/usr/bin/main", &[], &[]);
    fs::remove_file(hidden.join("maps")).unwrap();
    fs::create_dir(hidden.join("maps")).unwrap();
    let zombie = process(dir.path(), 10, "/usr/bin/main", &[], &[]);
    fs::remove_file(zombie.join("exe")).unwrap();
    tree::write(dir.path(), "proc/10/status", "Name:\tmain\nState:\tZ (zombie)\n");
    for (pid, why) in [
        (7, "process 7 ended while it was looked at"),
        (8, "process 8 (main): it has a file system of its own, as in a container"),
        (9, "process 9 (main): Is a directory (os error 21)"),
    ] {
        assert_eq!(look(dir.path(), &[pid], &[]).unwrap_err(), why);
    }
    assert_eq!(look(dir.path(), &[10], &[]).unwrap(), UsedFiles::default());
}

#[test]
fn a_command_line_names_its_files_and_what_runs_a_script() {
    let dir = tempfile::tempdir().unwrap();
    for (path, text) in [
        ("usr/bin/python3.11", "\u{7f}ELF"),
        ("usr/bin/dash", "\u{7f}ELF"),
        ("usr/bin/env", "\u{7f}ELF"),
        ("usr/share/shop/app.py", "#!/usr/bin/env -S python3\nimport shop\n"),
        ("usr/sbin/wrapper", "#! /bin/sh -e\nexec shop\n"),
        ("etc/shop.conf", "a = 1\n"),
    ] {
        tree::write(dir.path(), path, text);
    }
    symlink("python3.11", dir.path().join("usr/bin/python3")).unwrap();
    symlink("dash", dir.path().join("usr/bin/sh")).unwrap();
    symlink("usr/bin", dir.path().join("bin")).unwrap();
    let command = |words: &str| words.split(' ').map(str::to_owned).collect::<Vec<_>>();
    for (words, files) in [
        (
            "/usr/share/shop/app.py --config /etc/shop.conf /no/such /etc",
            "/usr/share/shop/app.py /etc/shop.conf /usr/bin/env /usr/bin/python3 /usr/bin/python3.11 /bin/python3",
        ),
        ("/usr/sbin/wrapper", "/usr/sbin/wrapper /bin/sh /usr/bin/dash"),
        ("/usr/bin/python3 -m shop", "/usr/bin/python3 /usr/bin/python3.11"),
        ("/no/such", ""),
    ] {
        let seen = look(dir.path(), &[], &[command(words)]).unwrap().started_with;
        let expected: BTreeSet<&str> = files.split_whitespace().collect();
        assert!(seen.iter().all(|file| expected.contains(file.as_str())), "{words}: {seen:?}");
        let needed = expected.iter().filter(|file| **file != "/bin/python3" && **file != "/usr/bin/python3");
        assert!(needed.clone().all(|file| seen.contains(*file)), "{words}: {seen:?}");
    }
}

#[test]
fn spoiled_text_is_survived() {
    let sample = format!("{MAPS}/usr/lib/libc.so.6\n{MAPS}/usr/lib/a b.so (deleted)\n{MAPS}[vdso]\n");
    crate::host::hostile::survives(&[&sample], |text| {
        for line in text.lines() {
            assert!(mapped(line).is_none_or(|file| file.starts_with('/')));
        }
    });
    crate::host::hostile::survives(&["#!/usr/bin/env -S python3\nimport shop\n"], |text| {
        let dir = tempfile::tempdir().unwrap();
        tree::write(dir.path(), "script", text);
        let _ = look(dir.path(), &[], &[vec!["/script".to_owned()]]);
    });
}
