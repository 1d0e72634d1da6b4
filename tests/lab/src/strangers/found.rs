//! What `patchday init` finds on a host with the servers of other people.

use super::services::NO_REBOOT;
use super::{BACK, Situation};
use crate::wait::wait_for;
use anyhow::bail;

const SERVERS: &str = "apt-get update --quiet --error-on=any\n\
                       apt-get install --yes --no-install-recommends postgresql mariadb-server redis-server nginx-light \
                       php-fpm openssh-server";

/// A web application of somebody's own: it keeps a connection to Redis, and serves a page.
const WEB: &str = r#"<?php
$redis = pfsockopen("127.0.0.1", 6379);
fwrite($redis, "PING\r\n");
echo fgets($redis);
"#;

const WEB_UNIT: &str = "[Unit]\nAfter=postgresql.service\n\
                        [Service]\nExecStart=/usr/bin/php -S 127.0.0.1:18090 -t /srv/web\nRestart=on-failure\n\
                        [Install]\nWantedBy=multi-user.target\n";

/// The page is asked once, so that it is connected.
const ASK: &str =
    "bash -ec 'exec 3<>/dev/tcp/127.0.0.1/18090; printf \"GET / HTTP/1.0\\r\\n\\r\\n\" >&3; grep -q PONG <&3'";

const UNITS: [&str; 8] = [
    "mongod.service",
    "sample-api.service",
    "postgresql@15-main.service",
    "mariadb.service",
    "redis-server.service",
    "php8.2-fpm.service",
    "shop.service",
    "nginx.service",
];

pub(super) fn situations() -> Vec<Situation> {
    vec![
        Situation::new("PostgreSQL, MariaDB, Redis, nginx, PHP-FPM and a web unit by hand: init, and a run", |scene| {
            scene.shell("mkdir -p /srv/web")?;
            scene.write("/srv/web/index.php", WEB)?;
            scene.unit("shop.service", WEB_UNIT)?;
            scene.shell("systemctl enable --now shop.service 2>/dev/null")?;
            wait_for("the page", BACK, || Ok(scene.shell(ASK).ok()))?;
            scene.patchday(&["init", "--force"])?.ends(0)?.says(&[
                "ssh.service: the way into this host",
                "postgresql.service: it has no process; postgresql@15-main.service does the work",
            ])?;
            let written = scene.patchday(&["init", "--stdout"])?;
            written.ends(0)?.says(&[
                "It held 1 connection to redis-server.service. Its unit is ordered after postgresql@15-main.service.",
                "after = [\"redis-server.service\", \"postgresql@15-main.service\"]",
                "after = [\"php8.2-fpm.service\", \"sample-api.service\", \"shop.service\"]",
                "url = \"http://127.0.0.1:18090/health\"",
                "url = \"http://127.0.0.1:80/\"",
                "address = \"127.0.0.1:5432\"",
                "MariaDB counts a connection without a login as an error",
            ])?;
            for unit in UNITS {
                written.says(&[&format!("unit = \"{unit}\"")])?;
            }
            let lab = "[verify]\nsettle = \"3s\"\n[preflight]\nallow = [\"boot-space\"]\n";
            let text = scene.machine().read_file("/etc/patchday/patchday.toml")?;
            scene.configure(&format!("{text}\n{lab}{NO_REBOOT}"))?;
            scene.plan(&[])?.ends(0)?;
            scene.run(&[])?.ends(0)?.says(&["1 package upgraded", "nothing found"])?;
            // None of the probes was one that its server takes for a fault.
            let told = "journalctl --boot --quiet --no-pager --unit mariadb --unit redis-server --unit 'postgresql@*'; \
                        cat /var/log/postgresql/*.log /var/log/redis/*.log";
            let complaints =
                scene.shell(&format!("{{ {told}; }} | grep -iE 'aborted|invalid|incomplete|unknown command' || :"))?;
            match complaints.is_empty() {
                true => Ok(()),
                false => bail!("a probe is told as a fault:\n{complaints}"),
            }
        })
        .image(SERVERS)
        .units(&UNITS),
    ]
}
