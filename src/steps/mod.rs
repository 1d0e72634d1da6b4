//! The steps of a run, one file each. A step sees ports, tells events, and records what it is about to change before
//! it changes it. The order of the steps is data: [`planned_steps`].

mod ahead;
mod announce;
mod baseline;
mod build_kernel;
mod clean_end;
mod companions;
mod deadline;
mod drain;
mod fetch;
mod held_down;
mod hook;
mod install_kernel;
mod kernel_source;
mod last_look;
mod limits;
mod locks;
mod look_again;
mod notify;
mod owed;
mod package_locks;
mod preflight;
mod reboot;
mod recover;
mod remove_kernels;
mod repair;
mod replica_set;
mod report;
mod restart_outdated;
mod restore;
mod rivals;
mod server_gone;
mod silence;
mod stage_check;
mod standstill;
mod stop;
mod stop_mongodb;
mod trial;
mod upgrade;
mod verify;
mod work;

use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::SignedDuration;

use crate::config::{Settings, StopOrder};
use crate::events::{Event, EventKind, EventSink};
use crate::host::{Host, HostError, HostErrorKind, HostResult};
use crate::model::{Channel, Fact, HookPoint, Occasion, Run, RunOptions, Step, UnitName};

pub use kernel_source::is_due as kernel_build_is_due;
pub use owed::{expected_reboot_reasons, owed_now};
pub use work::work_unit;

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
    /// Where it records.
    pub recorder: &'a mut dyn Recorder,
    /// The settings with which the run began.
    pub settings: &'a Settings,
    /// The host.
    pub host: &'a Host,
    /// Where it tells.
    pub events: &'a dyn EventSink,
    /// Whether somebody wants the run to end.
    pub abort: &'a AbortFlag,
    /// Work units that ended: systemd keeps their outcome until the step's end is recorded.
    pub ended_work: Vec<UnitName>,
}

impl StepContext<'_> {
    fn run(&self) -> &Run {
        self.recorder.run()
    }

    fn note(&self, message: impl Into<String>) {
        self.events.emit(EventKind::Noted { message: message.into() });
    }
}

/// How long a systemd that does not answer is asked again for what must be undone: a reload of its units may take minutes.
const ASK_FOR: SignedDuration = SignedDuration::from_mins(2);
const ASK_EVERY: SignedDuration = SignedDuration::from_secs(2);

/// Asks again while nobody answers. Only for what does no more when it is done twice.
async fn ask_again<T, F>(ctx: &StepContext<'_>, ask: impl Fn() -> F) -> HostResult<T>
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

impl From<HostError> for StepError {
    fn from(error: HostError) -> Self {
        Self::Failed(error.to_string())
    }
}

/// What a step returns.
pub type StepResult = Result<StepEnd, StepError>;

/// The steps of a run under these settings, in order: services stop in reverse dependency order.
pub fn planned_steps(settings: &Settings, options: &RunOptions) -> Vec<Step> {
    if options.fetch_only {
        return vec![Step::Fetch];
    }
    let hooks = |point| settings.hooks_at(point).map(|(hook, _)| Step::Hook(hook));
    let late_stop = settings.upgrade.order == StopOrder::LateStop;
    // Under late-stop packages are what goes first, and all that can refuse must refuse before they are touched.
    let again = (!late_stop).then_some(Step::LookAgain);
    let stops = settings.services.iter().rev().map(|service| Step::Stop(service.unit.clone()));
    let start = (!settings.notify.is_empty()).then_some(Step::Notify(Occasion::Start));
    let silence = settings.silence.iter().map(|_| Step::Silence);
    let stop = start.into_iter().chain([Step::Announce]).chain(silence).chain(hooks(HookPoint::BeforeStop));
    let stop: Vec<Step> = stop.chain(again).chain(stops).chain(hooks(HookPoint::AfterStop)).collect();

    let mut own_kernel = match settings.kernel.source {
        Some(_) => vec![Step::KernelSource, Step::InstallKernel],
        None => Vec::new(),
    };
    let mut steps = vec![Step::Preflight, Step::Fetch, Step::Baseline];
    steps.extend(settings.kernel.remove_old.then_some(Step::RemoveKernels));
    // Where all of it comes before the stop anyway, nothing is ahead of anything.
    if settings.upgrade.ahead && !late_stop {
        steps.push(Step::Ahead);
        steps.append(&mut own_kernel);
    }
    let again = late_stop.then_some(Step::LookAgain);
    let work = again
        .into_iter()
        .chain([Step::Upgrade])
        .chain(own_kernel)
        .chain([Step::BuildKernel, Step::StageCheck])
        .collect();
    steps.extend(if late_stop { [work, stop] } else { [stop, work] }.into_iter().flatten());

    steps.extend(settings.notify.iter().any(Channel::awaits_the_host).then_some(Step::Notify(Occasion::Reboot)));
    steps.extend(
        hooks(HookPoint::BeforeReboot).chain([Step::Reboot, Step::Verify]).chain(hooks(HookPoint::AfterVerify)),
    );
    steps
}

/// Performs one step under its open attempt.
///
/// # Errors
///
/// What failed; the caller records it.
pub async fn perform(step: &Step, ctx: &mut StepContext<'_>) -> StepResult {
    match step {
        Step::Preflight => preflight::perform(ctx).await,
        Step::Fetch => fetch::perform(ctx).await,
        Step::Baseline => baseline::perform(ctx).await,
        Step::RemoveKernels => remove_kernels::perform(ctx).await,
        Step::Ahead => ahead::perform(ctx).await,
        Step::Announce => announce::perform(ctx).await,
        Step::LookAgain => look_again::perform(ctx).await,
        Step::Silence => silence::begin(ctx).await,
        Step::EndSilence => silence::end(ctx).await,
        Step::Hook(hook) => hook::perform(ctx, *hook).await,
        Step::Stop(unit) => stop::perform(ctx, unit).await,
        Step::Upgrade => upgrade::perform(ctx).await,
        Step::KernelSource => kernel_source::perform(ctx).await,
        Step::InstallKernel => install_kernel::perform(ctx).await,
        Step::BuildKernel => build_kernel::perform(ctx).await,
        Step::StageCheck => stage_check::perform(ctx).await,
        Step::Reboot => reboot::perform(ctx).await,
        Step::Revert => trial::revert(ctx).await,
        Step::Verify => verify::perform(ctx).await,
        Step::Repair => repair::perform(ctx).await,
        Step::Restore => restore::perform(ctx).await,
        Step::LastLook => last_look::perform(ctx).await,
        Step::Report => report::perform(ctx).await,
        Step::Notify(occasion) => notify::perform(ctx, *occasion).await,
    }
}
