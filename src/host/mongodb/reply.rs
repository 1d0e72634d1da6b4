//! Reads the server's answers.

use jiff::SignedDuration;
use mongodb::bson::{Bson, Document};

use crate::model::DatabaseFacts;

/// Where mongod keeps its data when nobody told it otherwise.
const DEFAULT_DB_PATH: &str = "/data/db";

/// Facts from `hello`, `buildInfo`, `serverStatus` and `getCmdLineOpts`; none if the role may not ask.
pub(super) fn facts(
    hello: &Document,
    build: Option<&Document>,
    status: Option<&Document>,
    options: Option<&Document>,
) -> DatabaseFacts {
    let text = |document: Option<&Document>, key: &str| document?.get_str(key).ok().map(str::to_owned);
    let parsed = options.and_then(|options| options.get_document("parsed").ok());
    let section = |name: &str| parsed.and_then(|parsed| parsed.get_document(name).ok());
    let log = section("systemLog").filter(|log| log.get_str("destination").is_ok_and(|to| to == "file"));
    DatabaseFacts {
        version: text(build, "version").or_else(|| text(status, "version")).unwrap_or_else(|| "unknown".to_owned()),
        pid: status.and_then(|status| number(status.get("pid"))).and_then(|pid| u32::try_from(pid).ok()),
        role: role(hello).to_owned(),
        db_path: parsed.map(|_| text(section("storage"), "dbPath").unwrap_or_else(|| DEFAULT_DB_PATH.to_owned())),
        log_path: text(log, "path"),
        set_name: text(Some(hello), "setName"),
        member: text(Some(hello), "me"),
        hidden: hello.get_bool("hidden").unwrap_or(false),
        // Before 5.0 it was called slaveDelay.
        delay: number(hello.get("secondaryDelaySecs").or_else(|| hello.get("slaveDelay")))
            .filter(|seconds| *seconds > 0)
            .map(SignedDuration::from_secs),
        outside: None,
    }
}

/// Whether the options in force make clients log in.
pub(super) fn asks_for_login(options: &Document) -> bool {
    let parsed = options.get_document("parsed").ok();
    let security = parsed.and_then(|parsed| parsed.get_document("security").ok());
    let Some(security) = security else { return false };
    // A key file between members implies it.
    security.get_str("authorization").is_ok_and(|word| word == "enabled") || security.contains_key("keyFile")
}

/// Whether writes go to a journal; it cannot be switched off since 6.1.
pub(super) fn is_journaled(options: &Document) -> bool {
    let parsed = options.get_document("parsed").ok();
    let storage = parsed.and_then(|parsed| parsed.get_document("storage").ok());
    let journal = storage.and_then(|storage| storage.get_document("journal").ok());
    journal.and_then(|journal| journal.get_bool("enabled").ok()).unwrap_or(true)
}

/// From `getParameter`.
pub(super) fn compatibility(answer: &Document) -> Option<String> {
    let version = answer.get_document("featureCompatibilityVersion").ok()?;
    version.get_str("version").ok().map(str::to_owned)
}

/// Connections now, and how many more the server takes.
pub(super) fn connections(status: &Document) -> Option<(i64, i64)> {
    let connections = status.get_document("connections").ok()?;
    number(connections.get("current")).zip(number(connections.get("available")))
}

/// What the user of `connectionStatus` may do on the cluster.
pub(super) fn cluster_actions(status: &Document) -> Vec<String> {
    let info = status.get_document("authInfo").ok();
    let privileges = info.and_then(|info| info.get_array("authenticatedUserPrivileges").ok());
    let mut actions: Vec<String> = privileges
        .into_iter()
        .flatten()
        .filter_map(Bson::as_document)
        .filter(|privilege| {
            let on = |key: &str| {
                privilege.get_document("resource").is_ok_and(|resource| resource.get_bool(key).unwrap_or(false))
            };
            on("cluster") || on("anyResource")
        })
        .filter_map(|privilege| privilege.get_array("actions").ok())
        .flatten()
        .filter_map(|action| action.as_str().map(str::to_owned))
        .collect();
    actions.sort();
    actions.dedup();
    actions
}

pub(super) fn number(value: Option<&Bson>) -> Option<i64> {
    match value? {
        Bson::Int32(number) => Some(i64::from(*number)),
        Bson::Int64(number) => Some(*number),
        #[expect(clippy::cast_possible_truncation, reason = "a process ID fits")]
        Bson::Double(number) => Some(*number as i64),
        _ => None,
    }
}

fn role(hello: &Document) -> &'static str {
    let is = |key: &str| hello.get_bool(key).unwrap_or(false);
    let in_set = hello.contains_key("setName");
    if hello.get_str("msg").is_ok_and(|message| message == "isdbgrid") {
        "router"
    } else if is("arbiterOnly") {
        "arbiter"
    } else if is("isWritablePrimary") || is("ismaster") {
        if in_set { "primary" } else { "standalone" }
    } else if is("secondary") {
        "secondary"
    } else {
        "other"
    }
}

#[cfg(test)]
mod tests {
    use mongodb::bson::doc;

    use super::*;

    #[test]
    fn the_role_is_what_hello_says() {
        for (hello, expected) in [
            (doc! { "isWritablePrimary": true }, "standalone"),
            (doc! { "ismaster": true }, "standalone"),
            (doc! { "isWritablePrimary": true, "setName": "rs0" }, "primary"),
            (doc! { "isWritablePrimary": false, "secondary": true, "setName": "rs0" }, "secondary"),
            (doc! { "isWritablePrimary": false, "secondary": false, "arbiterOnly": true, "setName": "rs0" }, "arbiter"),
            (doc! { "isWritablePrimary": false, "secondary": false, "setName": "rs0" }, "other"),
            (doc! { "isWritablePrimary": true, "msg": "isdbgrid" }, "router"),
            (doc! {}, "other"),
        ] {
            assert_eq!(role(&hello), expected, "{hello}");
        }
    }

    #[test]
    fn what_the_role_may_not_ask_is_none() {
        let hello = doc! { "isWritablePrimary": true };
        let facts = facts(&hello, Some(&doc! { "version": "6.0.5" }), None, None);
        assert_eq!((facts.version.as_str(), facts.pid, facts.db_path, facts.log_path), ("6.0.5", None, None, None));
    }

    #[test]
    fn paths_come_from_the_options_in_force() {
        let hello = doc! { "isWritablePrimary": true };
        let log = |destination: &str| {
            let options = doc! { "parsed": {
                "storage": { "dbPath": "/var/lib/mongodb" },
                "systemLog": { "destination": destination, "path": "/var/log/mongodb/mongod.log" },
            } };
            facts(&hello, None, Some(&doc! { "pid": 42_i64, "version": "6.0.5" }), Some(&options))
        };
        let seen = log("file");
        assert_eq!(seen.db_path.as_deref(), Some("/var/lib/mongodb"));
        assert_eq!(seen.log_path.as_deref(), Some("/var/log/mongodb/mongod.log"));
        assert_eq!((seen.pid, seen.version.as_str()), (Some(42), "6.0.5"));
        assert_eq!(log("syslog").log_path, None);

        let bare = facts(&hello, None, None, Some(&doc! { "parsed": {} }));
        assert_eq!((bare.db_path.as_deref(), bare.log_path), (Some("/data/db"), None));
    }

    #[test]
    fn hidden_and_delayed_members_are_told() {
        let hello = doc! { "secondary": true, "setName": "rs0", "me": "db2:27017", "hidden": true,
        "secondaryDelaySecs": 3600_i64 };
        let facts = facts(&hello, None, None, None);
        assert_eq!((facts.set_name.as_deref(), facts.member.as_deref()), (Some("rs0"), Some("db2:27017")));
        assert_eq!((facts.hidden, facts.delay), (true, Some(SignedDuration::from_hours(1))));
    }

    #[test]
    fn options_tell_of_login_and_journal() {
        for (parsed, login, journaled) in [
            (doc! {}, false, true),
            (doc! { "security": { "authorization": "enabled" } }, true, true),
            (doc! { "security": { "keyFile": "/etc/key" } }, true, true),
            (
                doc! { "security": { "authorization": "disabled" }, "storage": { "journal": { "enabled": false } } },
                false,
                false,
            ),
        ] {
            let options = doc! { "parsed": parsed };
            assert_eq!((asks_for_login(&options), is_journaled(&options)), (login, journaled), "{options}");
        }
    }

    #[test]
    fn only_privileges_on_the_cluster_count() {
        let status = doc! { "authInfo": { "authenticatedUserPrivileges": [
            { "resource": { "cluster": true }, "actions": ["shutdown", "inprog"] },
            { "resource": { "db": "shop", "collection": "" }, "actions": ["find"] },
            { "resource": { "anyResource": true }, "actions": ["anyAction"] },
        ] } };
        assert_eq!(cluster_actions(&status), ["anyAction", "inprog", "shutdown"]);
        assert_eq!(cluster_actions(&doc! { "authInfo": {} }), Vec::<String>::new());
    }

    #[test]
    fn spoiled_text_is_survived() {
        let samples = [
            r#"{"version":"6.0.5","pid":{"$numberLong":"715"},"setName":"rs0","me":"a:27017","hidden":true,"secondaryDelaySecs":3600}"#,
            r#"{"parsed":{"storage":{"dbPath":"/data"},"systemLog":{"destination":"file","path":"/log"},"security":{"authorization":"enabled"}},"connections":{"current":3,"available":100},"featureCompatibilityVersion":{"version":"6.0"}}"#,
        ];
        crate::host::hostile::survives(&samples, |text| {
            // What a server may answer: any document at all.
            let Ok(answer) = serde_json::from_str::<Document>(text) else { return };
            let _ = facts(&answer, Some(&answer), Some(&answer), Some(&answer));
            let _ = (asks_for_login(&answer), is_journaled(&answer), compatibility(&answer));
            let _ = (connections(&answer), cluster_actions(&answer));
        });
    }
}
