//! Why a server that was started for a replica set is in none: most often since a name does not resolve when it starts, as
//! on a host whose network or resolver comes up later.

use std::time::Duration;

use ::mongodb::Database as AdminDatabase;
use ::mongodb::bson::{Bson, Document, doc};
use ::mongodb::error::Error;
use futures_util::future::join_all;

use super::errors::{NOT_IN_ITS_SET, SET_NOT_INITIALIZED, UNAUTHORIZED, code};

/// A resolver that does not answer says as much.
const RESOLVED_WITHIN: Duration = Duration::from_secs(3);

/// None if the server does not say that it is in no set.
pub(super) async fn why(admin: &AdminDatabase) -> Result<Option<String>, Error> {
    match admin.run_command(doc! { "replSetGetStatus": 1 }).await {
        Err(error) if code(&error) == Some(SET_NOT_INITIALIZED) => {
            Ok(Some("its replica set was never initiated: rs.initiate()".to_owned()))
        }
        Err(error) if code(&error) == Some(NOT_IN_ITS_SET) => {
            let config = admin.run_command(doc! { "replSetGetConfig": 1 }).await.ok();
            Ok(Some(described(config.as_ref()).await))
        }
        Ok(_) => Ok(None),
        Err(error) if code(&error) == Some(UNAUTHORIZED) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn described(config: Option<&Document>) -> String {
    let config = config.and_then(|config| config.get_document("config").ok());
    let set = config.and_then(|config| config.get_str("_id").ok()).unwrap_or_default();
    let members = config.and_then(|config| config.get_array("members").ok()).map(Vec::as_slice).unwrap_or_default();
    let host = |member: &Bson| member.as_document()?.get_str("host").ok().map(str::to_owned);
    let names: Vec<String> = members.iter().filter_map(host).collect();
    let resolved = join_all(names.iter().map(|name| resolves(name))).await;
    let missing: Vec<&str> =
        names.iter().zip(resolved).filter(|(_, resolved)| !resolved).map(|(name, _)| name.as_str()).collect();
    words(set, &names, &missing)
}

async fn resolves(name: &str) -> bool {
    match tokio::time::timeout(RESOLVED_WITHIN, tokio::net::lookup_host(name)).await {
        Ok(Ok(mut found)) => found.next().is_some(),
        Ok(Err(_)) | Err(_) => false,
    }
}

fn words(set: &str, names: &[String], missing: &[&str]) -> String {
    let set = if set.is_empty() { "its replica set".to_owned() } else { format!("its replica set {set}") };
    match (names, missing) {
        ([], _) => format!("it has left {set}: no member of it maps to this server"),
        (_, []) => format!(
            "it has left {set}: none of its members is this server ({}); they may have resolved too late, and then a restart \
             brings it back, or port or name has changed",
            names.join(", ")
        ),
        _ => format!(
            "it has left {set}: no member of it maps to this server, and these names do not resolve here: {}; let them \
             resolve (/etc/hosts) before it starts, then restart it",
            missing.join(", ")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_that_does_not_resolve_is_named() {
        let config = |hosts: &[&str]| {
            let members: Vec<Document> = hosts.iter().map(|host| doc! { "host": *host }).collect();
            doc! { "config": { "_id": "rs0", "members": members } }
        };
        for (hosts, expected) in [
            (vec!["127.0.0.1:1", "db9.invalid:27017"], "do not resolve here: db9.invalid:27017"),
            (vec!["127.0.0.1:1"], "none of its members is this server (127.0.0.1:1)"),
            (vec![], "no member of it maps to this server"),
        ] {
            let told = described(Some(&config(&hosts))).await;
            assert!(told.starts_with("it has left its replica set rs0") && told.contains(expected), "{told}");
        }
        assert!(described(None).await.starts_with("it has left its replica set:"));
    }
}
