//! Sentences for those who wait.

use crate::model::{Channel, MailRoute, Occasion, Verdict, Way};
use crate::report::words::{count, list, one_line};
use crate::report::{Ending, Report};

/// A channel in a few words; URLs may be secrets, and are left out.
pub fn label(channel: &Channel) -> String {
    match &channel.way {
        Way::Mail { to, by: MailRoute::Sendmail, .. } => format!("mail to {} through sendmail", list(to)),
        Way::Mail { to, by: MailRoute::Smtp { host, port, .. }, .. } => {
            format!("mail to {} through {host}:{port}", list(to))
        }
        Way::Webhook { template, .. } => format!("webhook ({})", template.name()),
        Way::Ping { .. } => "ping".to_owned(),
        Way::Metrics { file } => format!("metrics in {file}"),
        Way::Motd { file } => format!("login message in {file}"),
        Way::Wall => "wall".to_owned(),
    }
}

/// One line for the list of a mailbox: the host and the verdict come first.
pub(super) fn subject(occasion: Occasion, report: &Report) -> String {
    let host = &report.host;
    let subject = match occasion {
        Occasion::Start => format!("{host}: patch run begins, services go down"),
        Occasion::Reboot => format!("{host}: about to reboot"),
        Occasion::End => {
            // The whole sentence is in the text; a subject is read on a telephone.
            format!("{host}: {}", report.summary.first_part())
        }
        Occasion::Test => format!("{host}: test message of Patchday"),
    };
    one_line(&subject)
}

/// What is not in force yet, for a file that outlives the boot which ends it.
pub(super) fn until_the_boot(report: &Report) -> String {
    format!("{} This holds until the next boot.", sentence(Occasion::End, report))
}

/// The message in a sentence or two.
pub(super) fn sentence(occasion: Occasion, report: &Report) -> String {
    let host = &report.host;
    let run = &report.run;
    let sentence = match occasion {
        Occasion::Start => {
            let services = list(report.services.iter().map(|service| &service.unit));
            let changes = &report.packages.changes;
            let security = changes.iter().filter(|line| line.security).count();
            let upgrade = format!("{} will change, {security} of them security", count(changes.len(), "package"));
            let down = if services.is_empty() { String::new() } else { format!("{services} will go down, ") };
            format!("Patchday begins on {host}: {down}{upgrade}. Run {run}; follow it with: patchday attach")
        }
        Occasion::Reboot => format!("{host} is about to reboot. Run {run}"),
        Occasion::End => {
            let healthy = report.ending == Ending::Judged && report.exit_code == Some(0);
            let summary = match report.verdict {
                Some(Verdict::Healthy) if healthy => format!("back and healthy: {}", report.summary.rest()),
                _ if healthy => format!("back and healthy: {}", report.summary),
                _ => report.summary.to_string(),
            };
            format!("{host}: {summary}. Run {run}; read it with: patchday report")
        }
        Occasion::Test => format!("This is a test message of Patchday on {host}. Nothing has happened."),
    };
    // It goes onto terminals, into login messages and into chats.
    one_line(&sentence)
}
