//! Bodies of webhooks: what the usual chat services understand, and everything for programs.

use serde_json::{Value, json};

use super::words;
use crate::model::{Occasion, Verdict, WebhookTemplate};
use crate::report::Report;
use crate::report::harmless::{in_markdown, shown};

/// Discord takes no more.
const DISCORD_CHARS: usize = 2_000;

/// The body for a template.
pub(super) fn body(template: WebhookTemplate, occasion: Occasion, report: &Report) -> String {
    let (sign, sentence) = (sign(occasion, report), words::sentence(occasion, report));
    let text = format!("{sign} {sentence}");
    let marked = || format!("{sign} {}", in_markdown(&sentence));
    let body = match template {
        WebhookTemplate::Json => everything(occasion, report),
        WebhookTemplate::Slack => {
            json!({ "text": slack(&text), "mrkdwn": false, "link_names": false, "unfurl_links": false })
        }
        WebhookTemplate::Mattermost => json!({ "username": "patchday", "text": marked() }),
        WebhookTemplate::Discord => json!({
            "username": "patchday",
            "content": cut(&marked()),
            // Nobody is called by what a package or a unit happens to be named.
            "allowed_mentions": { "parse": [] },
            // And no page is shown that a link leads to.
            "flags": 4,
        }),
        WebhookTemplate::Teams => card(&marked(), report),
    };
    shown(&body.to_string())
}

/// No longer than Discord takes. A sign that is cut off must not take away the markup's end.
fn cut(text: &str) -> String {
    let cut: String = text.chars().take(DISCORD_CHARS).collect();
    if cut.len() == text.len() { cut } else { cut.trim_end_matches('\\').to_owned() }
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
                "body": [block(&in_markdown(&format!("Patchday on {}", report.host)), "bolder"), block(text, "default")],
            },
        }],
    })
}
