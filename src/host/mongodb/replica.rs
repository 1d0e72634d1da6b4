//! Reads `replSetGetStatus` and `replSetGetConfig`.

use jiff::SignedDuration;
use mongodb::bson::{Bson, DateTime, Document};

use super::reply::number;
use crate::model::{ReplicaMember, ReplicaSet};

/// Without the configuration every member has a vote, and each that is no arbiter may become primary: an optimist's
/// view, which the documented role spares.
pub(super) fn set(status: &Document, config: Option<&Document>) -> ReplicaSet {
    let list = |document: &Document, key: &str| -> Vec<Document> {
        let members = document.get_array(key).map(Vec::as_slice).unwrap_or_default();
        members.iter().filter_map(Bson::as_document).cloned().collect()
    };
    let members = list(status, "members");
    let configured = config.and_then(|config| config.get_document("config").ok()).map(|config| list(config, "members"));
    let primary = members.iter().find(|member| text(member, "stateStr") == "PRIMARY").and_then(applied);
    let members: Vec<ReplicaMember> = members
        .iter()
        .map(|member| {
            let own = configured.iter().flatten().find(|other| number(other.get("_id")) == number(member.get("_id")));
            one(member, own, primary)
        })
        .collect();
    let votes: u32 = members.iter().map(|member| member.votes).sum();
    let majority = number(status.get("majorityVoteCount")).and_then(|count| u32::try_from(count).ok());
    ReplicaSet { name: text(status, "set").to_owned(), majority: majority.unwrap_or(votes / 2 + 1), members }
}

fn one(member: &Document, configured: Option<&Document>, primary: Option<DateTime>) -> ReplicaMember {
    let state = text(member, "stateStr");
    let is_zero =
        |value: &Bson| value.as_f64() == Some(0.0) || number(Some(value)) == Some(0) && value.as_f64().is_none();
    let positive = |key: &str| !configured.and_then(|own| own.get(key)).is_some_and(is_zero);
    let arbiter = state == "ARBITER" || configured.is_some_and(|own| own.get_bool("arbiterOnly").unwrap_or(false));
    let lag = primary.zip(applied(member)).filter(|_| !arbiter).map(|(primary, own)| {
        SignedDuration::from_millis((primary.timestamp_millis() - own.timestamp_millis()).max(0))
    });
    ReplicaMember {
        name: text(member, "name").to_owned(),
        state: state.to_owned(),
        healthy: number(member.get("health")) == Some(1),
        is_self: member.get_bool("self").unwrap_or(false),
        votes: u32::from(positive("votes")),
        electable: !arbiter && positive("priority"),
        lag,
    }
}

/// When the last write that the member has was made; a member that does not answer says 1970.
fn applied(member: &Document) -> Option<DateTime> {
    member.get_datetime("optimeDate").ok().copied().filter(|at| at.timestamp_millis() > 0)
}

fn text<'a>(document: &'a Document, key: &str) -> &'a str {
    document.get_str(key).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use mongodb::bson::doc;

    use super::*;

    #[test]
    fn votes_priorities_and_lag_are_read() {
        let at = |seconds: i64| DateTime::from_millis(1_790_000_000_000 + seconds * 1000);
        let status = doc! {
            "set": "rs0", "majorityVoteCount": 2,
            "members": [
                { "_id": 0, "name": "a:1", "health": 1.0, "stateStr": "PRIMARY", "optimeDate": at(60), "self": true },
                { "_id": 1, "name": "b:1", "health": 1.0, "stateStr": "SECONDARY", "optimeDate": at(45) },
                { "_id": 2, "name": "c:1", "health": 0.0, "stateStr": "(not reachable/healthy)",
                    "optimeDate": DateTime::from_millis(0) },
                { "_id": 3, "name": "d:1", "health": 1.0, "stateStr": "ARBITER" },
            ],
        };
        let config = doc! { "config": { "members": [
            { "_id": 0, "votes": 1, "priority": 1.0 },
            { "_id": 1, "votes": 0, "priority": 0.0, "hidden": true },
            { "_id": 2, "votes": 1, "priority": 0.5 },
            { "_id": 3, "votes": 1, "priority": 0.0, "arbiterOnly": true },
        ] } };
        let set = set(&status, Some(&config));
        assert_eq!((set.name.as_str(), set.majority), ("rs0", 2));
        let seen: Vec<_> = set
            .members
            .iter()
            .map(|one| (one.name.as_str(), one.healthy, one.votes, one.electable, one.lag.map(|lag| lag.as_secs())))
            .collect();
        assert_eq!(
            seen,
            [
                ("a:1", true, 1, true, Some(0)),
                ("b:1", true, 0, false, Some(15)),
                ("c:1", false, 1, true, None),
                ("d:1", true, 1, false, None),
            ]
        );
        assert!(set.own().is_some_and(|own| own.name == "a:1"));
    }

    #[test]
    fn without_the_configuration_members_are_ordinary() {
        let status = doc! { "set": "rs0", "members": [
            { "_id": 0, "name": "a:1", "health": 1.0, "stateStr": "SECONDARY", "self": true },
            { "_id": 1, "name": "b:1", "health": 1.0, "stateStr": "ARBITER" },
        ] };
        let set = set(&status, None);
        assert_eq!(set.majority, 2);
        let seen: Vec<_> = set.members.iter().map(|one| (one.votes, one.electable, one.lag)).collect();
        assert_eq!(seen, [(1, true, None), (1, false, None)]);
    }
}
