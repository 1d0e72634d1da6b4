//! The database: which process it is, and what a clean end is.

use super::Situation;

pub(super) fn situations() -> Vec<Situation> {
    vec![
        Situation::new("mongod does not answer any more", |scene| {
            scene.machine().freeze("mongod.service")?;
            scene.undo("systemctl kill --signal=SIGCONT mongod.service");
            scene.run(&[])?.ends(20)?.says(&["mongod.service"])?;
            scene.machine().thaw("mongod.service")
        })
        .settings("[reboot]\nwhen = \"never\"\n")
        .sharing("quick"),
    ]
}
