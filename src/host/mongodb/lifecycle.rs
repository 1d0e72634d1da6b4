//! Who the server is, and its orderly end.

use std::time::Duration;

use ::mongodb::Database as AdminDatabase;
use ::mongodb::bson::{Bson, doc};
use async_trait::async_trait;
use jiff::SignedDuration;

use super::errors::{
    COMMAND_NOT_FOUND, code, explain, if_allowed, is_dropped_connection, is_ending_already, is_stepping_down,
};
use super::{Mongo, close, closed, outside, reply};
use crate::host::{Database, HostError, HostErrorKind, HostResult, ShutdownSpec};
use crate::model::{DatabaseAccess, DatabaseFacts};

/// What an answer may take beyond the time that the server was given.
const MARGIN: Duration = Duration::from_secs(5);

/// A member that stepped down does not stand for election for this long: far beyond the stop that follows.
const STEP_DOWN_SECS: i64 = 300;

const NOTHING: &str = "no privilege";
const SHUTDOWN_NEEDS: &str = "the action shutdown on the cluster, as in the role hostManager";
const STEP_DOWN_NEEDS: &str = "the action replSetStateChange on the cluster, as in the role clusterManager";
const KILL_NEEDS: &str = "the action killop on the cluster, as in the role hostManager";
const SESSIONS_NEED: &str = "the action killAnySession on the cluster, as in the role hostManager";

#[async_trait]
impl Database for Mongo {
    async fn listens(&self, access: &DatabaseAccess) -> HostResult<bool> {
        Ok(closed::listens(&self.address(access).await?).await)
    }

    /// Needs no role; what a role may not ask is none.
    async fn facts(&self, access: &DatabaseAccess) -> HostResult<DatabaseFacts> {
        self.ask("ask MongoDB who it is", NOTHING, access, async |admin: &AdminDatabase| {
            let hello = match admin.run_command(doc! { "hello": 1 }).await {
                Err(error) if code(&error) == Some(COMMAND_NOT_FOUND) => {
                    admin.run_command(doc! { "isMaster": 1 }).await?
                }
                answer => answer?,
            };
            // The sections that are costly to gather are left out.
            let status =
                doc! { "serverStatus": 1, "metrics": 0, "tcmalloc": 0, "wiredTiger": 0, "locks": 0, "repl": 0 };
            let status = if_allowed(admin.run_command(status).await)?;
            let options = if_allowed(admin.run_command(doc! { "getCmdLineOpts": 1 }).await)?;
            let build = if_allowed(admin.run_command(doc! { "buildInfo": 1 }).await)?;
            let mut facts = reply::facts(&hello, build.as_ref(), status.as_ref(), options.as_ref());
            if facts.role == "other" && facts.set_name.is_none() {
                facts.outside = outside::why(admin).await?;
            }
            Ok(facts)
        })
        .await
    }

    async fn step_down(&self, access: &DatabaseAccess, catch_up: SignedDuration) -> HostResult<()> {
        let catch_up = catch_up.as_secs().clamp(1, STEP_DOWN_SECS - 1);
        let limit = Duration::from_secs(catch_up.unsigned_abs()) + MARGIN;
        let order = doc! { "replSetStepDown": STEP_DOWN_SECS, "secondaryCatchUpPeriodSecs": catch_up };
        self.ask_within(
            limit,
            "hand over the primary's part",
            STEP_DOWN_NEEDS,
            access,
            async |admin: &AdminDatabase| {
                match admin.run_command(order).await {
                    // Whether it is a secondary now is looked at next.
                    Err(error) if is_dropped_connection(&error) || is_stepping_down(&error) => Ok(()),
                    answer => answer.map(drop),
                }
            },
        )
        .await
    }

    async fn kill_operation(&self, access: &DatabaseAccess, id: i64) -> HostResult<()> {
        let what = format!("end operation {id}");
        self.ask(&what, KILL_NEEDS, access, async |admin: &AdminDatabase| {
            admin.run_command(doc! { "killOp": 1, "op": id }).await.map(drop)
        })
        .await
    }

    async fn kill_sessions(&self, access: &DatabaseAccess, users: &[String]) -> HostResult<()> {
        let split = |user: &String| user.rsplit_once('@').map(|(user, db)| doc! { "user": user, "db": db });
        let users: Vec<Bson> = users.iter().filter_map(split).map(Bson::from).collect();
        // An empty list would mean everybody.
        if users.is_empty() {
            return Ok(());
        }
        self.ask("end the sessions of clients", SESSIONS_NEED, access, async |admin: &AdminDatabase| {
            admin.run_command(doc! { "killAllSessions": users }).await.map(drop)
        })
        .await
    }

    /// Asks for an answer first, so that a server which cannot be reached is not taken for one that dropped the
    /// connection because it obeyed.
    async fn shutdown(&self, access: &DatabaseAccess, shutdown: ShutdownSpec) -> HostResult<()> {
        let what = "shut MongoDB down";
        let client = self.connect(access).await?;
        let admin = client.database("admin");
        let seconds = shutdown.quiesce.as_secs().clamp(0, i64::from(i32::MAX));
        let limit = Duration::try_from(shutdown.patience).unwrap_or_default();
        // The command's name must be the first key.
        let command = doc! { "shutdown": 1, "timeoutSecs": seconds, "force": shutdown.force };
        let order = async {
            if let Err(error) = admin.run_command(doc! { "ping": 1 }).await {
                return Err(self.explain(what, SHUTDOWN_NEEDS, access, &error).await);
            }
            match admin.run_command(command).await {
                Ok(_) => Ok(()),
                Err(error) if is_dropped_connection(&error) || is_ending_already(&error) => Ok(()),
                Err(error) => Err(explain(what, SHUTDOWN_NEEDS, &error)),
            }
        };
        let outcome = tokio::time::timeout(limit, order).await;
        close(client).await;
        outcome.unwrap_or_else(|_| {
            Err(HostError::new(HostErrorKind::Unknown, what, format!("no answer within {} s", limit.as_secs())))
        })
    }
}
