//! Packages and their scripts, apt's settings and hooks.

use super::Situation;

pub(super) fn situations() -> Vec<Situation> {
    vec![
        Situation::new("a package's script fails", |scene| {
            scene.update_has("postinst", "#!/bin/sh\necho the disk of the licence server is full >&2\nexit 3\n")?;
            scene.run(&[])?.ends(21)?.says(&["lab-update"])?;
            // Services come first; dpkg is for the admin to finish.
            scene.machine().wait_until_healthy(std::time::Duration::from_secs(10))
        })
        .settings("[reboot]\nwhen = \"never\"\n")
        .ends_otherwise(),
    ]
}
