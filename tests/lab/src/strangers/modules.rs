//! Modules that the real DKMS builds, or does not.

use super::kernel::{KERNELS, newer_comes, releases};
use super::{Scene, Situation};
use anyhow::{Result, bail};

/// A module that DKMS knows, with a line of its `dkms.conf`.
fn module(scene: &Scene<'_>, name: &str, version: &str, line: &str) -> Result<()> {
    scene.undo(format!("dkms remove {name}/{version} --all >/dev/null || true; rm -rf /usr/src/{name}-{version}"));
    scene.machine().exec_ok(&["lab-module", name, version, line]).map(drop)
}

/// The same, and the kernel of the image has it.
fn installed(scene: &Scene<'_>, name: &str, version: &str, line: &str) -> Result<()> {
    module(scene, name, version, line)?;
    scene.shell(&format!("dkms install {name}/{version} -k $(cat /srv/kernels/release) >/dev/null 2>&1")).map(drop)
}

fn status(scene: &Scene<'_>) -> Result<String> {
    scene.shell("dkms status 2>/dev/null")
}

const AUTOINSTALL: &str = "AUTOINSTALL=\"yes\"";

/// A host with nothing to upgrade and a module that is nobody's need: nothing is done, and DKMS is left as it is.
fn is_no_need(name: &str, make: impl Fn(&Scene<'_>) -> Result<()> + Send + Sync + 'static) -> Situation {
    Situation::new(name, move |scene| {
        scene.nothing_pending()?;
        make(scene)?;
        let before = status(scene)?;
        scene.plan(&[])?.ends(0)?.says(&["nothing to upgrade"])?;
        let said = scene.run(&[])?;
        said.ends(0)?.says(&["nothing to do", "no service was stopped"])?;
        match status(scene)? == before {
            true => Ok(()),
            false => bail!("DKMS said {before}, and says {}", status(scene)?),
        }
    })
    .image(KERNELS)
    .sharing("modules")
}

pub(super) fn situations() -> Vec<Situation> {
    vec![
        is_no_need("nothing to upgrade, and a module that BUILD_EXCLUSIVE_KERNEL excludes", |scene| {
            module(scene, "lab_old", "1", "AUTOINSTALL=\"yes\"\nBUILD_EXCLUSIVE_KERNEL=\"^5\\..*\"")
        }),
        is_no_need("nothing to upgrade, and a module without AUTOINSTALL", |scene| {
            module(scene, "lab_byhand", "1", "")
        }),
        is_no_need("nothing to upgrade, and a module whose source is gone", |scene| {
            module(scene, "lab_gone", "1", AUTOINSTALL)?;
            scene.undo("rm -rf /var/lib/dkms/lab_gone");
            scene.shell("rm -rf /usr/src/lab_gone-1").map(drop)
        }),
        is_no_need("nothing to upgrade, and two versions of a module, the newer one installed", |scene| {
            module(scene, "lab_two", "1", AUTOINSTALL)?;
            installed(scene, "lab_two", "2", AUTOINSTALL)
        }),
        is_no_need("nothing to upgrade, and two versions of a module, the older one installed", |scene| {
            installed(scene, "lab_two", "1", AUTOINSTALL)?;
            module(scene, "lab_two", "2", AUTOINSTALL)
        }),
        is_no_need("nothing to upgrade, and a module that is installed for another flavour", |scene| {
            module(scene, "lab_flavour", "1", AUTOINSTALL)?;
            let other = "6.1.0-50-other";
            scene.undo(format!("rm -rf /usr/lib/modules/{other}"));
            scene
                .shell(&format!(
                    "own=$(cat /srv/kernels/release); mkdir /usr/lib/modules/{other}; \
                     dkms install lab_flavour/1 -k {other} --kernelsourcedir=/usr/lib/modules/$own/build \
                     >/dev/null 2>&1"
                ))
                .map(drop)
        }),
        Situation::new("a kernel comes, and the module that the running one has takes no such kernel", |scene| {
            let (own, newer) = releases(scene)?;
            installed(scene, "lab_strict", "1", &format!("AUTOINSTALL=\"yes\"\nBUILD_EXCLUSIVE_KERNEL=\"^{own}$\""))?;
            newer_comes(scene)?;
            scene.run(&[])?.ends(20)?.says(&["lab_strict/1", &newer, "BUILD_EXCLUSIVE_KERNEL", "optional-modules"])?;
            Ok(())
        })
        .image(KERNELS)
        .sharing("modules"),
        Situation::new("a kernel comes without its headers, and the running one has a module", |scene| {
            let (_, newer) = releases(scene)?;
            installed(scene, "lab_driver", "1", AUTOINSTALL)?;
            scene.undo("apt-get -qq -y install linux-headers-cloud-amd64 >/dev/null 2>&1 || true");
            scene.shell("dpkg --purge linux-headers-cloud-amd64 2>/dev/null")?;
            scene.offer("/srv/kernels/newer/linux-image-*.deb")?;
            scene
                .run(&[])?
                .ends(20)?
                .says(&[&format!("no headers of {newer}, for lab_driver/1"), "apt-get install linux-headers-"])?;
            Ok(())
        })
        .image(KERNELS)
        .sharing("modules"),
        Situation::new("a kernel comes, and DKMS builds the module of the one that runs", |scene| {
            let (_, newer) = releases(scene)?;
            installed(scene, "lab_driver", "1", AUTOINSTALL)?;
            newer_comes(scene)?;
            scene.run(&[])?.ends(0)?.says(&[&format!("{newer} runs, as expected"), "nothing found"])?;
            is_installed(scene, "lab_driver/1", &newer)
        })
        .image(KERNELS),
        Situation::new("a kernel comes, its scripts build no module (no-autoinstall), and the run does", |scene| {
            let (_, newer) = releases(scene)?;
            installed(scene, "lab_driver", "1", AUTOINSTALL)?;
            module(scene, "lab_driver", "2", AUTOINSTALL)?;
            module(scene, "lab_broken", "1", "AUTOINSTALL=\"yes\"\nMAKE[0]=\"false\"")?;
            scene.write("/etc/dkms/no-autoinstall", "")?;
            newer_comes(scene)?;
            scene.run(&[])?.ends(0)?.says(&["lab_driver/1", "nothing found"])?;
            is_installed(scene, "lab_driver/1", &newer)
        })
        .image(KERNELS),
    ]
}

fn is_installed(scene: &Scene<'_>, module: &str, release: &str) -> Result<()> {
    let said = status(scene)?;
    match said.lines().any(|line| line.starts_with(&format!("{module}, {release},")) && line.contains(": installed")) {
        true => Ok(()),
        false => bail!("{module} is not installed for {release}: {said}"),
    }
}
