//! Builds with a real make, of a tree that answers as a kernel's does.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::build::build_below;
use super::objects::{Teller, parse};
use super::*;

/// Kbuild's targets, as far as a build uses them. Each call leaves its name.
const MAKEFILE: &str = "\
olddefconfig:
\t@echo $@ >>calls; echo CONFIG_NEW=y >>.config
kernelrelease:
\t@test -e .config && echo 6.1.9$(LOCALVERSION)
prepare:
\t@echo $@ >>calls; mkdir -p include/config; echo 6.1.9$(LOCALVERSION) >include/config/kernel.release
vmlinux: a.o b.o
modules: c.ko.o
a.o b.o:
\t@set -e;  echo '  CC      $@'; touch $@
c.ko.o:
\t@set -e;  echo '  CC [M]  $@'; touch $@
bindeb-pkg: vmlinux modules
\t@echo \"$@ $(filter -j%,$(MAKEFLAGS))\" >>calls; echo 'said on stderr' >&2
\t@echo \"dpkg-deb: building package 'linux-image-6.1.9$(LOCALVERSION)' in 'x'.\"
\t@touch ../linux-image-6.1.9$(LOCALVERSION)_1_amd64.deb ../linux-image-6.1.8_1_amd64.deb ../linux-libc-dev_1_amd64.deb
fails:
\t@echo '  CC      a.o'; echo 'a.c:1: error: no semicolon'; exit 3
";

struct Lab {
    directory: tempfile::TempDir,
    source: KernelSource,
}

impl Lab {
    /// A tree with a configuration.
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let tree = directory.path().join("src/linux");
        fs::create_dir_all(&tree).unwrap();
        fs::write(tree.join("Makefile"), MAKEFILE).unwrap();
        fs::write(tree.join(".config"), "CONFIG_OLD=y\n").unwrap();
        let make = vec!["LOCALVERSION=-mine".to_owned()];
        Self { source: KernelSource { path: tree, config: None, make, command: None }, directory }
    }

    fn root(&self) -> &Path {
        self.directory.path()
    }

    /// The result, the status and the log.
    fn build(&self) -> (Result<(), String>, String, String) {
        let (mut status, mut log) = (Vec::new(), Vec::new());
        let result = build_below(self.root(), &self.source, 3, &mut Teller::new(&mut status, &mut log));
        (result, String::from_utf8(status).unwrap(), String::from_utf8(log).unwrap())
    }

    fn is_due(&self) -> bool {
        let builder = Kernel::new(self.root().to_owned(), "/usr/bin/patchday");
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(builder.is_due(&self.source))
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.source.path.join(name)).unwrap()
    }
}

#[test]
fn a_tree_becomes_packages_and_tells_how_far_it_is() {
    let lab = Lab::new();
    let (result, status, log) = lab.build();
    assert_eq!(result, Ok(()), "{log}");
    assert!(lab.is_due(), "it is not installed yet");
    let told: Vec<_> = status.lines().filter_map(parse).filter_map(|said| said.fraction).collect();
    assert!(told.is_sorted() && told.contains(&0.3) && told.last() == Some(&0.9), "{told:?}: {status}");
    assert!(status.contains("Packing linux-image-6.1.9-mine"), "{status}");
    assert!(log.contains("  CC [M]  c.ko.o"), "{log}");
    assert_eq!(lab.read("calls"), "olddefconfig\nprepare\nbindeb-pkg -j3\n");
    assert_eq!(lab.read(".config"), "CONFIG_OLD=y\nCONFIG_NEW=y\n");
    let built = built(&lab.source.path).unwrap();
    assert_eq!(built.release, "6.1.9-mine");
    let packages: Vec<_> = built.packages.iter().map(|file| file.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(packages, ["linux-image-6.1.9-mine_1_amd64.deb"]);
}

#[test]
fn a_kernel_that_is_installed_is_not_built_again() {
    let mut lab = Lab::new();
    fs::create_dir(lab.root().join("boot")).unwrap();
    fs::write(lab.root().join("boot/vmlinuz-6.1.9-mine"), "").unwrap();
    let (result, _, log) = lab.build();
    assert_eq!(result, Ok(()));
    assert!(log.ends_with("6.1.9-mine is installed\n"), "{log}");
    assert_eq!(lab.read("calls"), "olddefconfig\n");
    assert!(!lab.is_due());
    let config = lab.root().join("config");
    fs::write(&config, "CONFIG_OTHER=y\n").unwrap();
    lab.source.config = Some(config);
    assert!(lab.is_due(), "another configuration may make another release");
}

#[test]
fn a_build_that_fails_says_so_and_a_build_without_a_package_is_none() {
    let mut lab = Lab::new();
    let program = |lab: &Lab, text: &str| {
        let program = lab.root().join("package");
        fs::write(&program, text).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        program.display().to_string()
    };
    for (text, why) in [
        ("#!/bin/sh\nexec make fails\n", "package: exit status: 2"),
        ("#!/bin/sh\nexit 0\n", "the build left no package linux-image-6.1.9-mine_*.deb beside "),
        ("#!/bin/sh\necho 6.1.1 >include/config/kernel.release\n", "include/config/kernel.release says 6.1.1, but "),
    ] {
        lab.source.command = Some(vec![program(&lab, text)]);
        let (result, _, _) = lab.build();
        assert!(result.as_ref().is_err_and(|error| error.starts_with(why)), "{result:?}");
    }
    lab.source.command = Some(vec![program(&lab, "#!/bin/sh\nexec make bindeb-pkg\n")]);
    assert_eq!(lab.build().0, Ok(()));
    assert_eq!(lab.read("calls").lines().last(), Some("bindeb-pkg -j3"));
}

#[test]
fn a_tarball_is_unpacked_once_and_the_next_one_takes_its_place() {
    let mut lab = Lab::new();
    let (tree, tarball) = (lab.source.path.clone(), lab.root().join("linux.tar.xz"));
    let pack = || {
        let mut tar = std::process::Command::new("tar");
        let status = tar.arg("-cJf").arg(&tarball).arg("-C").arg(tree.parent().unwrap()).arg("linux").status();
        assert!(status.unwrap().success());
    };
    pack();
    lab.source.config = Some(lab.root().join("config"));
    fs::write(lab.source.config.as_ref().unwrap(), "CONFIG_MINE=y\n").unwrap();
    lab.source.path = tarball.clone();
    let unpacked = below(lab.root(), tree::CACHE).join("tree");
    let calls = || fs::read_to_string(unpacked.join("calls")).unwrap().lines().count();
    for (built, calls_then) in [(1, 3), (2, 6)] {
        let (result, _, log) = lab.build();
        assert_eq!((result, calls()), (Ok(()), calls_then), "build {built}: {log}");
    }
    assert_eq!(fs::read_to_string(unpacked.join(".config")).unwrap(), "CONFIG_MINE=y\nCONFIG_NEW=y\n");
    assert_eq!(super::built(&unpacked).unwrap().packages.len(), 1);
    fs::write(tree.join("patched"), "").unwrap();
    pack();
    assert_eq!((lab.build().0, calls()), (Ok(()), 3));
    assert!(unpacked.join("patched").exists());
}

#[test]
fn what_a_build_would_fail_for_is_known_before() {
    let mut lab = Lab::new();
    let host = tempfile::tempdir().unwrap();
    let builder = Kernel::new(host.path().to_owned(), "/usr/bin/patchday");
    assert!(builder.problems(&lab.source).contains(&"bison is not installed (package bison)".to_owned()));
    let programs = host.path().join("usr/bin");
    fs::create_dir_all(&programs).unwrap();
    for (tool, _) in TOOLS {
        fs::write(programs.join(tool), "").unwrap();
    }
    assert_eq!(builder.problems(&lab.source), Vec::<String>::new());
    lab.source.config = Some(lab.root().join("none"));
    fs::set_permissions(lab.source.path.join("Makefile"), fs::Permissions::from_mode(0o666)).unwrap();
    let problems = builder.problems(&lab.source);
    assert!(problems[0].contains("none: No such file"), "{problems:?}");
    assert!(problems[0].contains("Makefile is writable by others"), "{problems:?}");
    let (argv, _) = builder.command(&lab.source, 2);
    assert_eq!(argv[..6], ["/usr/bin/patchday", "build-kernel", "--status", "@STATUS_FD@", "--jobs", "2"]);
    assert_eq!(serde_json::from_str::<KernelSource>(&argv[7]).unwrap(), lab.source);
}

/// Every file of a tree gives orders, not its first makefile alone.
#[test]
fn a_tree_that_somebody_else_may_change_is_not_built_and_not_asked() {
    let lab = Lab::new();
    fs::create_dir(lab.source.path.join("scripts")).unwrap();
    let script = lab.source.path.join("scripts/setlocalversion");
    fs::write(&script, "").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o757)).unwrap();
    let (result, _, _) = lab.build();
    assert!(result.unwrap_err().contains("setlocalversion is writable by others than root"));
    let builder = Kernel::new(PathBuf::from("/"), "/usr/bin/patchday");
    assert!(builder.problems(&lab.source)[0].contains("setlocalversion is writable by others"));
    assert!(!lab.source.path.join("calls").exists());
}

#[test]
fn a_tree_that_does_not_answer_is_given_up_and_one_that_says_too_much_is_heard_in_parts() {
    let lab = Lab::new();
    let makefile = MAKEFILE.replace(
        "\t@set -e;  echo '  CC      $@'; touch $@",
        "\t@set -e;  head -c 3M /dev/zero; echo; echo '  CC      $@'; touch $@",
    );
    fs::write(lab.source.path.join("Makefile"), &makefile).unwrap();
    assert_eq!(lab.build().0, Ok(()));
    let endless = makefile.replace("@test -e .config && echo", "@head -c 80M /dev/zero && echo");
    fs::write(lab.source.path.join("Makefile"), endless).unwrap();
    assert!(lab.is_due(), "what nobody knows is built, which then says why not");
}
