use std::path::Path;

use super::*;
use crate::config::parse;

fn settings() -> Settings {
    let text = r#"
        [[service]]
        unit = "api.service"
        after = ["mongod.service"]

        [[service]]
        unit = "mongod.service"
        kind = "mongodb"

        [reboot]
        grace = "5m"
        force-after = "8m"
    "#;
    parse(text, Path::new("patchday.toml"), 2, &[]).unwrap().settings
}

/// Settings that were saved before `[service.mongodb]` had them mean their defaults.
#[test]
fn settings_of_mongodb_may_be_missing() {
    assert_eq!(serde_json::from_str::<MongodbSettings>("{}").unwrap(), MongodbSettings::default());
}

#[test]
fn decisions_know_the_grace_period_and_two_boots() {
    let expected = Policy {
        reboot_grace: SignedDuration::from_mins(5),
        reboot_force_after: Some(SignedDuration::from_mins(8)),
        max_boots: 2,
    };
    assert_eq!(settings().policy(), expected);
}

#[test]
fn services_are_planned_in_their_order() {
    let planned = settings().planned_services();
    let names: Vec<&str> = planned.iter().map(|service| service.unit.as_str()).collect();
    assert_eq!(names, ["mongod.service", "api.service"]);
    assert_eq!(planned[0].kind, ServiceKind::Mongodb);
    assert_eq!(planned[1].after, [planned[0].unit.clone()]);
    assert_eq!(settings().service(&planned[1].unit).unwrap().kind, ServiceKind::Service);
    assert!(settings().service(&"other.service".parse().unwrap()).is_none());
}

/// Root runs it, so that it is looked at as hooks are.
#[test]
fn the_command_of_a_proof_is_one_that_a_run_calls() {
    let text =
        "[[service]]\nunit = \"db.service\"\nstop-proof = \"command\"\nstop-proof-command = [\"/bin/proof\", \"db\"]\n";
    let settings = parse(text, Path::new("patchday.toml"), 2, &[]).unwrap().settings;
    assert_eq!(settings.called_commands(), [["/bin/proof", "db"]]);
}

/// Saved by a Patchday that knew pages only; and by this one, either way.
#[test]
fn users_are_counted_by_a_page_or_by_documents() {
    let page: UserCount = serde_json::from_str(r#"{ "url": "http://127.0.0.1/users", "limit": 3 }"#).unwrap();
    assert_eq!(page.source, UserSource::Page { url: "http://127.0.0.1/users".into() });
    let documents = UserCount {
        source: UserSource::Documents {
            unit: "mongod.service".parse().unwrap(),
            collection: "shop.sessions".into(),
            field: "lastSeen".into(),
            within: SignedDuration::from_mins(5),
        },
        limit: 0,
    };
    for count in [page, documents] {
        let text = serde_json::to_string(&count).unwrap();
        assert_eq!(serde_json::from_str::<UserCount>(&text).unwrap(), count);
    }
}
