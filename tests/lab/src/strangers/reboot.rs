//! The reboot: whether it is owed, asked for, and comes.

use super::Situation;

pub(super) fn situations() -> Vec<Situation> {
    vec![
        Situation::new("nothing is strange: one update, and a reboot", |scene| {
            scene.run(&[])?.ends(0)?.says(&["1 package upgraded, back after", "nothing found"])?;
            Ok(())
        })
        .settings("[reboot]\nwhen = \"always\"\n"),
    ]
}
