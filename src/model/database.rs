//! What is known of a MongoDB server: who it is, who uses it, its replica set, and what it leaves behind.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::UnitName;
use super::spoken::{exactly, running};

/// A client connection as the server sees it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ClientConnection {
    /// Address and port of the client, as in `127.0.0.1:51234`; empty over a Unix socket.
    pub client: String,
    /// `appName` of the client; empty where it gave none.
    pub app_name: String,
    /// Whether an operation is running on it.
    pub active: bool,
    /// What it does, as in `aggregate shop.orders`; none if it does nothing.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub operation: Option<String>,
    /// How long that operation runs.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub running: Option<SignedDuration>,
    /// How long the connection stands, by the server's log; none if the log does not tell.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub age: Option<SignedDuration>,
    /// The user who logged in, as in `api@admin`; none without a login.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub user: Option<String>,
}

/// Clients in a few lines: by application, user and host, with how many connections, the age of the oldest, and what is
/// under way.
pub fn summary_of_clients(clients: &[ClientConnection]) -> Vec<String> {
    let mut groups: BTreeMap<(String, &str), Vec<&ClientConnection>> = BTreeMap::new();
    for client in clients {
        let host = client.client.rsplit_once(':').map_or("a Unix socket", |(host, _)| host);
        let name = if client.app_name.is_empty() { "without a name" } else { &client.app_name };
        let name = client.user.as_ref().map_or(name.to_owned(), |user| format!("{name} as {user}"));
        groups.entry((name, host)).or_default().push(client);
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(_, clients)| std::cmp::Reverse(clients.len()));
    let one = |((name, host), clients): ((String, &str), Vec<&ClientConnection>)| {
        let oldest = clients.iter().filter_map(|client| client.age).max();
        let oldest = oldest.map(|age| format!(", the oldest {}", running(age)));
        let mut work: Vec<&str> = clients.iter().filter_map(|client| client.operation.as_deref()).collect();
        work.sort_unstable();
        work.dedup();
        let work = if work.is_empty() { "idle".to_owned() } else { work.join(" and ") };
        format!("{name} from {host}: {}{}, {work}", clients.len(), oldest.unwrap_or_default())
    };
    groups.into_iter().map(one).collect()
}

/// What a running server says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DatabaseFacts {
    /// As in `6.0.5`.
    pub version: String,
    /// The server's process; compared with the unit's main process. None if the role may not ask.
    pub pid: Option<u32>,
    /// `standalone`, `primary`, `secondary`, `arbiter`, `router` (mongos), or `other`: a member of a replica set that
    /// serves nobody yet.
    pub role: String,
    /// `storage.dbPath`; none if the role may not ask.
    pub db_path: Option<String>,
    /// `systemLog.path`; none if the log does not go to a file, or the role may not ask.
    pub log_path: Option<String>,
    /// The replica set's name; none for a server that is in none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub set_name: Option<String>,
    /// The server's own name in the set, as in `db1.example.org:27017`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub member: Option<String>,
    /// A member that clients do not see.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub hidden: bool,
    /// How far a delayed member stays behind on purpose.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub delay: Option<SignedDuration>,
    /// Why it serves nobody although it was started as a member of a replica set; none for all others.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub outside: Option<String>,
}

impl DatabaseFacts {
    /// The role with what is special about it, as in `hidden secondary of rs0`.
    pub fn described(&self) -> String {
        let hidden = if self.hidden { "hidden " } else { "" };
        let delayed = if self.delay.is_some() { "delayed " } else { "" };
        let set = self.set_name.as_ref().map(|set| format!(" of {set}")).unwrap_or_default();
        format!("{hidden}{delayed}{}{set}", self.role)
    }
}

/// A replica set as one of its members sees it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ReplicaSet {
    pub name: String,
    /// Votes that a majority needs.
    pub majority: u32,
    /// All members, this one among them.
    pub members: Vec<ReplicaMember>,
}

/// A member of a replica set.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ReplicaMember {
    /// As in `db1.example.org:27017`.
    pub name: String,
    /// As in `PRIMARY`, `SECONDARY`, `RECOVERING`.
    pub state: String,
    /// Whether it answers the one that was asked.
    pub healthy: bool,
    /// Whether it is the one that was asked.
    pub is_self: bool,
    /// Its votes: 0 or 1.
    pub votes: u32,
    /// Whether it may become primary.
    pub electable: bool,
    /// How far it is behind the primary; none if there is no primary, and for arbiters.
    pub lag: Option<SignedDuration>,
}

impl ReplicaMember {
    /// Whether it works as a member: it answers, and holds data or votes.
    pub fn is_working(&self) -> bool {
        self.healthy && matches!(self.state.as_str(), "PRIMARY" | "SECONDARY" | "ARBITER")
    }

    /// Whether it could take over now without losing more than `max_lag`.
    pub fn could_take_over(&self, max_lag: SignedDuration) -> bool {
        let caught_up = self.lag.is_some_and(|lag| lag <= max_lag);
        self.healthy && self.electable && self.state == "SECONDARY" && caught_up
    }
}

impl ReplicaSet {
    /// The member that was asked.
    pub fn own(&self) -> Option<&ReplicaMember> {
        self.members.iter().find(|member| member.is_self)
    }

    /// Why the set could not do without the members in `leaving`; none if it could, and where nobody stays who would
    /// miss them: then the set goes down with this host.
    ///
    /// A primary also needs somebody who takes over.
    pub fn refusal(&self, leaving: &[String], is_primary: bool, max_lag: SignedDuration) -> Option<String> {
        let leaves = |member: &ReplicaMember| member.is_self || leaving.contains(&member.name);
        let staying: Vec<&ReplicaMember> = self.members.iter().filter(|member| !leaves(member)).collect();
        if staying.is_empty() {
            return None;
        }
        let votes: u32 = staying.iter().filter(|member| member.is_working()).map(|member| member.votes).sum();
        if votes < self.majority {
            return Some(format!(
                "no majority of {} would remain: {votes} of the {} votes that it needs ({})",
                self.name,
                self.majority,
                described(&staying)
            ));
        }
        if is_primary && !staying.iter().any(|member| member.could_take_over(max_lag)) {
            return Some(format!(
                "no electable secondary of {} is within {max_lag} of this primary ({})",
                self.name,
                described(&staying),
                max_lag = exactly(max_lag)
            ));
        }
        None
    }
}

fn described(members: &[&ReplicaMember]) -> String {
    let one = |member: &&ReplicaMember| {
        let health = if member.healthy { "" } else { ", does not answer" };
        let electable = if member.electable { "" } else { ", not electable" };
        let lag = member
            .lag
            .filter(|lag| !lag.is_zero())
            .map(|lag| format!(", {lag} behind", lag = exactly(lag)))
            .unwrap_or_default();
        format!("{}: {}{health}{electable}{lag}", member.name, member.state)
    };
    members.iter().map(one).collect::<Vec<_>>().join("; ")
}

/// An operation that a client or the server itself has under way.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RunningOperation {
    /// The server's number for it; what `killOp` takes.
    pub id: i64,
    /// Who: application and address, or the server's own thread.
    pub who: String,
    /// What, as in `aggregate shop.orders`.
    pub what: String,
    /// How long it has been running.
    pub running: SignedDuration,
    /// An index build: it is not ended, since MongoDB keeps its progress over a clean shutdown.
    pub is_index_build: bool,
}

impl std::fmt::Display for RunningOperation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {}, for {}", self.what, self.who, running(self.running))
    }
}

/// How a server stands, beyond its facts. None: the role may not ask.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DatabaseCondition {
    /// `featureCompatibilityVersion`, as in `6.0`.
    pub compatibility: Option<String>,
    /// Whether writes are blocked by `fsyncLock`.
    pub fsync_locked: Option<bool>,
    /// Whether writes go to a journal.
    pub journaled: Option<bool>,
    /// Whether the server asks for a login.
    pub authorization: Option<bool>,
    /// Connections now, and how many more the server takes.
    pub connections: Option<(i64, i64)>,
    /// What our user may do on the cluster, as in `shutdown`; none if the server asks for no login.
    pub actions: Option<Vec<String>>,
}

impl DatabaseCondition {
    /// Which of these actions on the cluster our user may not take.
    pub fn lacks<'a>(&self, wanted: &[&'a str]) -> Vec<&'a str> {
        let Some(actions) = &self.actions else { return Vec::new() };
        let may = |action: &str| actions.iter().any(|one| one == action || one == "anyAction");
        wanted.iter().copied().filter(|action| !may(action)).collect()
    }
}

/// What is known of a collection that is compared before and after.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Canary {
    /// As in `shop.orders`.
    pub collection: String,
    pub documents: u64,
    /// MD5 over its content, as `dbHash` says; none if the role may not ask.
    pub checksum: Option<String>,
}

/// What a stopped server left behind.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DatabaseStopEvidence {
    /// Size of `mongod.lock` in bytes: 0 after a clean end. None if it cannot be read.
    pub lock_file_bytes: Option<u64>,
    /// `exitCode` of the last log record 23138 ("Shutting down"). None if the log has none since the last start.
    pub logged_exit_code: Option<i64>,
    /// Whether the log since the last start holds 4795901 ("WiredTiger closed"). None: the log is not readable.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub storage_closed: Option<bool>,
}

/// What a started server says of the end before.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DatabaseStartEvidence {
    /// Whether the log since the last start holds 22271 or 22302 (unclean shutdown, recovery). None: not readable.
    pub unclean_shutdown_seen: Option<bool>,
    /// From the log's start record (4615611) until it waits for connections (23016). None: the log does not tell.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ready_after: Option<SignedDuration>,
    /// When it began to wait for connections (23016), by the wall's clock. None: the log does not tell.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ready_at: Option<Timestamp>,
}

/// How a database came back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseReturn {
    pub unit: UnitName,
    /// The server after the boot; none if it did not answer.
    pub facts: Option<DatabaseFacts>,
    /// What its log says of its start.
    pub start: DatabaseStartEvidence,
    /// Its replica set; none for a server that is in none.
    pub replica_set: Option<ReplicaSet>,
    /// `featureCompatibilityVersion`; none if the role may not ask.
    pub compatibility: Option<String>,
    /// The canary collection; none if none is configured.
    pub canary: Option<Canary>,
    /// How long the member took to catch up with its set, after it was ready.
    pub caught_up_after: Option<SignedDuration>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAG: SignedDuration = SignedDuration::from_secs(10);

    fn member(name: &str, state: &str, lag: i64) -> ReplicaMember {
        ReplicaMember {
            name: name.into(),
            state: state.into(),
            healthy: true,
            is_self: name == "a",
            votes: 1,
            electable: state != "ARBITER",
            lag: (state != "ARBITER").then(|| SignedDuration::from_secs(lag)),
        }
    }

    fn set(members: Vec<ReplicaMember>) -> ReplicaSet {
        let voters = u32::try_from(members.len()).unwrap();
        ReplicaSet { name: "rs0".into(), majority: voters / 2 + 1, members }
    }

    #[test]
    fn a_member_may_go_where_the_set_can_do_without_it() {
        let down = ReplicaMember { healthy: false, state: "(not reachable/healthy)".into(), ..member("c", "DOWN", 0) };
        let never_primary = |name: &str| ReplicaMember { electable: false, ..member(name, "SECONDARY", 0) };
        let observer = ReplicaMember { votes: 0, ..member("c", "SECONDARY", 0) };
        let primary = || member("a", "PRIMARY", 0);
        let second = || member("b", "SECONDARY", 0);
        for (members, leaving, expected) in [
            (vec![primary(), second(), member("c", "SECONDARY", 0)], vec![], None),
            (vec![primary(), second(), member("c", "ARBITER", 0)], vec![], None),
            // Nobody stays who could miss it.
            (vec![primary()], vec![], None),
            (vec![primary(), second(), member("c", "SECONDARY", 0)], vec!["b", "c"], None),
            // The next member of this host would leave one of three.
            (vec![primary(), second(), member("c", "SECONDARY", 0)], vec!["b"], Some("no majority of rs0")),
            (vec![primary(), second()], vec![], Some("no majority of rs0")),
            (vec![primary(), second(), down], vec![], Some("does not answer")),
            (vec![primary(), second(), observer], vec![], Some("1 of the 2 votes")),
            (vec![primary(), never_primary("b"), never_primary("c")], vec![], Some("no electable secondary")),
            (vec![primary(), member("b", "SECONDARY", 60), member("c", "ARBITER", 0)], vec![], Some("1 min behind")),
        ] {
            let leaving: Vec<String> = leaving.into_iter().map(str::to_owned).collect();
            let refusal = set(members).refusal(&leaving, true, LAG);
            match expected {
                None => assert_eq!(refusal, None),
                Some(words) => assert!(refusal.as_ref().is_some_and(|why| why.contains(words)), "{words}: {refusal:?}"),
            }
        }
        // A secondary needs nobody who takes over.
        let members = vec![member("a", "SECONDARY", 0), member("b", "PRIMARY", 0), never_primary("c")];
        assert_eq!(set(members).refusal(&[], false, LAG), None);
    }

    #[test]
    fn clients_are_summed_up_by_application_and_host() {
        let client = |client: &str, age, operation: Option<&str>| ClientConnection {
            client: client.into(),
            app_name: "api".into(),
            age: Some(SignedDuration::from_secs(age)),
            operation: operation.map(str::to_owned),
            ..ClientConnection::default()
        };
        let socket = ClientConnection { user: Some("ops@admin".into()), ..ClientConnection::default() };
        let clients = [client("10.0.0.1:1", 5, None), socket, client("10.0.0.1:2", 65, Some("find shop.orders"))];
        assert_eq!(
            summary_of_clients(&clients),
            [
                "api from 10.0.0.1: 2, the oldest 1 min 5 s, find shop.orders",
                "without a name as ops@admin from a Unix socket: 1, idle",
            ]
        );
    }

    #[test]
    fn the_role_is_told_with_what_is_special() {
        let facts = DatabaseFacts {
            role: "secondary".into(),
            set_name: Some("rs0".into()),
            hidden: true,
            delay: Some(SignedDuration::from_hours(1)),
            ..DatabaseFacts::default()
        };
        assert_eq!(facts.described(), "hidden delayed secondary of rs0");
        assert_eq!(DatabaseFacts { role: "standalone".into(), ..DatabaseFacts::default() }.described(), "standalone");
    }

    /// Runs of the first version lack what came later.
    #[test]
    fn older_records_can_be_read() {
        let facts: DatabaseFacts =
            serde_json::from_str(r#"{"version":"6.0.5","pid":7,"role":"standalone","db_path":null,"log_path":null}"#)
                .unwrap();
        assert_eq!((facts.set_name, facts.hidden), (None, false));
        let client: ClientConnection =
            serde_json::from_str(r#"{"client":"127.0.0.1:1","app_name":"api","active":true}"#).unwrap();
        assert_eq!((client.operation, client.age), (None, None));
        let evidence: DatabaseStopEvidence =
            serde_json::from_str(r#"{"lock_file_bytes":0,"logged_exit_code":0}"#).unwrap();
        assert_eq!(evidence.storage_closed, None);
    }
}
