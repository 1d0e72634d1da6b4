//! `patchday config` as a person or a script meets it. It reads root's files only, so that root runs these.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use patchday::checks::labels;
use patchday::config::keys::KEYS;
use patchday::config::{Settings, parse};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::config::{fixtures, with_key};

/// A host with these files: an empty name is that of the file itself, any other that of a drop-in. None without root.
fn host(files: &[(&str, &str)]) -> Option<TempDir> {
    rustix::process::geteuid().is_root().then(|| {
        let directory = tempfile::tempdir().unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        files.iter().for_each(|(name, text)| write(&directory, name, text));
        directory
    })
}

fn path(host: &TempDir) -> PathBuf {
    host.path().join("patchday.toml")
}

fn write(host: &TempDir, name: &str, text: &str) {
    let drop_ins = host.path().join("patchday.toml.d");
    let path = if name.is_empty() { path(host) } else { drop_ins.join(name) };
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// What it says on stdout and on stderr, without the directory, and its exit code.
fn config(host: &TempDir, args: &[&str]) -> (String, String, i32) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_patchday"));
    command.env_clear().env("PATH", "/usr/bin:/bin").stdin(Stdio::null());
    said(host, &command.arg("--config").arg(path(host)).arg("config").args(args).output().unwrap())
}

fn said(host: &TempDir, output: &Output) -> (String, String, i32) {
    let told = |bytes: &[u8]| {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        text.replace(&format!("{}/", host.path().display()), "/etc/patchday/")
    };
    (told(&output.stdout), told(&output.stderr), output.status.code().unwrap())
}

#[track_caller]
fn data(host: &TempDir, args: &[&str]) -> String {
    let (out, err, code) = config(host, args);
    assert_eq!((err.as_str(), code), ("", 0), "{args:?}");
    out
}

const SITE: [(&str, &str); 3] = [
    (
        "",
        "[[service]]\nunit = \"mongod.service\"\nkind = \"mongodb\"\nstop-timeout = \"5m\"\n\n\
         [[service]]\nunit = \"api.service\"\nafter = [\"mongod.service\"]\n\n[upgrade]\nexclude = [\"docker-ce\"]\n",
    ),
    ("10-limits.toml", "[limits]\ncpu = \"25%\"\n\n[[blackout]]\nfrom = \"2026-12-20\"\nreason = \"a \\\"fair\\\"\"\n"),
    (
        "50-api.toml",
        "[[service]]\nunit = \"api.service\"\n\n[service.readiness]\nprobe = \"http\"\n\
         url = \"http://127.0.0.1:8080/health\"\nbody = \"\\u001b[31m \\t\\U000E0041\\\\\"\n\n[[notify]]\nkind = \"motd\"\n\n[upgrade]\nexclude = []\n",
    ),
];

#[test]
fn check_says_how_much_is_valid_and_what_is_not_read() {
    let Some(host) = host(&SITE) else { return };
    assert_eq!(data(&host, &["check"]), "3 files, 13 keys: valid\n");
    fs::remove_file(path(&host)).unwrap();
    write(&host, "10-limits.toml~", "");
    fs::remove_file(host.path().join("patchday.toml.d/50-api.toml")).unwrap();
    let told = "1 file, 3 keys: valid\n\
                note: /etc/patchday/patchday.toml is not there: only the drop-ins count\n\
                note: /etc/patchday/patchday.toml.d/10-limits.toml~ is not read: the name of a drop-in ends in .toml and \
                does not begin with a dot\n";
    assert_eq!(data(&host, &["check"]), told);
    let expected = json!({
        "format": 1,
        "valid": true,
        "files": ["/etc/patchday/patchday.toml.d/10-limits.toml"],
        "keys": 3,
        "ignored": ["/etc/patchday/patchday.toml.d/10-limits.toml~"],
        "problems": [],
    });
    assert_eq!(serde_json::from_str::<Value>(&data(&host, &["check", "--json"])).unwrap(), expected);
}

#[test]
fn check_tells_every_error_with_its_file_and_its_hint() {
    let Some(host) = host(&SITE) else { return };
    write(&host, "20-a.toml", "[limits]\ncpu = 25\n");
    write(&host, "30-b.toml", "[reboot]\nwhen = \"allways\"\ngrase = \"1m\"\n");
    let (out, err, code) = config(&host, &["check"]);
    assert_eq!((out.as_str(), code), ("", 2));
    let told = "error: /etc/patchday/patchday.toml.d/20-a.toml:2:7: [limits] cpu: expected a share from 1% to 100% in \
                quotes, found 25\n\
                hint: for example: cpu = \"25%\"\n\
                error: /etc/patchday/patchday.toml.d/30-b.toml:3:1: [reboot] grase: unknown key, expected one of when, \
                grace, force-after, least, restart-outdated\n\
                hint: did you mean \"grace\"?\n";
    assert_eq!(err, told);
    // Every other verb says the same, with the first hint.
    assert_eq!(config(&host, &["show"]).2, 2);
    let (out, err, code) = config(&host, &["check", "--json"]);
    let told: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((err.as_str(), code, &told["valid"], &told["keys"]), ("", 2, &json!(false), &json!(0)));
    let problem = json!({
        "file": "/etc/patchday/patchday.toml.d/20-a.toml",
        "line": 2,
        "column": 7,
        "key": "[limits] cpu",
        "message": "expected a share from 1% to 100% in quotes, found 25",
        "hint": "for example: cpu = \"25%\"",
    });
    assert_eq!((told["problems"].as_array().unwrap().len(), &told["problems"][0]), (2, &problem));
}

#[test]
fn show_says_what_counts_and_where_it_comes_from() {
    let Some(host) = host(&SITE) else { return };
    insta::assert_snapshot!("config_show", data(&host, &["show"]));
    insta::assert_snapshot!("config_show_changed", data(&host, &["show", "--changed"]));
    for (args, expected) in [
        (&["show", "report"][..], "[report]\nkeep = 24  # default\n"),
        (
            &["show", "limits.cpu", "limits.memory-high"],
            "[limits]\ncpu = \"25%\"    # /etc/patchday/patchday.toml.d/10-limits.toml:2\n# memory-high  # not set\n",
        ),
        (
            &["show", "service.stop-timeout"],
            "[[service]]\n\
             unit = \"mongod.service\"  # /etc/patchday/patchday.toml:2\n\
             stop-timeout = \"5m\"      # /etc/patchday/patchday.toml:4\n\n\
             [[service]]\n\
             unit = \"api.service\"     # /etc/patchday/patchday.toml.d/50-api.toml:2\n\
             stop-timeout = \"90s\"     # default\n",
        ),
        (&["show", "window"], "# nothing of it is set\n"),
        (&["show", "--changed", "reboot"], "# nothing of it is set\n"),
        (&["show", "silence.begin"], "# [silence]\n# begin  # not set\n"),
    ] {
        assert_eq!(data(&host, args), expected, "{args:?}");
    }
}

#[test]
fn show_tells_programs_the_value_and_its_place() {
    let Some(host) = host(&SITE) else { return };
    let told: Value =
        serde_json::from_str(&data(&host, &["show", "limits.cpu", "service.readiness.url", "--json"])).unwrap();
    let drop_in = |name: &str| format!("/etc/patchday/patchday.toml.d/{name}.toml");
    let row = |key: &str, entry: Option<u8>, value: Value, file: &str, line: u8| json!({ "key": key, "entry": entry, "value": value, "file": file, "line": line, "redacted": false });
    let main = "/etc/patchday/patchday.toml";
    let expected = json!({
        "format": 1,
        "files": [main, drop_in("10-limits"), drop_in("50-api")],
        "keys": [
            row("service.unit", Some(1), json!("mongod.service"), main, 2),
            json!({ "key": "service.readiness.url", "entry": 1, "value": null, "file": null, "line": null, "redacted": false }),
            row("service.unit", Some(2), json!("api.service"), &drop_in("50-api"), 2),
            row("service.readiness.url", Some(2), json!("http://127.0.0.1:8080/health"), &drop_in("50-api"), 6),
            row("limits.cpu", None, json!("25%"), &drop_in("10-limits"), 2),
        ],
    });
    assert_eq!(told, expected);
    // All of it: each key of a table that is there once, and each of an entry that has a value there.
    let all: Value = serde_json::from_str(&data(&host, &["show", "--json"])).unwrap();
    let keys: Vec<&str> = all["keys"].as_array().unwrap().iter().map(|row| row["key"].as_str().unwrap()).collect();
    let lists = ["service", "window", "blackout", "hook", "notify"];
    for key in KEYS.iter().filter(|key| !lists.contains(&key.table.split('.').next().unwrap())) {
        assert!(keys.contains(&key.dotted().as_str()), "{}", key.dotted());
    }
}

fn settings(text: &str) -> Settings {
    let labels: Vec<&str> = labels().collect();
    parse(text, Path::new("patchday.toml"), 2, &labels).unwrap_or_else(|error| panic!("{error}\n{text}")).settings
}

/// Whoever copies what is shown has the same settings: for each key, for whole files, and for a site of several files.
#[test]
fn what_is_shown_means_the_same() {
    let Some(host) = host(&[]) else { return };
    let elsewhere = tempfile::tempdir().unwrap();
    let secret = elsewhere.path().join("secret");
    fs::write(&secret, "mongodb://127.0.0.1").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    // Of a webhook's URL only the server is shown; see below.
    let with_secret = |line: &str| match (line.split_once("-file = \""), line.strip_prefix("url = \"http://")) {
        (Some((before, _)), _) => format!("{before}-file = \"{}\"\n", secret.display()),
        (None, Some(url)) => format!("url = \"http://{}\"\n", url.trim_end_matches('"').split('/').next().unwrap()),
        (None, None) => format!("{line}\n"),
    };
    let examples = KEYS.iter().map(|key| with_key(key.table, &format!("{} = {}", key.name, key.example)));
    // A query is not shown; see below.
    let files = fixtures("good").into_iter().map(|(_, text)| text.replace("?deep=1", "").replace("?tls=false", ""));
    for text in examples.chain(files).chain([EXAMPLE.to_owned()]) {
        let text: String = text.lines().map(with_secret).collect();
        write(&host, "", &text);
        let shown = data(&host, &["show"]);
        assert_eq!(settings(&shown), settings(&text), "{text}\n{shown}");
    }
    for (name, text) in SITE {
        write(&host, name, text);
    }
    let shown = data(&host, &["show"]);
    assert!(shown.contains(r#"body = "\u001B[31m \u0009\U000E0041\\""#), "{shown}");
    let (all, changed) = (settings(&shown), settings(&data(&host, &["show", "--changed"])));
    assert_eq!(all, changed);
    assert_eq!(all.limits.cpu_percent, 25);
}

/// Values that only some readers take, together.
const EXAMPLE: &str = "\
[[service]]
unit = \"mongod.service\"
kind = \"mongodb\"
mongodb = { uri-credential = \"patchday-mongodb\", canary = \"a.b\" }

[[blackout]]
from = \"2026-12-20 18:00\"
until = \"2026-12-21 06:00\"
reason = \"dinner\"

[preflight]
users-collection = \"shop.sessions\"

[[notify]]
kind = \"metrics\"

[[notify]]
kind = \"mail\"
to = [\"ops@example.org\", \"Ops <b@example.org>\"]
server = \"localhost:25\"
";

#[test]
fn no_secret_is_shown() {
    let text = "[preflight]\nusers-url = \"http://127.0.0.1/users?token=hunter2\"\n\
                [[hook]]\npoint = \"after-stop\"\ncommand = [\"/bin/true\", \"https://me:hunter2@example.org/x\"]\n";
    let Some(host) = host(&[("", text)]) else { return };
    let (told, note, code) = config(&host, &["show", "--changed"]);
    assert!(code == 0 && note.starts_with("note: 2 values may hold a secret"), "{note}");
    let expected = "[preflight]\n\
        # users-url = \"http://127.0.0.1/users?…\"              # /etc/patchday/patchday.toml:2, without what may be secret\n\n\
        [[hook]]\n\
        point = \"after-stop\"                                  # /etc/patchday/patchday.toml:4\n\
        # command = [\"/bin/true\", \"https://…@example.org/x\"]  # /etc/patchday/patchday.toml:5, without what may be secret\n";
    assert_eq!(told, expected);
    let (told, ..) = config(&host, &["show", "preflight.users-url", "--json"]);
    assert!(!told.contains("hunter2") && told.contains("\"redacted\": true"), "{told}");
    write(&host, "x.toml", "[preflight]\nusers-url = \"http://me:hunter2@127.0.0.1/\"\n");
    for args in [&["show"][..], &["check"], &["check", "--json"]] {
        let (out, err, code) = config(&host, args);
        assert!(code == 2 && !format!("{out}{err}").contains("hunter2"), "{out}{err}");
    }
}

/// Whoever mixes up two keys has the secret in the wrong one, and whoever forgets the quotes too.
#[test]
fn an_error_quotes_nothing_that_may_be_a_secret() {
    let mistakes = [
        "[[service]]\nunit = \"a.service\"\nkind = \"mongodb\"\n[service.mongodb]\nuri-credential = \"mongodb://u:hunter2@h\"",
        "[[service]]\nunit = \"a.service\"\nkind = \"mongodb\"\n[service.mongodb]\nuri-file = \"hunter2\"",
        "[[service]]\nunit = \"a.service\"\nkind = \"mongodb\"\n[service.mongodb]\ncanary = \"mongodb://u:hunter2@h\"",
        "[[service]]\nunit = \"https://u:hunter2@x/\"",
        "[[notify]]\nkind = \"mail\"\nto = [\"a@b.c\"]\nuser = \"u\"\nserver = \"h:25\"\npassword-file = \"hunter2\"",
        "[[notify]]\nkind = \"mail\"\nto = [\"a@b.c\"]\nuser = \"u\"\nserver = \"h:25\"\npassword-credential = \"hunter2!\"",
        "[[notify]]\nkind = \"mail\"\nto = [\"a@b.c\"]\nuser = \"u\"\nserver = \"h:25\"\npassword-file = hunter2",
        "[[notify]]\nkind = \"webhook\"\nurl-file = \"https://hooks.slack.com/services/T/hunter2\"",
        "[[notify]]\nkind = \"webhook\"\nurl = \"hooks.slack.com/services/T/hunter2\"",
        "[[notify]]\nkind = \"webhook\"\nurl = \"https://HOOKS.slack.com/services/T/hunter2\"",
        "[[notify]]\nkind = \"webhook\"\nurl = \"https://hooks%2eslack.com/services/T/hunter2\"",
        "[[notify]]\nkind = \"webhook\"\nurl = \"https:/x.example/hunter2\"",
        "[preflight]\nusers-url = \"https://x.example/ ?hunter2\"",
        "[limits]\ncpu = \"https://u:hunter2@x/\"",
        "[upgrade]\nexclude = [\"https://u:hunter2@x/\"]\nexclude-origins = [\"https://u:hunter2@x/\"]",
    ];
    for text in mistakes {
        let Some(host) = host(&[("", text)]) else { return };
        for args in [&["show"][..], &["check"], &["check", "--json"]] {
            let (out, err, code) = config(&host, args);
            assert!(code == 2 && !format!("{out}{err}").contains("hunter2"), "{text}: {out}{err}");
        }
    }
    let Some(host) =
        host(&[("", "[[notify]]\nkind = \"webhook\"\nurl = \"https://chat.example.org/hooks/hunter2\"\n")])
    else {
        return;
    };
    let (told, ..) = config(&host, &["show", "notify"]);
    assert!(told.contains("https://chat.example.org/…") && !told.contains("hunter2"), "{told}");
}

#[test]
fn a_key_that_is_not_known_is_told_with_what_was_meant() {
    let Some(host) = host(&SITE) else { return };
    for (name, hint) in [
        ("limits.cpus", "did you mean limits.cpu?"),
        ("upgrad", "did you mean upgrade?"),
        ("on-failure", "did you mean verify.on-failure?"),
        ("nonsense", "see patchday.toml(5)"),
    ] {
        let (out, err, code) = config(&host, &["show", name]);
        assert_eq!((out.as_str(), code), ("", 2));
        assert!(err.contains(&format!("there is no key and no table \"{name}\"; {hint}")), "{err}");
    }
}

#[test]
fn whoever_may_not_read_the_files_is_told_what_to_do() {
    let Some(host) = host(&SITE) else { return };
    let program = host.path().join("patchday");
    fs::copy(env!("CARGO_BIN_EXE_patchday"), &program).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let nobody = |args: &[&str]| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "--"]).arg(&program);
        command.env_clear().env("PATH", "/usr/bin:/bin").arg("--config").arg(path(&host)).arg("config").args(args);
        said(&host, &command.output().unwrap())
    };
    assert_eq!(nobody(&["check"]), ("3 files, 13 keys: valid\n".to_owned(), String::new(), 0));
    fs::set_permissions(path(&host), fs::Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(host.path().join("patchday.toml.d"), fs::Permissions::from_mode(0o700)).unwrap();
    let told = "error: /etc/patchday/patchday.toml: cannot read the file: Permission denied (os error 13)\n\
                hint: run it as root\n\
                error: /etc/patchday/patchday.toml.d: cannot read the directory: Permission denied (os error 13)\n\
                hint: run it as root\n";
    assert_eq!(nobody(&["check"]), (String::new(), told.to_owned(), 2));
}
