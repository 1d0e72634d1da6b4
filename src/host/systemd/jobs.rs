//! Waiting for systemd's jobs without a race.
//!
//! `StartUnit` returns the path of a job, and `JobRemoved` tells how it ended – often before the reply of `StartUnit` is
//! there. So the order is: match rule, `Subscribe()`, call, and only then a look at what was heard. The signals are
//! drained by a task of their own, since a dist-upgrade makes hundreds of them and a full queue would stop the
//! connection, replies included.

use std::num::NonZeroUsize;
use std::time::Duration;

use futures_util::StreamExt as _;
use jiff::SignedDuration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use zbus::{Connection, MatchRule, MessageStream, OwnedObjectPath, message};

use super::manager::Manager;
use super::proxy::{ALREADY_SUBSCRIBED, MANAGER_PATH, ManagerProxy, SERVICE_NAME, manager};
use crate::host::bus::{host_error, is_named};
use crate::host::{HostError, HostErrorKind, HostResult};
use crate::model::spoken::exactly;
use crate::model::{ActiveState, JobResult, UnitName};

/// Queue between the connection and the draining task. The task does nothing else, so this is never full for long.
const MAX_QUEUED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1023);

/// How often the job is looked at besides, in case its signal was lost.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// No wait is longer, whatever is asked for; keeps the arithmetic in bounds.
const LONGEST_WAIT: Duration = Duration::from_secs(30 * 24 * 3600);

/// How long a signal that was sent may take from the socket to us.
const SIGNAL_LAG: Duration = Duration::from_secs(1);

/// What a job is to achieve; decides what the unit's state says of a job whose result was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Goal {
    Up,
    Down,
}

/// Everything that systemd says of ended jobs, from the moment of the subscription.
struct JobSignals {
    ended: mpsc::UnboundedReceiver<(String, JobResult)>,
    drain: JoinHandle<()>,
}

impl Drop for JobSignals {
    fn drop(&mut self) {
        self.drain.abort();
    }
}

impl JobSignals {
    async fn subscribe(connection: &Connection) -> zbus::Result<Self> {
        let rule = MatchRule::builder()
            .msg_type(message::Type::Signal)
            .sender(SERVICE_NAME)
            .path(MANAGER_PATH)
            .interface("org.freedesktop.systemd1.Manager")
            .member("JobRemoved")
            .build()?;
        let mut stream = MessageStream::for_match_rule(rule, connection, Some(MAX_QUEUED)).await?;
        match manager(connection).await?.subscribe().await {
            Err(error) if !is_named(&error, ALREADY_SUBSCRIBED) => return Err(error),
            _ => {}
        }
        let (sender, ended) = mpsc::unbounded_channel();
        let drain = tokio::spawn(async move {
            // The stream ends, or yields an error, when the connection is lost; so does the channel then.
            while let Some(Ok(message)) = stream.next().await {
                let body = message.body();
                let Ok((_, job, _, result)) = body.deserialize::<(u32, OwnedObjectPath, &str, &str)>() else {
                    continue;
                };
                if sender.send((job.as_str().to_owned(), result.into())).is_err() {
                    return;
                }
            }
        });
        Ok(Self { ended, drain })
    }

    /// The result of a job; none once the connection is lost.
    async fn result(&mut self, job: &str) -> Option<JobResult> {
        while let Some((ended, result)) = self.ended.recv().await {
            if ended == job {
                return Some(result);
            }
        }
        None
    }
}

impl Manager {
    /// Asks for a job and waits for it, at most `timeout` in all; outlives a restart of the bus and of systemd.
    ///
    /// `ask` is repeated when its reply was lost. It returns none if it finds that an earlier try got through, and
    /// the job is over.
    ///
    /// # Errors
    ///
    /// What `ask` said; `Unknown` when the job is still at it after `timeout` (it goes on), or when its result was lost
    /// and the unit is neither here nor there.
    pub(super) async fn job<F>(
        &self,
        what: &str,
        unit: &UnitName,
        goal: Goal,
        timeout: SignedDuration,
        ask: impl Fn(ManagerProxy<'static>, Connection) -> F,
    ) -> HostResult<JobResult>
    where
        F: Future<Output = zbus::Result<Option<OwnedObjectPath>>>,
    {
        let deadline = Instant::now() + Duration::try_from(timeout).unwrap_or_default().min(LONGEST_WAIT);
        let ask = &ask;
        let (mut signals, job) = self
            .bus
            .retry(|connection| async move {
                let signals = JobSignals::subscribe(&connection).await?;
                let job = ask(manager(&connection).await?, connection).await?;
                Ok((signals, job))
            })
            .await
            .map_err(|error| host_error(what, &error))?;
        let Some(job) = job else { return self.conclude(what, unit, goal).await };
        loop {
            let heard = tokio::select! {
                result = signals.result(job.as_str()) => match result {
                    Some(result) => return Ok(result),
                    None => false,
                },
                () = tokio::time::sleep(LOOK_EVERY) => true,
                () = tokio::time::sleep_until(deadline) => {
                    let id = job.as_str().rsplit('/').next().unwrap_or_default();
                    let why = format!("job {id} of {unit} is still at it after {timeout}", timeout = exactly(timeout));
                    return Err(HostError::new(HostErrorKind::Unknown, what, why));
                }
            };
            if !heard {
                tracing::debug!(%unit, "the bus was lost while waiting for a job, looking again");
                signals = self
                    .bus
                    .retry(|connection| async move { JobSignals::subscribe(&connection).await })
                    .await
                    .map_err(|error| host_error(what, &error))?;
            }
            if self.current_job(unit).await.map_err(|error| host_error(what, &error))?.as_ref() == Some(&job) {
                continue;
            }
            // It is over. systemd sends the signal before it forgets the job, so that it is here by now or never comes.
            match tokio::time::timeout(SIGNAL_LAG, signals.result(job.as_str())).await {
                Ok(Some(result)) => return Ok(result),
                Ok(None) | Err(_) => return self.conclude(what, unit, goal).await,
            }
        }
    }

    /// The result of a job that is over, and whose result was lost, from what the unit is now.
    async fn conclude(&self, what: &str, unit: &UnitName, goal: Goal) -> HostResult<JobResult> {
        let state = self.state(unit).await?;
        match goal {
            Goal::Up if state.is_up() => Ok(JobResult::Done),
            Goal::Up if state.active == ActiveState::Failed => Ok(JobResult::Failed),
            Goal::Down if state.is_down() => Ok(JobResult::Done),
            _ => {
                let why = format!("the result of its job was lost, and it is {}/{} now", state.active, state.sub);
                Err(HostError::new(HostErrorKind::Unknown, what, why))
            }
        }
    }
}
