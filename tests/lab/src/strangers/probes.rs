//! Probes of readiness that never worked, or that hurt.

use super::Situation;

pub(super) fn situations() -> Vec<Situation> {
    vec![
        Situation::new("a probe of a page that is there", |scene| {
            let page = format!("http://127.0.0.1:{}/", scene.machine().api_port());
            let text = scene.machine().read_file("/etc/patchday/patchday.toml")?;
            scene.configure(&text.replace(&format!("{page}health"), &page))?;
            scene.run(&[])?.ends(0)?.says(&["nothing found"])?;
            Ok(())
        })
        .settings("[reboot]\nwhen = \"never\"\n")
        .sharing("quick"),
    ]
}
