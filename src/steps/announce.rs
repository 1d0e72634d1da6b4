//! Tell those who are logged in that services go down, give them time, and tell those who log in meanwhile. Nothing that
//! fails here changes a run.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::{StepContext, StepEnd, StepError, StepResult};
use crate::events::EventKind;
use crate::model::spoken::{exactly, running};
use crate::model::{Change, Fact, Parcel, Step, Trigger};

/// How often the wish to end the run is looked for, and how often the rest of the time is told.
const LOOK_EVERY: SignedDuration = SignedDuration::from_secs(1);
const TELL_EVERY: i64 = 10;

pub(super) async fn perform(ctx: &mut StepContext<'_>) -> StepResult {
    let settings = ctx.settings.announce.clone();
    let grace = settings.grace;
    let began = ctx.run().attempt.as_ref().map_or_else(|| ctx.host.clock.now(), |attempt| attempt.began);
    let until = began + grace;
    let text = text(&settings.message, &ctx.run().host, until, &ctx.host.clock.zone());
    let people = people(ctx).await;
    // After a crash everybody knows already, and the time that has passed counts.
    if !ctx.run().changes.contains(&Change::Announced) {
        ctx.recorder.record(Fact::ChangeIntended(Change::Announced))?;
        send(ctx, Parcel::LoginNotice { text: Some(text.clone()) }).await;
        if people > 0 || !grace.is_zero() {
            send(ctx, Parcel::Wall { text }).await;
        }
    }
    wait(ctx, began, until).await?;
    let told = match people {
        0 if began_by_hand(ctx) => "no one else is logged in".to_owned(),
        0 => "no one is logged in".to_owned(),
        1 => "1 session was warned".to_owned(),
        many => format!("{many} sessions were warned"),
    };
    let waited = if grace.is_zero() { String::new() } else { format!(", {grace} ago", grace = exactly(grace)) };
    Ok(StepEnd::Succeeded(Some(format!("{told}{waited}"))))
}

/// Takes the notice away, at the end of every run. A failure is told, and the change stays on record.
pub(super) async fn withdraw(ctx: &mut StepContext<'_>) -> Result<(), StepError> {
    if !ctx.run().changes.contains(&Change::Announced) {
        return Ok(());
    }
    match ctx.host.messenger.send(&Parcel::LoginNotice { text: None }).await {
        Ok(()) => ctx.recorder.record(Fact::ChangeUndone(Change::Announced))?,
        Err(error) => ctx.note(format!("the login notice stays until the next boot: {error}")),
    }
    Ok(())
}

fn began_by_hand(ctx: &StepContext<'_>) -> bool {
    ctx.run().options.trigger == Trigger::Operator
}

/// Sessions besides that of whoever began the run.
async fn people(ctx: &StepContext<'_>) -> usize {
    let own = usize::from(began_by_hand(ctx));
    match ctx.host.people.sessions().await {
        Ok(sessions) => sessions.len().saturating_sub(own),
        Err(error) => {
            ctx.note(format!("who is logged in is not known: {error}"));
            // Somebody may be.
            1
        }
    }
}

async fn send(ctx: &StepContext<'_>, parcel: Parcel) {
    if let Err(error) = ctx.host.messenger.send(&parcel).await {
        ctx.note(format!("not all sessions were warned: {error}"));
    }
}

async fn wait(ctx: &StepContext<'_>, began: Timestamp, until: Timestamp) -> Result<(), StepError> {
    let whole = until.duration_since(began);
    loop {
        let left = until.duration_since(ctx.host.clock.now()).min(whole);
        if !left.is_positive() {
            return Ok(());
        }
        if ctx.abort.is_requested() {
            return Err(StepError::Aborted);
        }
        if left.as_secs() % TELL_EVERY == 0 || left.as_secs() < TELL_EVERY {
            ctx.events.emit(EventKind::StepProgressed {
                step: Step::Announce,
                fraction: Some(1.0 - left.as_secs_f64() / whole.as_secs_f64()),
                remaining: Some(left),
                message: format!("services go down in {}", running(left.max(SignedDuration::from_secs(1)))),
            });
        }
        ctx.host.clock.sleep(LOOK_EVERY.min(left)).await;
    }
}

/// The message with what it leaves open.
fn text(template: &str, host: &str, until: Timestamp, zone: &TimeZone) -> String {
    let time = until.to_zoned(zone.clone()).strftime("%H:%M %Z").to_string();
    template.replace("{time}", &time).replace("{host}", host) + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_has_the_time_of_the_host() {
        let until: Timestamp = "2026-11-23T21:05:30Z".parse().unwrap();
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let said = text("{host}: down at {time}, back later ({time})", "web1", until, &berlin);
        assert_eq!(said, "web1: down at 22:05 CET, back later (22:05 CET)\n");
        assert_eq!(text("soon", "web1", until, &TimeZone::UTC), "soon\n");
    }
}
