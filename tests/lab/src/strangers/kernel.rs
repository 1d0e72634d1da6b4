//! Kernels, modules, and the places that their packages write to.

use super::{Package, Situation};

pub(super) fn situations() -> Vec<Situation> {
    vec![
        Situation::new("a kernel of somebody's own was installed, without its modules", |scene| {
            let kernel = Package::new("linux-image-9.9.9-lab", "1").file("/boot/vmlinuz-9.9.9-lab", "not a real one");
            scene.install(&kernel)?;
            scene.plan(&[])?.ends(20)?.says(&["kernel-complete", "9.9.9-lab"])?;
            Ok(())
        })
        .sharing("quick"),
    ]
}
