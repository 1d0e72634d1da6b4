//! What a step is given, and what it returns.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::SignedDuration;

use crate::config::Settings;
use crate::events::{Event, EventKind, EventSink};
use crate::host::{Host, HostError, HostErrorKind, HostResult};
use crate::model::{Fact, Run, UnitName};

/// Where a step records facts. On return a fact is durable.
pub trait Recorder: Send {
    /// The run as it is now.
    fn run(&self) -> &Run;

    /// Applies the fact and saves the run.
    ///
    /// # Errors
    ///
    /// When the fact cannot follow, or cannot be saved. The step must then stop without touching anything more.
    fn record(&mut self, fact: Fact) -> Result<(), RecordError>;

    /// Where the output of a work unit goes.
    fn output_path(&self, name: &str) -> PathBuf;

    /// Writes a file of the run, as in `report.txt`.
    ///
    /// # Errors
    ///
    /// The file system's word.
    fn write_file(&self, name: &str, content: &[u8]) -> Result<(), RecordError>;

    /// The events of the run so far.
    fn timeline(&self) -> Vec<Event>;
}

/// A fact that could not be recorded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot record: {0}")]
pub struct RecordError(pub String);

/// Set from a signal handler. Looked at between steps, and by steps that only wait.
#[derive(Debug, Default)]
pub struct AbortFlag(AtomicBool, OnceLock<String>);

impl AbortFlag {
    /// Asks the run to end at the next safe point.
    pub fn request(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// The same, for somebody; the first who asks is named.
    pub fn request_for(&self, by: &str) {
        self.1.get_or_init(|| by.to_owned());
        self.request();
    }

    /// Who asked for it, as far as is known.
    pub fn by(&self) -> Option<&str> {
        self.1.get().map(String::as_str)
    }

    /// Whether it was asked for.
    pub fn is_requested(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// Everything a step may use.
pub struct StepContext<'a> {
    pub recorder: &'a mut dyn Recorder,
    /// The settings with which the run began.
    pub settings: &'a Settings,
    pub host: &'a Host,
    pub events: &'a dyn EventSink,
    /// Whether somebody wants the run to end.
    pub abort: &'a AbortFlag,
    /// Work units that ended: systemd keeps their outcome until the step's end is recorded.
    pub ended_work: Vec<UnitName>,
}

impl StepContext<'_> {
    pub(super) fn run(&self) -> &Run {
        self.recorder.run()
    }

    /// Whether the run may reboot, as far as settings and options say.
    pub(super) fn may_reboot(&self) -> bool {
        self.settings.may_reboot(&self.run().options)
    }

    pub(super) fn note(&self, message: impl Into<String>) {
        self.events.emit(EventKind::Noted { message: message.into() });
    }
}

/// How a step ended well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepEnd {
    /// Done; what was found, in a few words.
    Succeeded(Option<String>),
    /// There was nothing to do, and why.
    Skipped(String),
    /// The whole run has nothing to do.
    NothingToDo,
    /// The reboot is on its way; the attempt stays open until the next boot.
    RebootRequested,
}

/// How a step ended badly.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StepError {
    /// What failed, on what and why.
    #[error("{0}")]
    Failed(String),
    /// What it found or is about to change could not be recorded.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// It did not come to its end: where the run goes on, it is begun again after a repair.
    #[error("{0}")]
    Again(String),
    /// It only waited, somebody wants the run to end, and it has touched nothing since.
    #[error("the run was asked to end")]
    Aborted,
}

impl StepError {
    /// Both of two that happened side by side.
    pub(super) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Failed(one), Self::Failed(other)) => Self::Failed(format!("{one}; {other}")),
            // It ends more than this step.
            (Self::Failed(_), other) => other,
            (one, _) => one,
        }
    }
}

impl From<HostError> for StepError {
    fn from(error: HostError) -> Self {
        Self::Failed(error.to_string())
    }
}

/// What a step returns.
pub type StepResult = Result<StepEnd, StepError>;

/// How long a systemd that does not answer is asked again for what must be undone: a reload of its units may take minutes.
const ASK_FOR: SignedDuration = SignedDuration::from_mins(2);
const ASK_EVERY: SignedDuration = SignedDuration::from_secs(2);

/// Asks again while nobody answers. Only for what does no more when it is done twice.
pub(super) async fn ask_again<T, F>(ctx: &StepContext<'_>, ask: impl Fn() -> F) -> HostResult<T>
where
    F: Future<Output = HostResult<T>>,
{
    let began = ctx.host.clock.now();
    loop {
        match ask().await {
            Err(error)
                if error.kind == HostErrorKind::Unknown && ctx.host.clock.now().duration_since(began) < ASK_FOR =>
            {
                ctx.host.clock.sleep(ASK_EVERY).await;
            }
            answer => return answer,
        }
    }
}
