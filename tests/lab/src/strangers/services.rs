//! Services and units: what a stop takes along, what is "up", what starts again.

use super::Situation;

pub(super) fn situations() -> Vec<Situation> {
    vec![
        Situation::new("nothing is strange: one update, no reboot", |scene| {
            scene.plan(&[])?.ends(0)?.says(&["stop sample-api.service → mongod.service"])?;
            scene.run(&[])?.ends(0)?.says(&["1 package upgraded", "nothing found"])?;
            Ok(())
        })
        .settings("[reboot]\nwhen = \"never\"\n")
        .sharing("quick")
        .in_check(),
    ]
}
