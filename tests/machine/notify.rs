//! On a real machine: the timer starts a run, nobody is there, and those who wait are told. See `docs/testing.md`.
use std::time::Duration;

use crate::on_machine::{CONFIG, assert_in_service, json, machine_with_patchday, patchday, run_that_reboots};
use patchday_lab::sink::{Mail, MailSink, WebSink};
use patchday_lab::{Machine, Suite, wait_for};

const SECRET: &str = "T0K3N";
const METRICS: &str = "/var/lib/node-exporter/patchday.prom";

fn configure(machine: &Machine, mail: u16, dead_port: u16) {
    let run_that_reboots = run_that_reboots(machine);
    let text = format!(
        r#"
{run_that_reboots}
[[notify]]
kind = "mail"
to = ["ops@example.org"]
server = "127.0.0.1:{mail}"
security = "plain"

[[notify]]
kind = "webhook"
template = "slack"
url-file = "/etc/patchday/slack.url"

[[notify]]
kind = "ping"
url-credential = "patchday-ping"

[[notify]]
kind = "metrics"
file = "{METRICS}"

[[notify]]
kind = "motd"

[[notify]]
kind = "wall"

[[notify]]
kind = "mail"
to = ["nobody@example.org"]
server = "127.0.0.1:{dead_port}"
security = "plain"
when = "change"
retry-for = "5s"
"#
    );
    machine.write_file(CONFIG, &text).unwrap();
}

fn secret(machine: &Machine, path: &str, url: &str) {
    machine.write_file(path, &format!("{url}\n")).unwrap();
    machine.exec_ok(&["chmod", "0600", path]).unwrap();
}

fn subject(mail: &Mail) -> String {
    mail.text.lines().find_map(|line| line.strip_prefix("Subject: ")).unwrap_or_default().to_owned()
}

#[test]
fn the_timer_starts_it_nobody_is_there_and_the_report_arrives() {
    let machine = machine_with_patchday(Suite::Bookworm, "unattended");
    let (mails, web) = (MailSink::start().unwrap(), WebSink::start().unwrap());
    // Bound and dropped: nobody listens there.
    let dead_port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    machine.exec_ok(&["mkdir", "-p", "/etc/patchday", "/var/lib/node-exporter", "/etc/credstore"]).unwrap();
    secret(&machine, "/etc/patchday/slack.url", &format!("http://127.0.0.1:{}/services/{SECRET}", web.port));
    secret(&machine, "/etc/credstore/patchday-ping", &format!("http://127.0.0.1:{}/ping/{SECRET}", web.port));
    configure(&machine, mails.port, dead_port);

    // Every way is tried, and what does not work is said.
    let tried = patchday(&machine, &["notify", "--test"]);
    assert_eq!(tried.code(), Some(1), "{tried:?}");
    assert_eq!(tried.stdout.matches(": sent").count(), 4, "{}", tried.stdout);
    assert!(tried.stdout.contains(&format!("mail to nobody@example.org through 127.0.0.1:{dead_port}: ")), "{tried:?}");
    assert_eq!((mails.mails().len(), web.requests().len()), (1, 2));

    // The timer as it is shipped, set to fire soon and once. Nobody is logged in, and no terminal is near.
    let soon = machine.exec_ok(&["date", "--utc", "--date", "+5 seconds", "+%F %T UTC"]).unwrap();
    let drop_in = format!("[Timer]\nOnCalendar=\nOnCalendar={soon}RandomizedDelaySec=0\nAccuracySec=1s\n");
    machine.exec_ok(&["mkdir", "-p", "/etc/systemd/system/patchday.timer.d"]).unwrap();
    machine.write_file("/etc/systemd/system/patchday.timer.d/soon.conf", &drop_in).unwrap();
    machine.exec_ok(&["systemctl", "daemon-reload"]).unwrap();
    let boot = machine.boot_id().unwrap();
    machine.exec_ok(&["systemctl", "enable", "--now", "patchday.timer"]).unwrap();
    machine
        .wait_for_reboot(&boot, Duration::from_secs(540))
        .unwrap_or_else(|error| panic!("{error}\n{}\n{}", machine.journal(), patchday(&machine, &["report"]).stdout));
    wait_for("the end of the run", Duration::from_secs(300), || {
        Ok((!machine.exists("/var/lib/patchday/open-run")?).then_some(()))
    })
    .unwrap();
    assert_in_service(&machine);

    let report = json(&machine, &["report", "--json"]);
    assert_eq!(report["verdict"], "healthy", "{report:#}");
    assert_eq!(report["trigger"], "unattended");
    // A notifier that fails changes neither verdict nor exit code, and is named.
    assert_eq!(report["exit_code"], 0);
    let failed: Vec<&str> = report["notifications"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|told| !told["problem"].is_null())
        .map(|told| told["channel"].as_str().unwrap())
        .collect();
    assert!(failed.len() == 2 && failed.iter().all(|channel| channel.contains("nobody@example.org")), "{failed:?}");
    let text = machine.exec_ok(&["sh", "-c", "cat /var/lib/patchday/runs/*/report.txt"]).unwrap();
    assert!(text.contains("mail to nobody@example.org"), "{text}");

    let mails = mails.mails();
    for mail in &mails {
        println!("--- mail to {}\n{}", mail.to.join(", "), mail.text.split("report.html").next().unwrap());
    }
    let subjects: Vec<String> = mails.iter().skip(1).map(subject).collect();
    assert_eq!(subjects.len(), 2, "{subjects:?}");
    assert!(subjects[0].contains("patch run begins"), "{subjects:?}");
    assert!(subjects[1].contains("healthy"), "{subjects:?}");
    assert!(mails.iter().all(|mail| mail.to == ["ops@example.org"]));
    assert!(mails[2].text.contains("report.html"), "the page goes with it");

    let requests = web.requests();
    for request in &requests {
        println!("--- POST {}\n{}", request.path, request.body);
    }
    let paths: Vec<&str> = requests.iter().skip(2).map(|request| request.path.as_str()).collect();
    let (slack, ping) = (format!("/services/{SECRET}"), format!("/ping/{SECRET}"));
    assert_eq!(paths, [slack.clone(), format!("{ping}/start"), slack, ping]);
    assert!(requests[4].body.contains("back and healthy"), "{}", requests[4].body);

    let metrics = machine.read_file(METRICS).unwrap();
    println!("--- {METRICS}\n{metrics}");
    assert!(metrics.contains("patchday_run_verdict{verdict=\"healthy\"} 1\n"), "{metrics}");
    assert!(metrics.contains("patchday_run_exit_code 0\n"), "{metrics}");
    let motd = machine.read_file("/etc/motd.d/patchday").unwrap();
    println!("--- /etc/motd.d/patchday\n{motd}");
    assert!(motd.contains("back and healthy"), "{motd}");

    // The way to the chat is a secret, and stays one.
    let leaks =
        format!("journalctl --no-pager | grep -c {SECRET}; grep -rlI {SECRET} /var/lib/patchday /run /etc/motd.d");
    let leaks = machine.exec(&["sh", "-c", &leaks]).unwrap();
    assert_eq!(leaks.stdout.trim(), "0", "{leaks:?}");
}
