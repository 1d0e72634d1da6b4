//! What the server does, for whom, and how it stands.

use ::mongodb::Database as AdminDatabase;
use ::mongodb::bson::{DateTime, Document, doc};
use ::mongodb::error::Error;
use async_trait::async_trait;
use futures_util::TryStreamExt;
use jiff::Timestamp;

use super::errors::{NO_REPLICATION, SET_NOT_INITIALIZED, UNAUTHORIZED, code, if_allowed};
use super::{Mongo, operations, replica, reply};
use crate::host::{DatabaseInsight, HostResult};
use crate::model::{Canary, ClientConnection, DatabaseAccess, DatabaseCondition, ReplicaSet, RunningOperation};

const NOTHING: &str = "no privilege";
const CLIENTS_NEED: &str = "the action inprog on the cluster, as in the role clusterMonitor";
const SET_NEEDS: &str = "the action replSetGetStatus on the cluster, as in the role clusterMonitor";
const COUNT_NEEDS: &str = "the action find on the collection of active users";
const CANARY_NEEDS: &str = "the action find on the canary collection";

async fn current_operations(admin: &AdminDatabase, idle: bool) -> Result<Vec<Document>, Error> {
    let stage = doc! { "$currentOp": { "allUsers": true, "idleConnections": idle, "idleSessions": false } };
    admin.aggregate([stage]).await?.try_collect().await
}

#[async_trait]
impl DatabaseInsight for Mongo {
    async fn clients(&self, access: &DatabaseAccess) -> HostResult<Vec<ClientConnection>> {
        let what = "list the clients of MongoDB";
        let seen =
            self.ask(what, CLIENTS_NEED, access, async |admin: &AdminDatabase| current_operations(admin, true).await);
        Ok(operations::clients(&seen.await?, &self.app_name))
    }

    async fn operations(&self, access: &DatabaseAccess) -> HostResult<Vec<RunningOperation>> {
        let what = "list the operations of MongoDB";
        let seen =
            self.ask(what, CLIENTS_NEED, access, async |admin: &AdminDatabase| current_operations(admin, false).await);
        Ok(operations::running_operations(&seen.await?, &self.app_name))
    }

    async fn replica_set(&self, access: &DatabaseAccess) -> HostResult<Option<ReplicaSet>> {
        self.ask("ask MongoDB for its replica set", SET_NEEDS, access, async |admin: &AdminDatabase| {
            let status = match admin.run_command(doc! { "replSetGetStatus": 1 }).await {
                Err(error) if [Some(NO_REPLICATION), Some(SET_NOT_INITIALIZED)].contains(&code(&error)) => {
                    return Ok(None);
                }
                answer => answer?,
            };
            // Votes and priorities are in the configuration; without it each member counts as an ordinary one.
            let config = if_allowed(admin.run_command(doc! { "replSetGetConfig": 1 }).await)?;
            Ok(Some(replica::set(&status, config.as_ref())))
        })
        .await
    }

    async fn condition(&self, access: &DatabaseAccess) -> HostResult<DatabaseCondition> {
        self.ask("ask MongoDB how it stands", NOTHING, access, async |admin: &AdminDatabase| {
            let compatibility = doc! { "getParameter": 1, "featureCompatibilityVersion": 1 };
            let compatibility = if_allowed(admin.run_command(compatibility).await)?;
            // No operation has this number: only what stands beside the list is wanted.
            let lock = if_allowed(admin.run_command(doc! { "currentOp": 1, "opid": -1 }).await)?;
            let options = admin.run_command(doc! { "getCmdLineOpts": 1 }).await;
            let refused = options.as_ref().is_err_and(|error| code(error) == Some(UNAUTHORIZED));
            let options = if_allowed(options)?;
            let status =
                doc! { "serverStatus": 1, "metrics": 0, "tcmalloc": 0, "wiredTiger": 0, "locks": 0, "repl": 0 };
            let status = if_allowed(admin.run_command(status).await)?;
            let user = admin.run_command(doc! { "connectionStatus": 1, "showPrivileges": true }).await?;
            let authorization = if refused { Some(true) } else { options.as_ref().map(reply::asks_for_login) };
            Ok(DatabaseCondition {
                compatibility: compatibility.as_ref().and_then(reply::compatibility),
                fsync_locked: lock.map(|lock| lock.get_bool("fsyncLock").unwrap_or(false)),
                journaled: options.as_ref().map(reply::is_journaled),
                authorization,
                connections: status.as_ref().and_then(reply::connections),
                actions: (authorization != Some(false)).then(|| reply::cluster_actions(&user)),
            })
        })
        .await
    }

    async fn count_since(
        &self,
        access: &DatabaseAccess,
        collection: &str,
        field: &str,
        since: Timestamp,
    ) -> HostResult<u64> {
        let (database, name) = collection.split_once('.').unwrap_or((collection, ""));
        let what = format!("count the documents of {collection}");
        self.ask(&what, COUNT_NEEDS, access, async |admin: &AdminDatabase| {
            let recent = doc! { field: { "$gte": DateTime::from_millis(since.as_millisecond()) } };
            let collection = admin.client().database(database).collection::<Document>(name);
            collection.count_documents(recent).await
        })
        .await
    }

    async fn canary(&self, access: &DatabaseAccess, collection: &str) -> HostResult<Canary> {
        let (database, name) = collection.split_once('.').unwrap_or((collection, ""));
        let what = format!("count {collection}");
        self.ask(&what, CANARY_NEEDS, access, async |admin: &AdminDatabase| {
            let database = admin.client().database(database);
            let documents = database.collection::<Document>(name).count_documents(doc! {}).await?;
            let sums = if_allowed(database.run_command(doc! { "dbHash": 1, "collections": [name] }).await)?;
            let checksum = sums.as_ref().and_then(|sums| sums.get_document("collections").ok()?.get_str(name).ok());
            Ok(Canary { collection: collection.to_owned(), documents, checksum: checksum.map(str::to_owned) })
        })
        .await
    }
}
