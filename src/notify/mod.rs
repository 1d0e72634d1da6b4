//! What those who wait are told, and by which way. Pure: a report in, parcels out; the host's adapter sends them.
//!
//! Nothing here may change a run: whether a message arrived is recorded and told, and decides nothing.

mod metrics;
mod webhook;
mod words;

pub use words::label;

use crate::model::{Channel, NotifyWhen, Occasion, Parcel, Way};
use crate::report::{self, Ending, Report, Style};

/// What one channel is told on an occasion; none if it is not told.
pub fn parcel(channel: &Channel, occasion: Occasion, report: &Report) -> Option<Parcel> {
    let is_wanted = wants(channel.when, occasion, report);
    let is_over = occasion == Occasion::End;
    // A test must not overwrite what is true: it writes the same once more.
    let is_test_of_ended = occasion == Occasion::Test && report.ended.is_some();
    match &channel.way {
        Way::Mail { to, from, by } if is_wanted && occasion != Occasion::Reboot => Some(Parcel::Mail {
            by: by.clone(),
            from: from.clone().unwrap_or_else(|| format!("patchday@{}", report.host)),
            to: to.clone(),
            subject: words::subject(occasion, report),
            text: mail_text(occasion, report),
            page: is_over.then(|| report::html::render(report)),
        }),
        Way::Webhook { url, template } if is_wanted && occasion != Occasion::Reboot => Some(Parcel::Post {
            url: url.clone(),
            suffix: "",
            media: "application/json",
            body: webhook::body(*template, occasion, report),
        }),
        // The other end counts from the last word before the reboot, and raises the alarm when none follows.
        Way::Ping { url } => {
            let suffix = match occasion {
                Occasion::Reboot => "/start",
                Occasion::End if report.exit_code == Some(0) => "",
                Occasion::End => "/fail",
                Occasion::Test => "/log",
                Occasion::Start => return None,
            };
            let body = words::sentence(occasion, report);
            Some(Parcel::Post { url: url.clone(), suffix, media: "text/plain; charset=utf-8", body })
        }
        Way::Metrics { file } if is_over || is_test_of_ended => {
            Some(Parcel::File { path: file.clone(), content: Some(metrics::run(report)) })
        }
        Way::Motd { file }
            if is_wanted && occasion != Occasion::Reboot && (occasion != Occasion::Test || is_test_of_ended) =>
        {
            let said = if is_test_of_ended { Occasion::End } else { occasion };
            Some(Parcel::File { path: file.clone(), content: Some(words::sentence(said, report) + "\n") })
        }
        // Whatever the channel wants to hear of: until the next boot this is so for everybody who logs in.
        Way::Motd { file } if is_over && report.asks_for_boot() => {
            Some(Parcel::File { path: file.clone(), content: Some(words::until_the_boot(report) + "\n") })
        }
        // What an earlier run said is no longer so.
        Way::Motd { file } if is_over => Some(Parcel::File { path: file.clone(), content: None }),
        Way::Wall if is_wanted && occasion != Occasion::Reboot => {
            Some(Parcel::Wall { text: words::sentence(occasion, report) + "\n" })
        }
        _ => None,
    }
}

/// Whether a channel wants to hear of the occasion. That services are about to go down is a change.
fn wants(when: NotifyWhen, occasion: Occasion, report: &Report) -> bool {
    match (occasion, when) {
        (Occasion::Test, _) | (_, NotifyWhen::Always) => true,
        (Occasion::Start | Occasion::Reboot, NotifyWhen::Change) => true,
        (Occasion::Start | Occasion::Reboot, NotifyWhen::Failure) => false,
        (Occasion::End, NotifyWhen::Change) => report.ending != Ending::NothingToDo,
        (Occasion::End, NotifyWhen::Failure) => report.exit_code != Some(0),
    }
}

fn mail_text(occasion: Occasion, report: &Report) -> String {
    match occasion {
        Occasion::End => report::text::render(report, &Style::plain()),
        _ => words::sentence(occasion, report) + "\n",
    }
}

#[cfg(test)]
mod tests;
