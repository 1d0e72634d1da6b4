//! The world around the run: locks, other people's apt, clocks, room, the network.

use super::Situation;

pub(super) fn situations() -> Vec<Situation> {
    vec![
        Situation::new("somebody has a shutdown scheduled", |scene| {
            scene.shell("shutdown -r +60 2>/dev/null")?;
            scene.undo("shutdown -c 2>/dev/null");
            scene.run(&[])?.ends(20)?.says(&["a reboot is scheduled", "shutdown -c"])?;
            Ok(())
        })
        .sharing("quick"),
        Situation::new("there is no room for the state", |scene| {
            scene.shell("mkdir -p /var/lib/patchday; mount -t tmpfs -o size=16k none /var/lib/patchday")?;
            scene.undo("umount /var/lib/patchday");
            scene.run(&[])?.ends(10)?.says(&["there is no room for a run: /var/lib/patchday", "df -h"])?;
            Ok(())
        })
        .sharing("quick"),
    ]
}
