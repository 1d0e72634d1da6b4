//! Hosts of many kinds, as their files tell of them: what starts each of them, and which kernel it takes.

use super::*;
use crate::host::tree;

const DEBIAN_12: &str = include_str!("../../../tests/fixtures/grub/debian-12.cfg");
const NEW: &str = "6.1.0-56-cloud-amd64";
const OLD: &str = "6.1.0-50-cloud-amd64";
const MENU: (&str, &str) = ("boot/grub/grub.cfg", DEBIAN_12);
const BY_GRUB: (&str, &str) = ("proc/cmdline", "BOOT_IMAGE=/boot/vmlinuz-6.1.0-50-cloud-amd64 root=UUID=1 ro quiet\n");
const EFI: (&str, &str) = ("sys/firmware/efi/fw_platform_size", "64\n");
const ENTRY: (&str, &str) = (
    "boot/efi/loader/entries/0123-6.1.0-50-cloud-amd64.conf",
    "version 6.1.0-50-cloud-amd64\nlinux /0123/6.1.0-50-cloud-amd64/linux\ninitrd /0123/6.1.0-50-cloud-amd64/initrd\n",
);
const CONTAINER: (&str, &str) = ("run/systemd/container", "systemd-nspawn\n");

fn host(files: &[(&str, &str)], kernels: &[&str]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| tree::write(dir.path(), path, text);
    files.iter().for_each(|(path, text)| write(path, text));
    for kernel in kernels {
        write(&format!("boot/vmlinuz-{kernel}"), "image");
        write(&format!("boot/initrd.img-{kernel}"), "initrd");
    }
    dir
}

/// Who starts it and which kernel; `outside` or `unknown` where nobody here does.
fn told(source: &BootSource) -> (String, String) {
    match source {
        BootSource::Unknown => ("unknown".into(), String::new()),
        BootSource::Outside { .. } => ("outside".into(), String::new()),
        BootSource::Loader(loader) => {
            (loader.loader.clone(), loader.starts.as_ref().map(|entry| entry.release.clone()).unwrap_or_default())
        }
    }
}

#[test]
fn what_starts_a_host_is_told_by_traces_and_then_by_who_knows_its_kernel() {
    let line = |text: &'static str| ("proc/cmdline", text);
    let by_itself = line("root=/dev/vda2 ro\n");
    let unified = ("boot/efi/EFI/Linux/0123-6.1.0-50-cloud-amd64.efi", "MZ");
    let xen = ("sys/hypervisor/type", "xen\n");
    let both = &[NEW, OLD][..];
    let rows = [
        ("GRUB", vec![MENU, BY_GRUB], both, "GRUB", NEW),
        ("GRUB, and systemd-boot lies about", vec![MENU, BY_GRUB, EFI, ENTRY], both, "GRUB", NEW),
        ("GRUB, and the running kernel was purged", vec![MENU, BY_GRUB], &[NEW], "GRUB", NEW),
        ("systemd-boot, and GRUB's menu lies about", vec![MENU, EFI, ENTRY, by_itself], &[NEW], "systemd-boot", OLD),
        (
            "a unified image, and GRUB's menu lies about",
            vec![MENU, EFI, unified, by_itself],
            &[NEW],
            "systemd-boot",
            OLD,
        ),
        ("a unified image in a container", vec![CONTAINER, MENU, unified], &[NEW], "systemd-boot", OLD),
        ("a kernel of the hypervisor, and GRUB's menu lies about", vec![MENU, by_itself], both, "outside", ""),
        ("a kernel of the hypervisor, and none here", vec![by_itself], &[], "outside", ""),
        ("a kernel of the hypervisor, and newer ones here", vec![by_itself], &[NEW], "outside", ""),
        ("Xen reads GRUB's menu", vec![MENU, xen, by_itself], both, "GRUB", NEW),
        ("a container", vec![CONTAINER], &[NEW], "outside", ""),
        ("a container of a host that GRUB has started", vec![CONTAINER, BY_GRUB], &[], "outside", ""),
        ("a container to itself only", vec![CONTAINER, MENU], both, "GRUB", NEW),
        ("LILO", vec![BY_GRUB], both, "unknown", ""),
        ("the firmware starts the kernel itself", vec![EFI, by_itself], both, "unknown", ""),
    ];
    for (what, files, kernels, loader, release) in rows {
        let host = host(&files, kernels);
        let seen = source(host.path(), OLD).unwrap();
        assert_eq!(told(&seen), (loader.to_owned(), release.to_owned()), "{what}: {seen:?}");
    }
}

#[test]
fn what_an_entry_loads_and_is_not_there_is_told() {
    let entry = |host: &tempfile::TempDir| match source(host.path(), OLD).unwrap() {
        BootSource::Loader(LoaderDefault { starts: Some(entry), .. }) => entry,
        other => panic!("{other:?}"),
    };
    let whole = host(&[MENU, BY_GRUB], &[NEW, OLD]);
    assert!(entry(&whole).lacks.is_empty());
    fs::remove_file(whole.path().join(format!("boot/initrd.img-{NEW}"))).unwrap();
    assert_eq!(entry(&whole).lacks, [format!("its initrd /boot/initrd.img-{NEW} is gone")]);
    fs::remove_file(whole.path().join(format!("boot/vmlinuz-{NEW}"))).unwrap();
    assert!(entry(&whole).lacks[0].starts_with("its image /boot/vmlinuz-6.1.0-56"), "{:?}", entry(&whole));

    // As grub-mkconfig 2.06 takes a copy for a kernel: without an initrd, since there is none of that name.
    let copied = DEBIAN_12.replace(&format!("vmlinuz-{NEW}"), &format!("vmlinuz-{NEW}.bak"));
    let copied = copied.replace(&format!("initrd\t/boot/initrd.img-{NEW}"), "");
    let copy = host(&[("boot/grub/grub.cfg", &copied), BY_GRUB], &[NEW, OLD, &format!("{NEW}.bak")]);
    let seen = entry(&copy);
    assert!(seen.release.ends_with(".bak") && seen.lacks[0].contains("loads no initrd, others do"), "{seen:?}");
}

#[test]
fn the_environment_of_grub_and_of_the_firmware_choose() {
    let saved = format!("gnulinux-advanced-7075255d-a526-479f-a7c0-94737a7a52e8>Debian GNU/Linux, with Linux {OLD}");
    let grubenv = format!("# GRUB Environment Block\nsaved_entry={saved}\n#####");
    let pinned = host(&[MENU, BY_GRUB, ("boot/grub/grubenv", &grubenv)], &[NEW, OLD]);
    let BootSource::Loader(seen) = source(pinned.path(), OLD).unwrap() else { panic!("GRUB starts it") };
    assert_eq!((seen.starts.unwrap().release.as_str(), seen.follows_newest), (OLD, false));
    assert!(seen.why.contains(&saved), "{}", seen.why);

    let newer = ("boot/efi/loader/entries/0123-6.1.0-56-cloud-amd64.conf", "version 6.1.0-56-cloud-amd64\nlinux /x\n");
    let host = host(&[EFI, ENTRY, newer], &[]);
    let variable = format!("sys/firmware/efi/efivars/LoaderEntryDefault-{LOADER_VENDOR}");
    for (chosen, release, follows) in [("", NEW, true), ("0123-6.1.0-50-cloud-amd64.conf", OLD, false)] {
        let text = [0, 0, 0, 0].into_iter().chain(chosen.encode_utf16().flat_map(u16::to_le_bytes));
        tree::write(host.path(), &variable, text.collect::<Vec<u8>>());
        let BootSource::Loader(seen) = source(host.path(), OLD).unwrap() else { panic!("systemd-boot starts it") };
        assert_eq!((seen.starts.unwrap().release.as_str(), seen.follows_newest), (release, follows), "{}", seen.why);
    }
}

#[test]
fn the_name_of_a_unified_image_tells_its_release() {
    for (name, release) in [
        ("6b0e6f1a2b3c4d5e6f708192a3b4c5d6-6.1.0-50-amd64.efi", "6.1.0-50-amd64"),
        ("debian-6.1.0-50-amd64.efi", "6.1.0-50-amd64"),
        ("6.12.107+deb13-amd64.efi", "6.12.107+deb13-amd64"),
        ("linux.efi", "linux"),
    ] {
        assert_eq!(release_of_unified(name), release, "{name}");
    }
}
