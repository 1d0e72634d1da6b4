use super::*;
use crate::model::{UpgradePlan, beyond_apt};

/// `NAME SOURCE: NEEDS; RECOMMENDS; PROVIDES`, with a `!` before the name of an essential one.
fn package(line: &str) -> InstalledPackage {
    let (head, rest) = line.split_once(':').unwrap();
    let (name, source) = head.split_once(' ').unwrap_or((head, head));
    let mut lists = rest.split(';').map(|list| list.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
    let mut next = || lists.next().unwrap_or_default();
    InstalledPackage {
        name: name.trim_start_matches('!').to_owned(),
        source: source.trim_start_matches('!').to_owned(),
        depends: next(),
        recommends: next(),
        provides: next(),
        essential: name.starts_with('!'),
    }
}

const PACKAGES: [&str; 32] = [
    "libc6 glibc: libgcc-s1",
    "libc6-dev glibc: libc6",
    "!bash: libtinfo6 usrmerge",
    "usrmerge: perl",
    "libtinfo6 ncurses:",
    "shopd: libshop1 mail-transport-agent;shop-tools;shop-abi-1",
    "shop-tools: libtool1",
    "libtool1:",
    "shop-plugin: shop-abi-1 libplug2",
    "libplug2:",
    "libshop1: libdeep3",
    "libdeep3 deep: libc6",
    "deep-doc deep:",
    "postfix: libsasl2-2;;mail-transport-agent",
    "libcurl4 curl: libc6",
    "curl: libcurl4",
    "libgcc-s1 gcc-12: libc6",
    "python3.11-minimal python3.11: libexpat1",
    "python3-shiny: python3 libshiny0",
    "libshiny0:",
    "libexpat1 expat:",
    "bound-python: python3:any python3",
    "perl: libperl5.36",
    "libsmall-perl:",
    "node-left-pad:",
    "openssh-server openssh:",
    "systemd: libseccomp2",
    "libseccomp2:",
    "firmware-misc:",
    "vim: vim-runtime",
    "tzdata:",
    "imagemagick: libmagickwand",
];

fn change(name: &str, action: PackageAction) -> PackageChange {
    let from = (action != PackageAction::Install).then(|| "1".to_owned());
    let to = (action != PackageAction::Remove).then(|| "2".to_owned());
    PackageChange { name: name.into(), action, from, to, origin: None }
}

fn upgrades(names: &str) -> UpgradePlan {
    let changes = names.split_whitespace().map(|name| change(name, PackageAction::Upgrade)).collect();
    UpgradePlan { changes, ..UpgradePlan::default() }
}

fn unit(name: &str) -> UnitName {
    name.parse().unwrap()
}

/// A service of `shopd`, which has `libcurl4` mapped and runs these programs.
fn shop(programs: &[&str]) -> Result<ServiceUse, String> {
    let with = |package: &str, file: &str| BTreeMap::from([(package.to_owned(), file.to_owned())]);
    let running: BTreeSet<String> = programs.iter().map(|&program| program.to_owned()).collect();
    Ok(ServiceUse {
        own: with("shopd", "/usr/bin/shopd"),
        used: with("libcurl4", "/usr/lib/libcurl.so.4"),
        files: running.clone(),
        running,
    })
}

fn chosen(plan: &UpgradePlan, seen: Result<ServiceUse, String>) -> AheadChoice {
    let packages: Vec<InstalledPackage> = PACKAGES.iter().map(|line| package(line)).collect();
    choose_ahead(&RelatedInputs {
        plan,
        services: &[(unit("shop.service"), seen)],
        packages: &packages,
        restarted: &BTreeMap::from([("openssh-server".to_owned(), unit("ssh.service"))]),
        kernel: "6.1.0-42-amd64",
        added: &["image*".to_owned()],
    })
}

#[test]
fn each_rule_has_its_packages_wait() {
    for (programs, name, why) in [
        ("/usr/bin/shopd", "shopd", "shop.service is started with /usr/bin/shopd"),
        ("", "libcurl4", "shop.service uses /usr/lib/libcurl.so.4"),
        ("", "libcurl4:i386", "shop.service uses /usr/lib/libcurl.so.4"),
        // What goes with it: dependencies near and far, by virtual names, what it recommends, plug-ins, and one source.
        ("", "libshop1", "shopd needs it, which shop.service uses"),
        ("", "libdeep3", "libshop1 needs it, which shop.service uses"),
        ("", "libgcc-s1", "libc6 needs it, which shop.service uses"),
        ("", "postfix", "shopd needs it, which shop.service uses"),
        ("", "shop-tools", "shopd recommends it, with which shop.service is started"),
        ("", "libtool1", "shop-tools needs it, which shop.service uses"),
        ("", "shop-plugin", "it may be a plug-in of shopd, which shop.service uses"),
        ("", "libplug2", "shop-plugin needs it, which shop.service uses"),
        ("", "curl", "it has one source with libcurl4, which shop.service uses"),
        // Whatever the service: what any may use, and what is of the host.
        ("", "bash", "it is essential: any service may use it"),
        ("", "libtinfo6", "bash needs it, which any service may use"),
        ("", "tzdata", "any service may open it at any time"),
        ("", "libnss-new", "any service may open it at any time"),
        ("", "imagemagick", "[upgrade] ahead-related names it"),
        ("", "libc6", "it serves the whole host"),
        ("", "systemd", "it serves the whole host"),
        ("", "docker-ce", "it serves the whole host"),
        ("", "openssh-server", "its scripts restart ssh.service, which runs"),
        ("", "linux-image-6.1.0-42-amd64", "it is of the kernel that runs"),
        // An interpreter, with all that depends on it, what is called as its modules are, and what these need.
        ("/usr/bin/python3.11", "python3.11-minimal", "shop.service runs Python, which may load it"),
        ("/usr/bin/python3.11", "python3-shiny", "shop.service runs Python, which may load it"),
        ("/usr/bin/python3.11", "bound-python", "shop.service runs Python, which may load it"),
        ("/usr/bin/python3.11", "python3-new", "shop.service runs Python, which may load it"),
        ("/usr/bin/python3.11", "libshiny0", "python3-shiny needs it, which shop.service uses"),
        ("/usr/bin/python3.11", "libexpat1", "python3.11-minimal needs it, which shop.service uses"),
        ("/opt/node/bin/node", "node-left-pad", "shop.service runs Node.js, which may load it"),
        ("/usr/lib/libperl.so.5.36", "libsmall-perl", "shop.service runs Perl, which may load it"),
        // And what none of it is.
        ("", "vim", ""),
        ("", "firmware-misc", ""),
        ("", "deep-doc", ""),
        ("", "libseccomp2", ""),
        ("", "perl", ""),
        ("", "python3.11-minimal", ""),
        ("/usr/bin/node_exporter", "node-left-pad", ""),
        ("/usr/bin/python3.11", "node-left-pad", ""),
        ("", "linux-image-6.1.0-50-amd64", ""),
        ("", "initramfs-tools", ""),
        ("", "intel-microcode", ""),
    ] {
        let programs: Vec<&str> = programs.split_whitespace().collect();
        let choice = chosen(&upgrades(name), shop(&programs));
        let told: Vec<&str> = choice.waits.iter().map(|one| one.why.as_str()).collect();
        let expected: Vec<&str> = [why].into_iter().filter(|why| !why.is_empty()).collect();
        // A package may have more reasons than one; the first that is found is told.
        match (name, told.as_slice()) {
            ("libc6", [told]) => assert!(told.contains("needs it") || *told == why, "{told}"),
            _ => assert_eq!(told, expected, "{name} under {programs:?}"),
        }
        assert_eq!(choice.ahead.is_empty(), !why.is_empty(), "{name} under {programs:?}");
        assert_eq!(choice.all_waits, None);
    }
    let removal = UpgradePlan { changes: vec![change("vim", PackageAction::Remove)], ..UpgradePlan::default() };
    assert_eq!(chosen(&removal, shop(&[])).waits[0].why, "it is removed");
}

#[test]
fn where_a_service_is_not_known_all_waits_but_new_kernels() {
    let mut plan = upgrades("vim firmware-misc");
    plan.changes.push(change("linux-image-6.1.0-50-amd64", PackageAction::Install));
    for (seen, why) in [
        (Err("it does not run".to_owned()), "what shop.service uses is not known: it does not run"),
        (shop(&["/usr/bin/dash"]), "what shop.service uses is not known: /usr/bin/dash starts whatever it is told"),
        (shop(&["/usr/bin/docker"]), "what shop.service uses is not known: /usr/bin/docker starts whatever it is told"),
    ] {
        let choice = chosen(&plan, seen);
        assert_eq!(choice.all_waits.as_deref(), Some(why));
        assert_eq!(choice.ahead, ["linux-image-6.1.0-50-amd64"]);
        assert_eq!(choice.waiting(), ["vim", "firmware-misc"]);
        assert!(choice.waits.iter().all(|one| one.why == why));
    }
    assert_eq!(chosen(&plan, shop(&[])).ahead.len(), 3);
}

#[test]
fn what_apt_does_not_do_alone_waits_too() {
    let packages: Vec<InstalledPackage> = PACKAGES.iter().map(|line| package(line)).collect();
    let plan = upgrades("libc6 libc6-dev vim firmware-misc");
    let mut choice = chosen(&plan, shop(&[]));
    choice.ahead = vec!["libc6-dev".into(), "vim".into(), "firmware-misc".into()];
    choice.waits.retain(|one| one.package == "libc6");
    let beyond = beyond_apt(&choice, &packages, &upgrades("firmware-misc"));
    let told: Vec<String> = beyond.iter().map(|one| format!("{}: {}", one.package, one.why)).collect();
    assert_eq!(
        told,
        ["libc6-dev: it goes with libc6, which waits", "vim: apt changes it only together with what waits"]
    );
    choice.hold_back(beyond);
    assert_eq!((choice.ahead.len(), choice.waits.len()), (1, 3));
}

/// A pattern that no name can fit says nothing.
#[test]
fn the_lists_are_in_order_and_name_no_package_twice() {
    for list in [OPENED_LATE.as_slice(), WHOLE_HOST.as_slice(), STARTS_ANYTHING.as_slice()] {
        assert!(list.is_sorted_by(|one, other| one < other), "{list:?}");
    }
}

/// What a fix of `bash`, and of what it needs, does: essential packages work at every moment, and do the same.
#[test]
fn a_fix_of_an_essential_package_comes_ahead_of_services_that_run_no_scripts() {
    let of = |name: &str, from: &str, to: &str| PackageChange {
        from: Some(from.to_owned()),
        to: Some(to.to_owned()),
        ..change(name, PackageAction::Upgrade)
    };
    let script = || {
        let mut seen = shop(&["/usr/bin/shopd"]).unwrap();
        seen.own.insert("bash".to_owned(), "/usr/bin/bash".to_owned());
        Ok(seen)
    };
    let program = || shop(&["/usr/bin/shopd"]);
    for (seen, change, waits) in [
        (program(), of("bash", "5.2.15-2+b7", "5.2.15-2+b13"), None),
        (program(), of("libtinfo6", "6.4-4", "6.4-4+deb12u1"), None),
        (program(), of("bash", "1:5.2.15-2", "2:5.2.15-2"), Some("it is essential")),
        (program(), of("bash", "5.2.15-2", "5.2.37-2"), Some("it is essential")),
        (program(), of("bash", "5.2.15", "5.2.15"), Some("it is essential")),
        (script(), of("bash", "5.2.15-2+b7", "5.2.15-2+b13"), Some("shop.service is started with /usr/bin/bash")),
        (script(), of("libtinfo6", "6.4-4", "6.4-4+deb12u1"), Some("bash needs it")),
        (program(), of("libcurl4", "7.88.1-10", "7.88.1-11"), Some("shop.service uses")),
    ] {
        let plan = UpgradePlan { changes: vec![change.clone()], ..UpgradePlan::default() };
        let choice = chosen(&plan, seen);
        let why = choice.waits.first().map(|one| one.why.as_str());
        assert_eq!(why.is_some(), waits.is_some(), "{change:?}: {why:?}");
        assert!(why.zip(waits).is_none_or(|(why, begins)| why.starts_with(begins)), "{change:?}: {why:?}");
    }
}
