//! The upgrade on real machines: its limits, its packages, and what is told of both. See `docs/testing.md`.
use std::time::Duration;

use crate::on_machine::{CONFIG, UNITS, assert_in_service, json, machine_with_patchday, patchday, step};
use patchday_lab::{Machine, Suite, services, wait_for};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(300);

pub(crate) fn machine(name: &str, more: &str) -> Machine {
    let machine = machine_with_patchday(Suite::Bookworm, name);
    let database = "start-timeout = \"60s\"\ndrain-timeout = \"3s\"";
    let services = services(&machine, database, "start-timeout = \"60s\"");
    let text = format!("{services}[verify]\nsettle = \"1s\"\n\n[preflight]\nallow = [\"boot-space\"]\n\n{more}\n");
    machine.write_file(CONFIG, &text).unwrap();
    machine
}

/// Where a step stands among those of a report.
fn position(steps: &[Value], name: &str) -> usize {
    steps.iter().position(|step| step["step"] == name).unwrap()
}

fn slice(machine: &Machine, property: &str) -> String {
    machine.exec_ok(&["systemctl", "show", "-P", property, "patchday.slice"]).unwrap().trim().to_owned()
}

#[test]
fn all_work_shares_limits_that_can_be_changed_and_are_given_back() {
    let machine = machine("limits", "[limits]\ncpu = \"30%\"\nmemory-high = \"1G\"\nnice = 12\n");
    // Somebody's own limit: the run must give it back.
    machine.exec_ok(&["systemctl", "set-property", "--runtime", "patchday.slice", "CPUWeight=77"]).unwrap();
    let refused = patchday(&machine, &["limits", "--cpu", "80%"]);
    assert_eq!(refused.code(), Some(10), "{refused:?}");

    let mut run = machine.spawn(&["patchday", "run", "--yes", "--no-reboot"]).unwrap();
    wait_for("apt at work", PATIENCE, || Ok(step(&machine).filter(|step| step == "upgrade"))).unwrap();
    let shown = json(&machine, &["limits", "--json"]);
    println!("{shown:#}\n{}", patchday(&machine, &["limits"]).stdout);
    let cpus = shown["cpus"].as_u64().unwrap();
    assert_eq!(shown["set"]["cpu_quota_per_sec_usec"], cpus * 300_000);
    assert_eq!(shown["set"]["memory_high"], 1u64 << 30);
    assert_eq!(shown["set"]["cpu_weight"], 20);
    let unit = machine.exec_ok(&["sh", "-c", "systemctl show -P Nice 'patchday-upgrade-*'"]).unwrap();
    assert_eq!(unit.trim(), "12");

    let idle = patchday(&machine, &["limits", "--cpu-weight", "0"]);
    assert_eq!((idle.code(), slice(&machine, "CPUWeight").as_str()), (Some(0), "idle"), "{idle:?}");
    let raised = patchday(&machine, &["limits", "--cpu", "80%"]);
    assert_eq!(raised.code(), Some(0), "{raised:?}");
    assert_eq!(json(&machine, &["limits", "--json"])["set"]["cpu_quota_per_sec_usec"], cpus * 800_000);

    assert_eq!(run.wait().unwrap().code(), Some(0), "{}", patchday(&machine, &["report"]).stdout);
    assert_in_service(&machine);
    assert_eq!(slice(&machine, "CPUQuotaPerSecUSec"), "infinity");
    assert_eq!(slice(&machine, "CPUWeight"), "77");
    assert_eq!(slice(&machine, "MemoryHigh"), "infinity");
    let report = json(&machine, &["report", "--json"]);
    assert_eq!(report["still_changed"].as_array().map(Vec::len), Some(0), "{}", report["still_changed"]);
    let told = machine.exec_ok(&["sh", "-c", "cat /var/lib/patchday/runs/*/events.jsonl"]).unwrap();
    assert!(told.contains("\"event\":\"work-measured\""), "{told}");
    // What the kernel does is told as it is: these machines have a cpu controller only where the host has version 2.
    let enforced = machine.exists("/sys/fs/cgroup/patchday.slice/cpu.max").unwrap();
    assert_eq!(told.contains("set but not enforced"), !enforced, "{told}");
}

/// A repository in the machine: a kernel's metapackage, of which the second version wants a new kernel, and a tool.
pub(crate) const REPOSITORY: &str = r#"
set -eu
mkdir -p /srv/repo && cd /srv/repo
package() { # NAME VERSION DEPENDS
    mkdir -p "$1-$2/DEBIAN"
    printf 'Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: lab <lab@localhost>\nDescription: lab\n' "$1" "$2" \
        >"$1-$2/DEBIAN/control"
    [ -z "$3" ] || echo "Depends: $3" >>"$1-$2/DEBIAN/control"
    dpkg-deb --root-owner-group --build "$1-$2" "$1-$2.deb" >/dev/null
}
kernel=linux-image-9.9.9-1-lab
mkdir -p "$kernel-1/DEBIAN" "$kernel-1/boot" "$kernel-1/lib/modules/9.9.9-1-lab"
for file in boot/vmlinuz-9.9.9-1-lab boot/initrd.img-9.9.9-1-lab lib/modules/9.9.9-1-lab/modules.dep; do
    echo 'not a real one' >"$kernel-1/$file"
done
cat >"$kernel-1/DEBIAN/postinst" <<'END'
#!/bin/sh
systemctl is-active mongod.service sample-api.service >/srv/while-installing
END
chmod 0755 "$kernel-1/DEBIAN/postinst"
package "$kernel" 1 ''
package lab-kernel 1 ''
package lab-tool 1 ''
dpkg --install lab-kernel-1.deb lab-tool-1.deb
rm lab-kernel-1.deb lab-tool-1.deb
package lab-kernel 2 "$kernel"
mkdir -p lab-tool-2/DEBIAN
cat >lab-tool-2/DEBIAN/postinst <<'END'
#!/bin/sh
# As scripts of packages do, by hand and as debhelper writes it.
systemctl restart sample-api.service 2>/srv/said
deb-systemd-invoke stop mongod.service 2>>/srv/said
systemctl is-active mongod.service sample-api.service >/srv/while-upgrading || true
END
chmod 0755 lab-tool-2/DEBIAN/postinst
package lab-tool 2 ''
for deb in *.deb; do
    dpkg-deb --field "$deb"
    echo "Filename: ./$deb"
    echo "Size: $(stat -c %s "$deb")"
    echo "SHA256: $(sha256sum "$deb" | cut -d ' ' -f 1)"
    echo
done >Packages
echo 'deb [trusted=yes] file:/srv/repo ./' >/etc/apt/sources.list
"#;

#[test]
fn a_new_kernel_is_installed_while_the_services_run_where_that_is_wanted() {
    let machine = machine("ahead", "[upgrade]\nahead = true\n");
    machine.exec_ok(&["sh", "-c", REPOSITORY]).unwrap();
    let run = patchday(&machine, &["run", "--yes", "--no-reboot"]);
    println!("{}", patchday(&machine, &["report"]).stdout);
    assert_eq!(run.code(), Some(0), "{run:?}");
    assert_in_service(&machine);
    assert_eq!(machine.read_file("/srv/while-installing").unwrap(), "active\nactive\n");
    let report = json(&machine, &["report", "--json"]);
    let steps = report["steps"].as_array().unwrap();
    assert_eq!(steps[position(steps, "ahead")]["outcome"], "succeeded", "{steps:#?}");
    assert!(position(steps, "ahead") < position(steps, "stop:sample-api.service"));
    // Nobody asked for this kernel by its name: apt may remove it once it is old.
    let automatic = machine.exec_ok(&["apt-mark", "showauto"]).unwrap();
    assert!(automatic.lines().any(|line| line == "linux-image-9.9.9-1-lab"), "{automatic}");
    let installed = machine.exec_ok(&["dpkg-query", "-W", "-f", "${Package}=${Version} ", "lab-*"]).unwrap();
    assert_eq!(installed, "lab-kernel=2 lab-tool=2 ");
}

#[test]
fn services_run_and_cannot_be_stopped_until_all_but_the_reboot_is_done() {
    let machine = machine("late-stop", "[upgrade]\norder = \"late-stop\"\n");
    machine.exec_ok(&["sh", "-c", REPOSITORY]).unwrap();
    let run = patchday(&machine, &["run", "--yes", "--no-reboot"]);
    println!("{}", patchday(&machine, &["report"]).stdout);
    assert_eq!(run.code(), Some(0), "{run:?}");
    assert_in_service(&machine);
    assert_eq!(machine.read_file("/srv/while-upgrading").unwrap(), "active\nactive\n");
    let said = machine.read_file("/srv/said").unwrap();
    assert_eq!(said.matches("Operation refused").count(), 2, "{said}");
    let report = json(&machine, &["report", "--json"]);
    assert_eq!(report["still_changed"].as_array().map(Vec::len), Some(0), "{}", report["still_changed"]);
    let steps = report["steps"].as_array().unwrap();
    assert!(position(steps, "stage-check") < position(steps, "stop:sample-api.service"), "{steps:#?}");
    for unit in UNITS {
        let refuses = machine.exec_ok(&["systemctl", "show", "-P", "RefuseManualStop", unit]).unwrap();
        assert_eq!(refuses.trim(), "no", "{unit}");
    }
}

#[test]
fn only_what_is_wanted_is_upgraded() {
    let machine = machine("selection", "");
    // As apt names the archives: `Inst NAME [OLD] (NEW ORIGIN:SUITE, ... [ARCHITECTURE])`.
    let pending = || -> Vec<(String, bool)> {
        let said = machine.exec_ok(&["apt-get", "-s", "-q", "dist-upgrade"]).unwrap();
        let changes = said.lines().filter_map(|line| line.strip_prefix("Inst ")?.split_once(' '));
        let upgrades = changes.filter(|(_, rest)| rest.starts_with('['));
        upgrades.map(|(name, rest)| (name.to_owned(), rest.contains("-security"))).collect()
    };
    // Debian's updates here are all for security; these are not.
    let beside = REPOSITORY.replace("/etc/apt/sources.list", "/etc/apt/sources.list.d/lab.list");
    machine.exec_ok(&["sh", "-c", &beside]).unwrap();
    let release = "cd /srv/repo && printf 'Origin: Lab\\nLabel: Lab packages\\nSuite: lab\\nSHA256:\\n %s %s Packages\\n' \
                   $(sha256sum <Packages | cut -d ' ' -f 1) $(stat -c %s Packages) >Release";
    machine.exec_ok(&["sh", "-c", release]).unwrap();
    machine.exec_ok(&["apt-get", "-q", "update"]).unwrap();
    let before = pending();
    println!("{before:?}");
    let is_excluded = |name: &str| name.starts_with("tz");
    assert!(before.iter().any(|(_, is_security)| !is_security), "every update is one for security");
    assert!(before.contains(&("tzdata".to_owned(), true)), "tzdata is as new as it can be");
    let text = machine.read_file(CONFIG).unwrap();
    let select = |selection: &str| machine.write_file(CONFIG, &format!("{text}[upgrade]\n{selection}\n")).unwrap();
    let left_out = || -> Vec<(String, bool)> {
        let report = json(&machine, &["report", "--json"]);
        let left = report["packages"]["left_out"].as_array().cloned().unwrap_or_default();
        let mut left: Vec<(String, bool)> = left
            .iter()
            .map(|line| (line["name"].as_str().unwrap().to_owned(), line["security"].as_bool().unwrap()))
            .collect();
        left.sort();
        left
    };

    select("only-security = true\nexclude = [\"tz*\", \"nothing-such\"]");
    println!("{}", patchday(&machine, &["plan"]).stdout);
    let plan = json(&machine, &["plan", "--json"]);
    for (label, text) in [("selection-known", "nothing-such"), ("security-left-out", "tzdata")] {
        let check = plan["checks"].as_array().unwrap().iter().find(|check| check["label"] == label).unwrap();
        assert!(check["finding"].to_string().contains(text), "{check}");
    }
    let run = patchday(&machine, &["run", "--yes", "--no-reboot"]);
    println!("{}", patchday(&machine, &["report"]).stdout);
    assert_eq!(run.code(), Some(0), "{run:?}");
    assert_in_service(&machine);
    let mut left: Vec<_> =
        before.iter().filter(|(name, is_security)| !is_security || is_excluded(name)).cloned().collect();
    assert_eq!(pending(), left);
    left.sort();
    assert_eq!(left_out(), left);

    // The rest comes from one archive, but for what is excluded by its name: nothing is left to do.
    select("exclude = [\"tz*\"]\nexclude-origins = [\"Lab\"]");
    let run = patchday(&machine, &["run", "--yes", "--no-reboot"]);
    println!("{}", patchday(&machine, &["report"]).stdout);
    assert_eq!(run.code(), Some(0), "{run:?}");
    assert_eq!(left_out(), left);
    assert_eq!(pending().len(), left.len());
}

/// Three old kernels in packages, below one that runs, on a `/boot` of 32 MiB.
const OLD_KERNELS: &str = r#"
set -eu
mount -t tmpfs -o size=32m boot /boot
head -c 7M /dev/zero >"/boot/vmlinuz-$(uname -r)"
mkdir -p "/lib/modules/$(uname -r)"
touch "/lib/modules/$(uname -r)/modules.dep"
for release in 0.0.1-lab 0.0.2-lab 0.0.3-lab; do
    tree=/srv/$release
    mkdir -p $tree/DEBIAN $tree/boot
    head -c 7M /dev/zero >$tree/boot/vmlinuz-$release
    printf 'Package: linux-image-%s\nVersion: 1\nArchitecture: all\nMaintainer: lab <lab@localhost>\nDescription: lab\n' \
        $release >$tree/DEBIAN/control
    dpkg-deb --root-owner-group --build $tree $tree.deb >/dev/null
    dpkg --install $tree.deb
done
"#;

#[test]
fn old_kernels_make_room_for_the_new_one_before_anything_stops() {
    let machine = machine("boot-room", "[kernel]\nremove-old = true\n\n[upgrade]\nahead = true\n");
    machine.exec_ok(&["sh", "-c", OLD_KERNELS]).unwrap();
    machine.exec_ok(&["sh", "-c", REPOSITORY]).unwrap();
    let run = patchday(&machine, &["run", "--yes", "--no-reboot"]);
    println!("{}", patchday(&machine, &["report"]).stdout);
    assert_eq!(run.code(), Some(0), "{run:?}");
    assert_in_service(&machine);
    let images = machine.exec_ok(&["sh", "-c", "cd /boot && ls vmlinuz-*-lab"]).unwrap();
    assert_eq!(images, "vmlinuz-0.0.3-lab\nvmlinuz-9.9.9-1-lab\n");
    let report = json(&machine, &["report", "--json"]);
    let steps = report["steps"].as_array().unwrap();
    assert_eq!(steps[position(steps, "remove-kernels")]["note"], "0.0.1-lab, 0.0.2-lab", "{steps:#?}");
    assert!(position(steps, "remove-kernels") < position(steps, "ahead"), "{steps:#?}");
}

/// A tree that answers as a kernel's does, and a program that packs what it makes.
const SOURCE: &str = r#"
set -eu
apt-get -qq install --no-install-recommends make >/dev/null
mkdir -p /usr/src/linux && cd /usr/src/linux
printf 'CONFIG_LAB=y\n' >.config
cat >Makefile <<'END'
olddefconfig: ; @true
kernelrelease: ; @echo 9.9.9$(LOCALVERSION)
prepare: ; @mkdir -p include/config && echo 9.9.9$(LOCALVERSION) >include/config/kernel.release
vmlinux: one.o two.o ; @true
modules: three.o ; @true
%.o: ; @set -e;  echo '  CC      $@'; sleep 1; touch $@
END
cat >/usr/local/sbin/pack <<'END'
#!/bin/sh
set -eu
make vmlinux modules
release=$(make -s kernelrelease)
package=../linux-image-$release
mkdir -p $package/DEBIAN $package/boot $package/lib/modules/$release
touch $package/lib/modules/$release/modules.builtin
echo 'not a real one' >$package/boot/vmlinuz-$release
cat /proc/self/cgroup >/srv/built-in
printf 'Package: linux-image-%s\nVersion: 1\nArchitecture: all\nMaintainer: lab <lab@localhost>\nDescription: lab\n' \
    $release >$package/DEBIAN/control
dpkg-deb --root-owner-group --build $package ${package}_1_all.deb
END
chmod 0755 /usr/local/sbin/pack
# What starts this host: the menu of a GRUB, with the kernel that runs and the one to come.
mkdir -p /boot/grub; echo 'not a real one' >"/boot/vmlinuz-$(uname -r)"
printf "menuentry '%s' {\nlinux /boot/vmlinuz-%s ro\n}\n" a 9.9.9-mine b "$(uname -r)" >/boot/grub/grub.cfg
mkdir /srv/empty && : >/srv/empty/Packages
echo 'deb [trusted=yes] file:/srv/empty ./' >/etc/apt/sources.list
apt-get -qq update
"#;

#[test]
fn a_kernel_is_built_from_its_source_under_the_limits_and_installed_for_good() {
    let source = "[kernel]\nsource = \"/usr/src/linux\"\nmake = [\"LOCALVERSION=-mine\"]\n\
                  command = [\"/usr/local/sbin/pack\"]\n[upgrade]\nahead = true\n";
    let machine = machine("kernel-source", source);
    machine.exec_ok(&["sh", "-c", SOURCE]).unwrap();
    // Nothing is pending but the kernel, and nothing of a real build's tools is needed here.
    let run =
        patchday(&machine, &["run", "--yes", "--no-reboot", "--allow", "kernel-source", "--allow", "kernel-complete"]);
    println!("{}", patchday(&machine, &["report"]).stdout);
    assert_eq!(run.code(), Some(0), "{run:?}");
    assert_in_service(&machine);
    let report = json(&machine, &["report", "--json"]);
    assert_eq!(report["kernel"]["expected"], "9.9.9-mine", "{}", report["kernel"]);
    let group = machine.read_file("/srv/built-in").unwrap();
    assert!(group.contains("/patchday.slice/patchday-kernel-source-"), "{group}");
    let manual = machine.exec_ok(&["apt-mark", "showmanual"]).unwrap();
    assert!(manual.lines().any(|line| line == "linux-image-9.9.9-mine"), "{manual}");
    let told = machine.exec_ok(&["sh", "-c", "cat /var/lib/patchday/runs/*/kernel-source-1.status"]).unwrap();
    assert!(told.contains("kernel:3:3:Compiling three.o"), "{told}");

    let again =
        patchday(&machine, &["run", "--yes", "--no-reboot", "--allow", "kernel-source", "--allow", "kernel-complete"]);
    assert!(format!("{again:?}").contains("nothing to do"), "{again:?}");
}
