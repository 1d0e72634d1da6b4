//! Kernels, what boots them, and `/boot`.

use super::{Package, Scene, Situation};
use anyhow::{Result, ensure};

/// Debian's kernels, GRUB's menu and DKMS; and a unit that plays firmware and boot loader, so that `uname` answers on each
/// boot for the kernel that it has started.
pub(super) const KERNELS: &str = include_str!("../../recipe/kernels");

/// What the boot loader starts from the next boot on, in place of the newest kernel in `/boot`: a release, the image on its
/// command line, and `uname -v`.
pub(super) fn boots(scene: &Scene<'_>, release: &str, image: &str, version: &str) -> Result<()> {
    scene.write("/etc/lab-boots", &format!("{release}\n{image}\n{version}\n"))
}

/// The same for this very boot.
fn runs(scene: &Scene<'_>, release: &str, image: &str, version: &str) -> Result<()> {
    scene.undo("systemctl restart lab-boot.service");
    boots(scene, release, image, version)?;
    scene.undo(UNMOUNT);
    scene.shell(&format!("{UNMOUNT}; systemctl restart lab-boot.service"))?;
    Ok(())
}

const UNMOUNT: &str = "umount /proc/sys/kernel/osrelease /proc/sys/kernel/version /proc/cmdline";

/// The release of the kernel that the image has, and of the newer one.
pub(super) fn releases(scene: &Scene<'_>) -> Result<(String, String)> {
    let said = scene.shell("cat /srv/kernels/release /srv/kernels/newer-release")?;
    let (own, newer) = said.trim().split_once('\n').unwrap_or_default();
    Ok((own.to_owned(), newer.to_owned()))
}

fn rebuilt_version(scene: &Scene<'_>) -> Result<String> {
    Ok(scene.shell("cat /srv/kernels/rebuilt-version")?.trim().to_owned())
}

/// Debian's newer kernel is pending, with its headers.
pub(super) fn newer_comes(scene: &Scene<'_>) -> Result<()> {
    scene.offer("/srv/kernels/newer/*.deb")
}

fn of_kernels(name: &str, act: impl Fn(&Scene<'_>) -> Result<()> + Send + Sync + 'static) -> Situation {
    Situation::new(name, act).image(KERNELS)
}

/// Another kernel in `/boot`, with all that it needs, and GRUB's menu written anew. Its release is that of its banner.
const ANOTHER: &str = r#"
own=$(cat /srv/kernels/release)
cp -a "/boot/initrd.img-$own" "/boot/initrd.img-$1"
cp -a "/usr/lib/modules/$own" "/usr/lib/modules/$1"
perl -0777 -pe "s/\Q$own\E \(/$1 (/" "/boot/vmlinuz-$own" >"/boot/vmlinuz-$1"
update-grub 2>/dev/null
"#;

fn another(scene: &Scene<'_>, release: &str) -> Result<()> {
    scene.undo(format!("rm -rf /boot/*-{release} /usr/lib/modules/{release}; update-grub 2>/dev/null"));
    scene.machine().exec_ok(&["sh", "-euc", ANOTHER, "sh", release]).map(drop)
}

pub(super) fn situations() -> Vec<Situation> {
    let mut all = vec![
        of_kernels("a kernel of somebody's own was installed, without its modules", |scene| {
            let own = "6.9.9-own";
            let kernel = Package::new(format!("linux-image-{own}"), "1")
                .file(format!("/boot/vmlinuz-{own}"), "not a real one")
                .script("postinst", "#!/bin/sh\nupdate-grub 2>/dev/null\n");
            scene.undo("update-grub 2>/dev/null");
            scene.install(&kernel)?;
            scene.plan(&[])?.ends(20)?.says(&["kernel-complete", own, "it has no modules"])?;
            Ok(())
        })
        .sharing("boots"),
    ];
    all.extend(boot_loaders());
    all.extend(places());
    all.extend(super::modules::situations());
    all
}

fn boot_loaders() -> Vec<Situation> {
    vec![
        of_kernels("the kernel was built anew under the same release, installed by hand, and not booted", |scene| {
            let (own, _) = releases(scene)?;
            scene.nothing_pending()?;
            scene.shell("dpkg -i /srv/kernels/rebuilt/*.deb >/dev/null 2>&1")?;
            let said = scene.run(&[])?;
            let rebuilt = rebuilt_version(scene)?;
            said.ends(0)?.says(&[&format!("kernel {own} is installed as {rebuilt}"), "nothing found"])?;
            Ok(())
        }),
        of_kernels("an upgrade builds the kernel anew, and the boot loader starts a copy of the one before", |scene| {
            let (own, _) = releases(scene)?;
            let version = scene.shell("cat /proc/sys/kernel/version")?;
            boots(scene, &own, &format!("/boot/vmlinuz-{own}"), version.trim())?;
            scene.offer("/srv/kernels/rebuilt/*.deb")?;
            let rebuilt = rebuilt_version(scene)?;
            scene.run(&[])?.ends(23)?.says(&[&format!("kernel {own} runs as"), &format!("{rebuilt} was expected")])?;
            Ok(())
        }),
        of_kernels("GRUB's default is pinned to the kernel that runs, and a newer one comes", |scene| {
            let (own, newer) = releases(scene)?;
            let entry = format!("Advanced options for Debian GNU/Linux>Debian GNU/Linux, with Linux {own}");
            scene.write("/etc/default/grub", &format!("GRUB_DEFAULT='{entry}'\nGRUB_DISTRIBUTOR=Debian\n"))?;
            scene.shell("update-grub 2>/dev/null")?;
            boots(scene, &own, &format!("/boot/vmlinuz-{own}"), "")?;
            newer_comes(scene)?;
            scene.run(&[])?.ends(0)?.says(&[&newer, "will not be started", "nothing found"])?;
            Ok(())
        }),
        of_kernels("a newer kernel is tried once, by GRUB's environment, from inside the sandbox", |scene| {
            let (own, newer) = releases(scene)?;
            scene.write("/etc/default/grub", "GRUB_DEFAULT=saved\nGRUB_DISTRIBUTOR=Debian\n")?;
            scene.shell("update-grub 2>/dev/null")?;
            newer_comes(scene)?;
            scene.run(&[])?.ends(0)?.says(&[
                &format!("kernel {newer} is tried once; {own} stays the default until the verification"),
                "nothing found",
            ])?;
            // The environment was written, and nothing of the trial is left in it: there was no saved entry before.
            let left = scene.shell("grub-editenv /boot/grub/grubenv list")?;
            ensure!(!left.contains("entry="), "GRUB still has {left}");
            Ok(())
        })
        .settings("[verify]\nsettle = \"1s\"\non-failure = \"previous-kernel\"\n"),
        of_kernels("GRUB's saved entry is that of the kernel that runs, and a newer one is installed", |scene| {
            let (own, _) = releases(scene)?;
            another(scene, "6.1.0-99-cloud-amd64")?;
            scene.nothing_pending()?;
            scene.write("/etc/default/grub", "GRUB_DEFAULT=saved\nGRUB_DISTRIBUTOR=Debian\n")?;
            scene.write("/boot/grub/grubenv", "")?;
            scene.shell("rm /boot/grub/grubenv; update-grub 2>/dev/null; grub-set-default '1>2'")?;
            scene.undo("update-grub 2>/dev/null");
            scene.plan(&[])?.ends(0)?.says(&["6.1.0-99-cloud-amd64", "will not be started", "the saved entry"])?;
            scene.run(&[])?.ends(0)?.says_not(&["reboot requested"])?;
            let _ = own;
            Ok(())
        })
        .sharing("boots"),
        of_kernels("the kernel that runs comes from outside: no file of this host is it", |scene| {
            runs(scene, "6.6.30-hypervisor", "", "#1 SMP Fri May 1 2026")?;
            newer_comes(scene)?;
            scene.plan(&[])?.ends(0)?.says(&["comes from outside"])?;
            Ok(())
        })
        .sharing("boots"),
        of_kernels("the package of the kernel that runs was purged, and an older one is left", |scene| {
            let (own, _) = releases(scene)?;
            runs(scene, "6.1.0-99-cloud-amd64", "/boot/vmlinuz-6.1.0-99-cloud-amd64", "")?;
            scene.run(&[])?.ends(20)?.says(&[&format!("the next boot would bring the older kernel {own}")])?;
            Ok(())
        })
        .sharing("boots"),
        of_kernels("somebody keeps a copy of the kernel as vmlinuz-….bak, and GRUB takes it first", |scene| {
            let (own, _) = releases(scene)?;
            scene.shell(&format!("cp /boot/vmlinuz-{own} /boot/vmlinuz-{own}.bak; update-grub 2>/dev/null"))?;
            scene.undo(format!("rm /boot/vmlinuz-{own}.bak; update-grub 2>/dev/null"));
            scene.plan(&[])?.says(&["bak"])?;
            Ok(())
        })
        .sharing("boots"),
        of_kernels("two flavours, and GRUB's first entry is of the other one", |scene| {
            another(scene, "6.1.0-99-amd64")?;
            scene.run(&[])?.ends(0)?.says(&["6.1.0-99-amd64 runs, as expected", "nothing found"])?;
            Ok(())
        })
        .settings("[reboot]\nwhen = \"always\"\n"),
        of_kernels("systemd-boot starts unified images, and an old menu of GRUB's is left", |scene| {
            let (own, _) = releases(scene)?;
            runs(scene, &own, "", "")?;
            scene.undo("umount /sys/firmware; rm -rf /boot/efi/EFI");
            scene.shell(&format!(
                "mount -t tmpfs none /sys/firmware; mkdir -p /sys/firmware/efi/efivars /boot/efi/EFI/Linux; \
                 printf '\\6\\0\\0\\0s\\0d\\0\\0\\0' \
                 >/sys/firmware/efi/efivars/LoaderInfo-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f; \
                 cp /boot/vmlinuz-{own} /boot/efi/EFI/Linux/debian-{own}.efi"
            ))?;
            newer_comes(scene)?;
            scene.plan(&[])?.says(&["systemd-boot"])?.says_not(&["GRUB"])?;
            Ok(())
        })
        .sharing("boots"),
        of_kernels("GRUB's menu has no entry for the newest kernel, and a newer one comes", |scene| {
            another(scene, "6.1.0-55-cloud-amd64")?;
            scene.shell("sed -i 's/6.1.0-55-cloud-amd64/6.1.0-1-cloud-amd64/' /boot/grub/grub.cfg")?;
            newer_comes(scene)?;
            scene.plan(&[])?.ends(20)?.says(&["GRUB has no entry for 6.1.0-55-cloud-amd64", "update-grub"])?;
            Ok(())
        })
        .sharing("boots"),
    ]
}

/// Nothing of it needs a kernel.
fn of_places(name: &str, act: impl Fn(&Scene<'_>) -> Result<()> + Send + Sync + 'static) -> Situation {
    Situation::new(name, act).sharing("quick")
}

/// A package of three megabytes in one file is installed below a mount point, and a newer version of it is pending.
fn on_own_file_system(scene: &Scene<'_>, options: &str) -> Result<()> {
    scene.undo("umount /opt");
    scene.shell(&format!("mkdir -p /opt; mount -t tmpfs -o {options} none /opt"))?;
    let package = |version: &str| {
        let package = Package::new("lab-data", version).field("Installed-Size: 3072");
        package.file("/opt/lab-data", version.repeat(3 << 20))
    };
    scene.install(&package("1"))?;
    scene.publish(&package("2"))
}

fn places() -> Vec<Situation> {
    vec![
        of_kernels("/boot is in /etc/fstab with noauto, is not mounted, and a kernel comes", |scene| {
            scene.write("/etc/fstab", "/dev/vda2 /boot ext4 noauto 0 2\n")?;
            newer_comes(scene)?;
            scene.run(&[])?.ends(20)?.says(&["/boot: /dev/vda2 is to be mounted there, and is not"])?;
            Ok(())
        })
        .sharing("boots"),
        of_kernels("/boot is mounted read-only, and a kernel comes", |scene| {
            scene.shell("mount --bind /boot /boot; mount -o remount,bind,ro /boot")?;
            scene.undo("umount /boot");
            newer_comes(scene)?;
            scene.run(&[])?.ends(20)?.says(&["/boot:", "is mounted read-only"])?;
            Ok(())
        })
        .sharing("boots"),
        of_places("a package lies on a small file system of its own, and has no room there beside itself", |scene| {
            on_own_file_system(scene, "size=5m")?;
            let says = "/opt: 2 MiB free, 5 MiB wanted for what the upgrade puts there";
            scene.run(&[])?.ends(20)?.says(&["disk-space", says])?;
            Ok(())
        }),
        of_places("a package lies on a file system of its own that has no inode left", |scene| {
            on_own_file_system(scene, "size=50m,nr_inodes=2")?;
            scene.run(&[])?.ends(20)?.says(&["inodes", "/opt: 0 of 2 inodes free, 5 wanted"])?;
            Ok(())
        }),
        of_kernels("/boot is mounted read-only, and no kernel comes", |scene| {
            scene.shell("mount --bind /boot /boot; mount -o remount,bind,ro /boot")?;
            scene.undo("umount /boot");
            scene.run(&[])?.ends(0)?.says(&["is mounted read-only", "nothing found"])?;
            Ok(())
        })
        .settings("[reboot]\nwhen = \"never\"\n")
        .sharing("boots"),
    ]
}
