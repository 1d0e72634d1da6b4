//! Root, and what belongs to others.

use super::Situation;

pub(super) fn situations() -> Vec<Situation> {
    vec![
        Situation::new("a hook lies in a directory that anybody may write to", |scene| {
            scene.shell("mkdir -p -m 0777 /srv/open")?;
            scene.write_program("/srv/open/hook", "#!/bin/sh\ntouch /srv/hook-ran\n")?;
            scene.run(&[])?.ends(20)?.says(&["hooks-trusted", "/srv/open"])?;
            anyhow::ensure!(!scene.machine().exists("/srv/hook-ran")?, "the hook ran");
            Ok(())
        })
        .settings("[reboot]\nwhen = \"never\"\n\n[[hook]]\npoint = \"before-stop\"\ncommand = [\"/srv/open/hook\"]\n")
        .sharing("quick"),
    ]
}
