//! Reads `$currentOp`: who is connected, and what is under way.

use jiff::SignedDuration;
use mongodb::bson::{Bson, Document};

use super::reply::number;
use crate::model::{ClientConnection, RunningOperation};

/// Drivers of the server's own, between the members of a replica set or a cluster.
const INTERNAL_DRIVERS: [&str; 2] = ["NetworkInterfaceTL", "MongoDB Internal Client"];

/// Connections of clients: not the server's own threads, not those between servers, and not those of `own_name`. A
/// connection that runs several operations counts once, with the one that runs longest.
pub(super) fn clients(operations: &[Document], own_name: &str) -> Vec<ClientConnection> {
    let mut connections: Vec<(i64, ClientConnection)> = Vec::new();
    for operation in operations {
        let Some(id) = number(operation.get("connectionId")) else { continue };
        if text(operation, "appName") == own_name || is_internal(operation) {
            continue;
        }
        let active = is_at_work(operation);
        let running = if active { running(operation) } else { None };
        let seen = ClientConnection {
            client: address(operation),
            app_name: text(operation, "appName").to_owned(),
            active,
            operation: active.then(|| what(operation)),
            running,
            age: None,
            user: user(operation),
        };
        match connections.iter_mut().find(|(known, _)| *known == id) {
            Some((_, known)) if (seen.active, seen.running) > (known.active, known.running) => *known = seen,
            Some(_) => {}
            None => connections.push((id, seen)),
        }
    }
    connections.into_iter().map(|(_, connection)| connection).collect()
}

/// What clients have under way, and index builds, longest first. A cursor that waits for news is nobody's work.
pub(super) fn running_operations(operations: &[Document], own_name: &str) -> Vec<RunningOperation> {
    let mut seen: Vec<RunningOperation> = operations
        .iter()
        .filter(|operation| text(operation, "appName") != own_name)
        .filter_map(|operation| {
            let is_index_build = is_index_build(operation);
            let is_clients = operation.contains_key("connectionId") && !is_internal(operation);
            let is_work = is_clients && is_at_work(operation) && !is_tail(operation);
            if !(is_index_build || is_work) {
                return None;
            }
            let who = match (text(operation, "appName"), address(operation).as_str()) {
                ("", "") => text(operation, "desc").to_owned(),
                ("", client) => client.to_owned(),
                (app, "") => app.to_owned(),
                (app, client) => format!("{app} ({client})"),
            };
            Some(RunningOperation {
                id: number(operation.get("opid"))?,
                who,
                what: what(operation),
                running: running(operation).unwrap_or_default(),
                is_index_build,
            })
        })
        .collect();
    seen.sort_by_key(|operation| std::cmp::Reverse(operation.running));
    seen
}

fn text<'a>(document: &'a Document, key: &str) -> &'a str {
    document.get_str(key).unwrap_or_default()
}

fn command(operation: &Document) -> Option<(&str, &Bson)> {
    operation.get_document("command").ok()?.iter().next().map(|(name, value)| (name.as_str(), value))
}

/// A Unix socket has no address.
fn address(operation: &Document) -> String {
    let client = text(operation, "client");
    if client.starts_with("anonymous unix socket") { String::new() } else { client.to_owned() }
}

fn is_at_work(operation: &Document) -> bool {
    operation.get_bool("active").unwrap_or(false) && !is_waiting_hello(operation)
}

fn running(operation: &Document) -> Option<SignedDuration> {
    let micros = number(operation.get("microsecs_running")).map(SignedDuration::from_micros);
    micros.or_else(|| number(operation.get("secs_running")).map(SignedDuration::from_secs))
}

/// `aggregate shop.orders`: the command and its collection, never its values.
fn what(operation: &Document) -> String {
    if is_index_build(operation) {
        return format!("index build on {}", text(operation, "ns"));
    }
    let name = command(operation).map_or_else(|| text(operation, "op"), |(name, _)| name);
    format!("{name} {}", text(operation, "ns")).trim().to_owned()
}

fn user(operation: &Document) -> Option<String> {
    let users = operation.get_array("effectiveUsers").ok()?;
    let user = users.first()?.as_document()?;
    Some(format!("{}@{}", text(user, "user"), text(user, "db")))
}

/// The build itself, or the client that waits for it: to end that one would end the build.
fn is_index_build(operation: &Document) -> bool {
    command(operation).is_some_and(|(name, _)| name == "createIndexes")
        || text(operation, "desc").starts_with("IndexBuildsCoordinator")
        || text(operation, "msg").starts_with("Index Build")
}

/// A tailable cursor that waits for what comes next, as change streams and the oplog's readers have.
fn is_tail(operation: &Document) -> bool {
    let cursor = operation.get_document("cursor").ok();
    cursor.is_some_and(|cursor| cursor.get_bool("awaitData").unwrap_or(false))
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
    command(operation).is_some_and(|(name, _)| ["hello", "isMaster", "ismaster"].contains(&name))
}

#[cfg(test)]
mod tests {
    use mongodb::bson::doc;

    use super::*;

    #[test]
    fn clients_are_neither_we_nor_the_server_itself() {
        let driver = |name: &str| doc! { "driver": { "name": name } };
        let operations = [
            doc! { "desc": "Checkpointer", "active": true },
            doc! { "connectionId": 1, "client": "127.0.0.1:1", "appName": "patchday", "active": true },
            doc! { "connectionId": 2, "client": "127.0.0.1:2", "appName": "sample-api", "active": true,
            "command": { "insert": "orders" }, "ns": "shop.orders", "microsecs_running": 2_000_000_i64,
            "effectiveUsers": [{ "user": "api", "db": "admin" }] },
            doc! { "connectionId": 3, "client": "127.0.0.1:3", "appName": "sample-api", "active": true,
            "command": { "hello": 1, "maxAwaitTimeMS": 10000 } },
            doc! { "connectionId": 4, "client": "anonymous unix socket:27017", "active": false },
            doc! { "connectionId": 5, "client": "192.0.2.7:5", "clientMetadata": driver("NetworkInterfaceTL-ReplNetwork") },
            doc! { "connectionId": 6, "client": "192.0.2.7:6", "clientMetadata": driver("MongoDB Internal Client") },
            doc! { "connectionId": 2, "client": "127.0.0.1:2", "appName": "sample-api", "active": false },
        ];
        let seen = clients(&operations, "patchday");
        let brief: Vec<_> = seen.iter().map(|one| (one.client.as_str(), one.app_name.as_str(), one.active)).collect();
        let expected = [("127.0.0.1:2", "sample-api", true), ("127.0.0.1:3", "sample-api", false), ("", "", false)];
        assert_eq!(brief, expected);
        assert_eq!(seen[0].operation.as_deref(), Some("insert shop.orders"));
        assert_eq!(seen[0].running, Some(SignedDuration::from_secs(2)));
        assert_eq!(seen[0].user.as_deref(), Some("api@admin"));
        assert_eq!((&seen[1].operation, seen[1].running), (&None, None));
    }

    #[test]
    fn operations_are_those_that_somebody_waits_for() {
        let operations = [
            doc! { "opid": 1, "desc": "Checkpointer", "active": true, "secs_running": 9000_i64 },
            doc! { "opid": 2, "connectionId": 1, "client": "127.0.0.1:1", "appName": "patchday", "active": true },
            doc! { "opid": 3, "connectionId": 2, "client": "127.0.0.1:2", "appName": "report", "active": true,
            "command": { "aggregate": "orders", "pipeline": [{ "$match": { "secret": 1 } }] }, "ns": "shop.orders",
            "secs_running": 40_i64 },
            doc! { "opid": 4, "desc": "IndexBuildsCoordinatorMongod-0", "active": true, "ns": "shop.orders",
            "secs_running": 90_i64 },
            doc! { "opid": 7, "connectionId": 5, "client": "127.0.0.1:5", "appName": "indexer", "active": true,
            "command": { "createIndexes": "orders" }, "ns": "shop.orders", "secs_running": 80_i64 },
            doc! { "opid": 5, "connectionId": 3, "client": "127.0.0.1:3", "active": true, "op": "getmore",
            "command": { "getMore": 1_i64 }, "cursor": { "awaitData": true, "tailable": true } },
            doc! { "opid": 6, "connectionId": 4, "client": "127.0.0.1:4", "active": false },
        ];
        let seen = running_operations(&operations, "patchday");
        let told: Vec<String> = seen.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "index build on shop.orders of IndexBuildsCoordinatorMongod-0, for 1 min 30 s",
                "index build on shop.orders of indexer (127.0.0.1:5), for 1 min 20 s",
                "aggregate shop.orders of report (127.0.0.1:2), for 40 s",
            ]
        );
        assert_eq!(
            seen.iter().map(|one| (one.id, one.is_index_build)).collect::<Vec<_>>(),
            [(4, true), (7, true), (3, false)]
        );
    }
}
