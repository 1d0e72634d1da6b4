//! Tell those who wait. Nothing that happens here changes a run: what did not arrive is recorded, and told in the report.

use jiff::SignedDuration;

use super::report::write_faces;
use super::stay::reason_to_stay;
use super::{StepContext, StepEnd, StepResult};
use crate::host::HostErrorKind;
use crate::model::{Channel, Fact, Notification, Occasion, Parcel};
use crate::{notify, report};

const FIRST_PAUSE: SignedDuration = SignedDuration::from_secs(2);
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_secs(20);

/// A message that is to be sent.
struct Message {
    number: u32,
    channel: String,
    parcel: Parcel,
    tries: u32,
    retry_for: SignedDuration,
}

pub(super) async fn perform(ctx: &mut StepContext<'_>, occasion: Occasion) -> StepResult {
    if occasion == Occasion::Reboot && reason_to_stay(ctx).is_some() {
        return Ok(StepEnd::Skipped("no reboot follows".into()));
    }
    let mut waiting = messages(ctx, occasion);
    if waiting.is_empty() {
        return Ok(StepEnd::Skipped("no one is to be told".into()));
    }
    let all = waiting.len();
    let mut waited = SignedDuration::ZERO;
    let mut pause = FIRST_PAUSE;
    loop {
        waiting = send(ctx, occasion, waiting).await?;
        // Services wait for the end of the other occasions.
        waiting.retain(|message| occasion == Occasion::End && waited < message.retry_for);
        if waiting.is_empty() {
            break;
        }
        ctx.host.clock.sleep(pause).await;
        waited += pause;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    if occasion == Occasion::End {
        // The report was written before anybody could know who was told.
        write_faces(ctx)?;
    }
    let failed =
        ctx.run().notifications.iter().filter(|told| told.occasion == occasion && told.problem.is_some()).count();
    Ok(StepEnd::Succeeded(Some(match failed {
        0 => format!("{all} sent"),
        _ => format!("{} sent, {failed} did not arrive", all.saturating_sub(failed)),
    })))
}

/// Everything that was not sent before a crash. What was sent and not recorded is sent again.
fn messages(ctx: &StepContext<'_>, occasion: Occasion) -> Vec<Message> {
    let clock = &ctx.host.clock;
    let report = report::build(ctx.run(), &ctx.recorder.timeline(), clock.now()).in_zone(clock.zone());
    let is_told = |number: u32| {
        let told = ctx.run().notifications.iter();
        told.clone().any(|told| told.number == number && told.occasion == occasion && told.problem.is_none())
    };
    let message = |(number, channel): (u32, &Channel)| {
        let parcel = notify::parcel(channel, occasion, &report).filter(|_| !is_told(number))?;
        Some(Message { number, channel: notify::label(channel), parcel, tries: 0, retry_for: channel.retry_for })
    };
    (1..).zip(&ctx.settings.notify).filter_map(message).collect()
}

/// Sends each, records what became of it, and gives back what may arrive later.
async fn send(
    ctx: &mut StepContext<'_>,
    occasion: Occasion,
    messages: Vec<Message>,
) -> Result<Vec<Message>, super::StepError> {
    let mut later = Vec::new();
    for mut message in messages {
        message.tries += 1;
        let sent = ctx.host.messenger.send(&message.parcel).await;
        let problem = sent.as_ref().err().map(ToString::to_string);
        if let Some(problem) = problem.as_ref().filter(|_| message.tries == 1) {
            ctx.note(format!("{} did not arrive: {problem}", message.channel));
        }
        let told = Notification {
            number: message.number,
            channel: message.channel.clone(),
            occasion,
            at: ctx.host.clock.now(),
            tries: message.tries,
            problem,
        };
        ctx.recorder.record(Fact::Notified(told))?;
        if sent.is_err_and(|error| error.kind == HostErrorKind::Unknown) {
            later.push(message);
        }
    }
    Ok(later)
}
