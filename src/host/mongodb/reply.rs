//! Reads the server's answers.

use mongodb::bson::{Bson, Document};

use crate::model::{ClientConnection, DatabaseFacts};

/// Where mongod keeps its data when nobody told it otherwise.
const DEFAULT_DB_PATH: &str = "/data/db";

/// Drivers of the server's own, between the members of a replica set or a cluster.
const INTERNAL_DRIVERS: [&str; 2] = ["NetworkInterfaceTL", "MongoDB Internal Client"];

/// Facts from `hello`, `buildInfo`, `serverStatus` and `getCmdLineOpts`; none where the role may not ask.
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
    }
}

fn number(value: Option<&Bson>) -> Option<i64> {
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

/// Connections of clients from `$currentOp`: not the server's own threads, not those between servers, and not those of
/// `own_name`. A connection that runs several operations counts once.
pub(super) fn clients(operations: &[Document], own_name: &str) -> Vec<ClientConnection> {
    let mut connections: Vec<(i64, ClientConnection)> = Vec::new();
    for operation in operations {
        let Some(id) = number(operation.get("connectionId")) else { continue };
        let app_name = operation.get_str("appName").unwrap_or_default();
        if app_name == own_name || is_internal(operation) {
            continue;
        }
        let active = operation.get_bool("active").unwrap_or(false) && !is_waiting_hello(operation);
        if let Some((_, known)) = connections.iter_mut().find(|(known, _)| *known == id) {
            known.active |= active;
            continue;
        }
        let client = operation.get_str("client").unwrap_or_default();
        let client = if client.starts_with("anonymous unix socket") { "" } else { client };
        connections.push((id, ClientConnection { client: client.to_owned(), app_name: app_name.to_owned(), active }));
    }
    connections.into_iter().map(|(_, connection)| connection).collect()
}

fn is_internal(operation: &Document) -> bool {
    let driver = operation
        .get_document("clientMetadata")
        .and_then(|metadata| metadata.get_document("driver"))
        .and_then(|driver| driver.get_str("name"))
        .unwrap_or_default();
    INTERNAL_DRIVERS.iter().any(|internal| driver.starts_with(internal))
}

/// Drivers watch the server with a `hello` that waits for news: the connection exists, but nobody works on it.
fn is_waiting_hello(operation: &Document) -> bool {
    let first_key = operation.get_document("command").ok().and_then(|command| command.keys().next());
    first_key.is_some_and(|name| ["hello", "isMaster", "ismaster"].contains(&name.as_str()))
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
    fn clients_are_neither_we_nor_the_server_itself() {
        let driver = |name: &str| doc! { "driver": { "name": name } };
        let operations = [
            doc! { "desc": "Checkpointer", "active": true },
            doc! { "connectionId": 1, "client": "127.0.0.1:1", "appName": "patchday", "active": true },
            doc! { "connectionId": 2, "client": "127.0.0.1:2", "appName": "sample-api", "active": true,
            "command": { "insert": "orders" } },
            doc! { "connectionId": 3, "client": "127.0.0.1:3", "appName": "sample-api", "active": true,
            "command": { "hello": 1, "maxAwaitTimeMS": 10000 } },
            doc! { "connectionId": 4, "client": "anonymous unix socket:27017", "active": false },
            doc! { "connectionId": 5, "client": "192.0.2.7:5", "clientMetadata": driver("NetworkInterfaceTL-ReplNetwork") },
            doc! { "connectionId": 6, "client": "192.0.2.7:6", "clientMetadata": driver("MongoDB Internal Client") },
            doc! { "connectionId": 2, "client": "127.0.0.1:2", "appName": "sample-api", "active": false },
        ];
        let connection = |client: &str, app_name: &str, active| ClientConnection {
            client: client.into(),
            app_name: app_name.into(),
            active,
        };
        assert_eq!(
            clients(&operations, "patchday"),
            [
                connection("127.0.0.1:2", "sample-api", true),
                connection("127.0.0.1:3", "sample-api", false),
                connection("", "", false),
            ]
        );
    }
}
