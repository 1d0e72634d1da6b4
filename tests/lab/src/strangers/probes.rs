//! Probes of readiness that never worked, or that hurt.

use super::services::NO_REBOOT;
use super::{Scene, Situation};
use anyhow::Result;

/// Takes the request, so that the answer is not cut off by it.
const TAKE_REQUEST: &str = "#!/bin/sh\nwhile read -r line; do [ \"${#line}\" -gt 1 ] || break; done\n";

/// The API has this probe.
fn probed(scene: &Scene<'_>, probe: &str) -> Result<()> {
    let text = scene.machine().read_file("/etc/patchday/patchday.toml")?;
    let own = format!("probe = \"http\"\nurl = \"http://127.0.0.1:{}/health\"", scene.machine().api_port());
    scene.configure(&text.replace(&own, probe))
}

/// A page that this script answers with, and its address.
fn page(scene: &Scene<'_>, script: &str) -> Result<String> {
    let address = format!("127.0.0.1:{}", scene.machine().api_port() + 4000);
    scene.write_program("/usr/local/sbin/lab-page", &format!("{TAKE_REQUEST}{script}"))?;
    scene.unit(
        "lab-page@.service",
        "[Unit]\nStartLimitIntervalSec=0\n[Service]\nType=oneshot\nExecStart=-/usr/local/sbin/lab-page\nStandardInput=socket\n",
    )?;
    let limits = "TriggerLimitIntervalSec=0\nMaxConnections=64\n";
    scene.unit("lab-page.socket", &format!("[Socket]\nListenStream={address}\nAccept=yes\n{limits}"))?;
    scene.start("lab-page.socket")?;
    Ok(format!("http://{address}/"))
}

pub(super) fn situations() -> Vec<Situation> {
    vec![
        Situation::new("a probe of a page that is there", |scene| {
            let page = format!("http://127.0.0.1:{}/", scene.machine().api_port());
            let text = scene.machine().read_file("/etc/patchday/patchday.toml")?;
            scene.configure(&text.replace(&format!("{page}health"), &page))?;
            scene.run(&[])?.ends(0)?.says(&["nothing found"])?;
            Ok(())
        })
        .settings(NO_REBOOT)
        .sharing("quick"),
        Situation::new("a probe of a page that was never there", |scene| {
            let page = format!("http://127.0.0.1:{}/nothing-here", scene.machine().api_port());
            probed(scene, &format!("probe = \"http\"\nurl = \"{page}\""))?;
            scene.plan(&[])?.says(&["its probe does not succeed", "status 404"])?;
            scene.run(&[])?.ends(20)?.says(&["its probe does not succeed"])?;
            scene.run(&["--allow", "readiness"])?.ends(0)?.says(&["as before the run"])?;
            Ok(())
        })
        .settings(NO_REBOOT)
        .sharing("quick")
        .in_check(),
        Situation::new("a probe that is turned away when it asks too often", |scene| {
            let page = page(
                scene,
                "now=$(date +%s)\nread -r then count </run/lab-page || { then=0; count=0; }\n\
                 [ \"$now\" = \"$then\" ] && count=$((count + 1)) || count=1\necho \"$now $count\" >/run/lab-page\n\
                 status='200 OK'\n[ \"$count\" -le 10 ] || status='429 Too Many Requests'\n\
                 printf 'HTTP/1.1 %s\\r\\nConnection: close\\r\\nContent-Length: 0\\r\\n\\r\\n' \"$status\"\n",
            )?;
            probed(scene, &format!("probe = \"http\"\nurl = \"{page}\""))?;
            scene.run(&[])?.ends(0)?.says(&["nothing found"])?;
            Ok(())
        })
        .settings(NO_REBOOT)
        .sharing("quick"),
        Situation::new("a page without an end, whose first words are what is wanted", |scene| {
            let page = page(
                scene,
                "printf 'HTTP/1.1 200 OK\\r\\nContent-Type: text/event-stream\\r\\n\\r\\ndata: ready\\n\\n'\nexec sleep 30\n",
            )?;
            probed(scene, &format!("probe = \"http\"\nurl = \"{page}\"\nbody = \"ready\""))?;
            scene.run(&[])?.ends(0)?.says(&["nothing found"])?;
            Ok(())
        })
        .settings(NO_REBOOT)
        .sharing("quick"),
    ]
}
