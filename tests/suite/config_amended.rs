//! What a later file of the configuration makes of what earlier ones say.

use std::path::Path;

use patchday::config::{Sources, parse};

use crate::config_files::{Place, Written};

/// What is set in the end, and where.
#[test]
fn later_files_amend_earlier_ones() {
    let mongodb = "[[service]]\nunit = \"mongod.service\"\nkind = \"mongodb\"\n";
    let cases: [(&str, Written<'_>, &[&str]); 15] = [
        ("only the file", &[("", "[limits]\nnice = 5\n")], &["limits.nice = 5 @ main:2"]),
        (
            "a key replaces a key, and leaves its neighbours",
            &[("", "[limits]\nnice = 5\ncpu = \"10%\"\n"), ("50-x.toml", "limits.nice = 7\n")],
            &["limits.cpu = \"10%\" @ main:3", "limits.nice = 7 @ d/50-x.toml:1"],
        ),
        (
            "a list replaces a list",
            &[("", "[upgrade]\nexclude = [\"perl\", \"zsh\"]\n"), ("x.toml", "\n[upgrade]\nexclude = [\"vim\"]\n")],
            &["upgrade.exclude = [\"vim\"] @ d/x.toml:3"],
        ),
        (
            "an empty list too",
            &[("", "[upgrade]\nexclude = [\"perl\"]\n"), ("x.toml", "[upgrade]\nexclude = []\n")],
            &["upgrade.exclude = [] @ d/x.toml:2"],
        ),
        (
            "the order is that of the bytes of the names",
            &[
                ("9.toml", "limits.nice = 9\nlimits.io-weight = 9\n"),
                ("10.toml", "limits.nice = 10\nlimits.io-weight = 10\n"),
                ("a.toml", "limits.nice = 11\n"),
                ("Z.toml", "limits.nice = 12\n"),
            ],
            &["limits.io-weight = 9 @ d/9.toml:2", "limits.nice = 11 @ d/a.toml:1"],
        ),
        (
            "a table that is new",
            &[("", mongodb), ("x.toml", "[report]\nkeep = 3\n")],
            &[
                "service.unit 1 = \"mongod.service\" @ main:2",
                "service.kind 1 = \"mongodb\" @ main:3",
                "report.keep = 3 @ d/x.toml:2",
            ],
        ),
        (
            "a service is the one of its unit, with the tables below it",
            &[
                (
                    "",
                    "[[service]]\nunit = \"mongod.service\"\nkind = \"mongodb\"\n[service.mongodb]\nclient-limit = 5\n",
                ),
                (
                    "x.toml",
                    "[[service]]\nunit = \"mongod.service\"\nmongodb.max-lag = \"3s\"\nreadiness.timeout = \"9s\"\n",
                ),
            ],
            &[
                "service.unit 1 = \"mongod.service\" @ d/x.toml:2",
                "service.kind 1 = \"mongodb\" @ main:3",
                "service.readiness.timeout 1 = \"9s\" @ d/x.toml:4",
                "service.mongodb.client-limit 1 = 5 @ main:5",
                "service.mongodb.max-lag 1 = \"3s\" @ d/x.toml:3",
            ],
        ),
        (
            "another unit is another service",
            &[("", mongodb), ("x.toml", "[[service]]\nunit = \"api.service\"\nafter = [\"mongod.service\"]\n")],
            &[
                "service.unit 1 = \"mongod.service\" @ main:2",
                "service.kind 1 = \"mongodb\" @ main:3",
                "service.unit 2 = \"api.service\" @ d/x.toml:2",
                "service.after 2 = [\"mongod.service\"] @ d/x.toml:3",
            ],
        ),
        (
            "a drop-in amends a drop-in",
            &[
                ("1.toml", "[[service]]\nunit = \"a.service\"\nstop-timeout = \"1m\"\n"),
                ("2.toml", "[[service]]\nunit = \"a.service\"\nstop-timeout = \"2m\"\n"),
            ],
            &["service.unit 1 = \"a.service\" @ d/2.toml:2", "service.stop-timeout 1 = \"2m\" @ d/2.toml:3"],
        ),
        (
            "a window is the one of its calendar",
            &[
                ("", "[[window]]\ncalendar = \"Sat 22:00\"\nduration = \"4h\"\n"),
                (
                    "x.toml",
                    "[[window]]\ncalendar = \"Sat 22:00\"\nreserve = \"1h\"\n[[window]]\ncalendar = \"Sun 22:00\"\nduration = \"1h\"\n",
                ),
            ],
            &[
                "window.calendar 1 = \"Sat 22:00\" @ d/x.toml:2",
                "window.duration 1 = \"4h\" @ main:3",
                "window.reserve 1 = \"1h\" @ d/x.toml:3",
                "window.calendar 2 = \"Sun 22:00\" @ d/x.toml:5",
                "window.duration 2 = \"1h\" @ d/x.toml:6",
            ],
        ),
        (
            "a blackout that begins on the same day for another reason does not shorten the first",
            &[
                ("", "[[blackout]]\nfrom = \"2026-12-20\"\nuntil = \"2027-01-02\"\nreason = \"holidays\"\n"),
                ("x.toml", "[[blackout]]\nfrom = \"2026-12-20\"\nreason = \"a fair\"\n"),
                ("y.toml", "[[blackout]]\nfrom = \"2026-12-20\"\nreason = \"holidays\"\nuntil = \"2027-01-06\"\n"),
            ],
            &[
                "blackout.from 1 = \"2026-12-20\" @ d/y.toml:2",
                "blackout.until 1 = \"2027-01-06\" @ d/y.toml:4",
                "blackout.reason 1 = \"holidays\" @ d/y.toml:3",
                "blackout.from 2 = \"2026-12-20\" @ d/x.toml:2",
                "blackout.reason 2 = \"a fair\" @ d/x.toml:3",
            ],
        ),
        (
            "a hook is its point and its command",
            &[
                ("", "[[hook]]\npoint = \"after-stop\"\ncommand = [\"/bin/a\"]\n"),
                (
                    "x.toml",
                    "[[hook]]\npoint = \"after-stop\"\ncommand = [\"/bin/a\"]\npolicy = \"ignore\"\n[[hook]]\npoint = \"after-stop\"\ncommand = [\"/bin/a\", \"-v\"]\n",
                ),
            ],
            &[
                "hook.point 1 = \"after-stop\" @ d/x.toml:2",
                "hook.command 1 = [\"/bin/a\"] @ d/x.toml:3",
                "hook.policy 1 = \"ignore\" @ d/x.toml:4",
                "hook.point 2 = \"after-stop\" @ d/x.toml:6",
                "hook.command 2 = [\"/bin/a\",\"-v\"] @ d/x.toml:7",
            ],
        ),
        (
            "a channel is its kind and where it goes to",
            &[
                ("", "[[notify]]\nkind = \"wall\"\n[[notify]]\nkind = \"mail\"\nto = [\"a@x.org\"]\n"),
                (
                    "x.toml",
                    "[[notify]]\nkind = \"wall\"\nwhen = \"failure\"\n[[notify]]\nkind = \"mail\"\nto = [\"b@x.org\"]\n",
                ),
            ],
            &[
                "notify.kind 1 = \"wall\" @ d/x.toml:2",
                "notify.when 1 = \"failure\" @ d/x.toml:3",
                "notify.kind 2 = \"mail\" @ main:4",
                "notify.to 2 = [\"a@x.org\"] @ main:5",
                "notify.kind 3 = \"mail\" @ d/x.toml:5",
                "notify.to 3 = [\"b@x.org\"] @ d/x.toml:6",
            ],
        ),
        (
            "what one file has twice is there twice",
            &[
                ("", "[[notify]]\nkind = \"wall\"\n"),
                (
                    "x.toml",
                    "[[notify]]\nkind = \"wall\"\nwhen = \"failure\"\n[[notify]]\nkind = \"wall\"\nwhen = \"always\"\n",
                ),
            ],
            &[
                "notify.kind 1 = \"wall\" @ d/x.toml:2",
                "notify.when 1 = \"failure\" @ d/x.toml:3",
                "notify.kind 2 = \"wall\" @ d/x.toml:5",
                "notify.when 2 = \"always\" @ d/x.toml:6",
            ],
        ),
        (
            "lines of Windows, and a mark of the order of bytes",
            &[("x.toml", "\u{feff}[limits]\r\nnice = 7\r\n")],
            &["limits.nice = 7 @ d/x.toml:2"],
        ),
    ];
    for (what, files, expected) in cases {
        assert_eq!(Place::with(files).set(), expected, "{what}");
    }
}

/// Several files mean what one file would that says the same.
#[test]
fn files_together_mean_what_one_file_means() {
    let split = Place::with(&[
        ("", "[[service]]\nunit = \"api.service\"\nafter = [\"mongod.service\"]\n"),
        ("10-db.toml", "[[service]]\nunit = \"mongod.service\"\nkind = \"mongodb\"\n"),
        (
            "20-more.toml",
            "[[service]]\nunit = \"api.service\"\nreadiness = { probe = \"tcp\", address = \"127.0.0.1:80\" }\n",
        ),
    ]);
    let text = "[[service]]\nunit = \"api.service\"\nafter = [\"mongod.service\"]\n\
                readiness = { probe = \"tcp\", address = \"127.0.0.1:80\" }\n\
                [[service]]\nunit = \"mongod.service\"\nkind = \"mongodb\"\n";
    assert_eq!(split.settings(), parse(text, Path::new("one.toml"), 2, &[]).unwrap().settings);
}

/// What no file says alone: each problem has the file that it is in.
#[test]
fn what_files_mean_together_is_told_with_the_file_that_says_so() {
    let service = "[[service]]\nunit = \"a.service\"\n";
    let cases: [(Written<'_>, &[&str]); 5] = [
        (
            &[("", service), ("x.toml", "[[service]]\nunit = \"b.service\"\nafter = [\"c.service\"]\n")],
            &[
                "d/x.toml:3:10: [[service]] after: expected the unit of another [[service]], found \"c.service\" | did you mean \"a.service\"?",
            ],
        ),
        (
            &[("", service), ("x.toml", &[service, service].concat())],
            &[
                "d/x.toml:4:8: [[service]] unit: expected every unit once, found \"a.service\" again (first in line 2) | keep one of the two",
            ],
        ),
        (
            &[("", &[service, service].concat()), ("x.toml", service)],
            &[
                "patchday.toml:4:8: [[service]] unit: expected every unit once, found \"a.service\" again (first in d/x.toml:2:8) | keep one of the two",
            ],
        ),
        (
            &[("", service), ("x.toml", "[[service]]\nstop-timeout = \"1m\"\n")],
            &["d/x.toml:1:1: [[service]] unit: missing key | for example: unit = \"mongod.service\""],
        ),
        (
            &[
                (
                    "",
                    "[[service]]\nunit = \"a.service\"\n[service.readiness]\nprobe = \"http\"\nurl = \"http://127.0.0.1/\"\n",
                ),
                (
                    "x.toml",
                    "[[service]]\nunit = \"a.service\"\n[service.readiness]\nprobe = \"tcp\"\naddress = \"127.0.0.1:80\"\n",
                ),
            ],
            &[
                "patchday.toml:5:7: [service.readiness] url: only for probe = \"http\", found probe = \"tcp\" | set probe = \"http\", or take url out",
            ],
        ),
    ];
    for (files, expected) in cases {
        assert_eq!(Place::with(files).refused(), expected, "{files:?}");
    }
}

#[test]
fn no_damaged_drop_in_brings_the_reader_down() {
    let service = "[[service]]\nunit = \"a.service\"\nreadiness = { probe = \"unit\" }\n[limits]\nnice = 1\n";
    for (at, character) in service.char_indices() {
        let (before, rest) = service.split_at(at);
        for damaged in
            [before.to_owned(), format!("{before}{}", &rest[character.len_utf8()..]), format!("{before}\"é[{rest}")]
        {
            for (first, second) in [(service, damaged.as_str()), (damaged.as_str(), service)] {
                let sources = Sources::of(&[(Path::new("1"), first), (Path::new("2"), second)]);
                if let Err(error) = sources.settings(2, &[]) {
                    assert!(error.problems.iter().all(|problem| problem.place.position.is_some()), "{error}");
                }
            }
        }
    }
}
