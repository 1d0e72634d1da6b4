//! Bodies of webhooks: what the usual chat services understand, and everything for programs.

use serde_json::{Value, json};

use super::words;
use crate::model::{Occasion, Verdict, WebhookTemplate};
use crate::report::Report;

/// Discord takes no more.
const DISCORD_CHARS: usize = 2_000;

/// The body for a template.
pub(super) fn body(template: WebhookTemplate, occasion: Occasion, report: &Report) -> String {
    let text = format!("{} {}", sign(occasion, report), words::sentence(occasion, report));
    let body = match template {
        WebhookTemplate::Json => everything(occasion, report),
        WebhookTemplate::Slack => json!({ "text": slack(&text) }),
        WebhookTemplate::Mattermost => json!({ "username": "patchday", "text": text }),
        WebhookTemplate::Discord => json!({
            "username": "patchday",
            "content": text.chars().take(DISCORD_CHARS).collect::<String>(),
            // Nobody is called by what a package or a unit happens to be named.
            "allowed_mentions": { "parse": [] },
        }),
        WebhookTemplate::Teams => card(&text, report),
    };
    body.to_string()
}

/// A chat is read in passing.
fn sign(occasion: Occasion, report: &Report) -> &'static str {
    match (occasion, report.verdict) {
        (Occasion::End, Some(Verdict::Degraded)) => "⚠",
        (Occasion::End, _) if report.exit_code == Some(0) => "✅",
        (Occasion::End, _) => "❌",
        _ => "▶",
    }
}

/// Slack takes three signs for markup of its own.
fn slack(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn everything(occasion: Occasion, report: &Report) -> Value {
    json!({
        "format": report.format,
        "occasion": occasion,
        "host": report.host,
        "run": report.run,
        "subject": words::subject(occasion, report),
        "text": words::sentence(occasion, report),
        "verdict": report.verdict,
        "exit_code": report.exit_code,
        "report": if occasion == Occasion::End { serde_json::to_value(report).unwrap_or_default() } else { Value::Null },
    })
}

fn card(text: &str, report: &Report) -> Value {
    let block = |text: &str, weight: &str| json!({ "type": "TextBlock", "text": text, "wrap": true, "weight": weight });
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "body": [block(&format!("Patchday on {}", report.host), "bolder"), block(text, "default")],
            },
        }],
    })
}
