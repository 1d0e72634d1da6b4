//! Who is told what, on which occasion.

use serde_json::Value;

use super::*;
use crate::model::{Finding, FindingKey, MailRoute, Notification, Severity, UrlSource, Verdict, WebhookTemplate};
use crate::report::sample::{Story, at, back, snapshots};

const OCCASIONS: [Occasion; 4] = [Occasion::Start, Occasion::Reboot, Occasion::End, Occasion::Test];

fn channel(way: Way, when: NotifyWhen) -> Channel {
    Channel { way, when, retry_for: Channel::usual_retry() }
}

fn mail() -> Way {
    Way::Mail { to: vec!["ops@example.org".into()], from: None, by: MailRoute::Sendmail }
}

fn webhook(template: WebhookTemplate) -> Way {
    Way::Webhook { url: UrlSource::File("/etc/patchday/webhook.url".into()), template }
}

fn file(name: &str) -> String {
    format!("/var/lib/{name}")
}

fn degraded() -> Story {
    let mut story = Story::patched();
    story.reboot();
    let found = Finding::new(FindingKey::UnitFailed, Severity::Warning, "logrotate.service failed");
    let returns = vec![back("mongod.service", 4.1, 4.9), back("sample-api.service", 5.2, 5.8)];
    story.verify(Verdict::Degraded, vec![found], returns);
    story.close(23);
    story
}

fn idle() -> Story {
    let mut story = Story::new();
    story.run.phase = crate::model::Phase::NothingToDo;
    story.close(0);
    story
}

#[test]
fn each_channel_is_told_what_it_wants_to_hear() {
    let ways = [
        mail(),
        webhook(WebhookTemplate::Slack),
        Way::Ping { url: UrlSource::Url("http://127.0.0.1/x".into()) },
        Way::Metrics { file: file("patchday.prom") },
        Way::Motd { file: file("motd") },
        Way::Wall,
    ];
    let mut told = String::new();
    for (name, story) in [("healthy", Story::healthy()), ("degraded", degraded()), ("nothing to do", idle())] {
        for way in &ways {
            for when in [NotifyWhen::Always, NotifyWhen::Change, NotifyWhen::Failure] {
                let channel = channel(way.clone(), when);
                let parcels = OCCASIONS.map(|occasion| match parcel(&channel, occasion, &story.report()) {
                    None => "-",
                    Some(Parcel::Mail { page: Some(_), .. }) => "mail with page",
                    Some(Parcel::Mail { .. }) => "mail",
                    Some(Parcel::Post { suffix, .. }) => {
                        if suffix.is_empty() {
                            "post"
                        } else {
                            suffix
                        }
                    }
                    Some(Parcel::File { content: None, .. }) => "remove",
                    Some(Parcel::File { .. }) => "write",
                    Some(Parcel::Wall { .. }) => "wall",
                    Some(Parcel::LoginNotice { .. }) => "notice",
                });
                told += &format!("{name:<14} {:<50} {when:<8?} {}\n", label(&channel), parcels.join(" | "));
            }
        }
    }
    snapshots(|| insta::assert_snapshot!("notify_who_hears_what", told));
}

#[test]
fn messages_read_well() {
    let mut read = String::new();
    for (name, story) in [("healthy", Story::healthy()), ("degraded", degraded())] {
        let report = story.report();
        for occasion in OCCASIONS {
            let (subject, sentence) = (words::subject(occasion, &report), words::sentence(occasion, &report));
            read += &format!("{name} {}\n  {subject}\n  {sentence}\n", occasion.name());
        }
    }
    snapshots(|| insta::assert_snapshot!("notify_messages", read));
}

#[test]
fn every_template_is_json_and_tells_the_summary() {
    let report = degraded().report();
    for template in [
        WebhookTemplate::Json,
        WebhookTemplate::Slack,
        WebhookTemplate::Mattermost,
        WebhookTemplate::Discord,
        WebhookTemplate::Teams,
    ] {
        let body = webhook::body(template, Occasion::End, &report);
        let value: Value = serde_json::from_str(&body).unwrap();
        assert!(body.contains("logrotate.service failed"), "{template:?}: {body}");
        let place = match template {
            WebhookTemplate::Json | WebhookTemplate::Slack | WebhookTemplate::Mattermost => "/text",
            WebhookTemplate::Discord => "/content",
            WebhookTemplate::Teams => "/attachments/0/content/body/1/text",
        };
        assert!(value.pointer(place).is_some_and(Value::is_string), "{template:?}: {body}");
    }
}

fn body_of(template: WebhookTemplate, report: &Report) -> Value {
    serde_json::from_str(&webhook::body(template, Occasion::End, report)).unwrap()
}

#[test]
fn foreign_words_are_no_markup_in_a_chat() {
    let mut report = degraded().report();
    report.summary = format!("failed: <!channel> & @everyone {}", "x".repeat(3_000)).into();
    let body = |template| body_of(template, &report);
    assert!(body(WebhookTemplate::Slack)["text"].as_str().unwrap().contains("&lt;!channel&gt; &amp;"));
    report.summary = "*failed* [click](https://evil.example) @channel \u{202e}\u{9b}2J".to_owned().into();
    let read = |template, place: &str| body_of(template, &report).pointer(place).unwrap().as_str().unwrap().to_owned();
    for (template, place) in [
        (WebhookTemplate::Mattermost, "/text"),
        (WebhookTemplate::Discord, "/content"),
        (WebhookTemplate::Teams, "/attachments/0/content/body/1/text"),
    ] {
        let text = read(template, place);
        let safe = r"\*failed\* \[click\]\(https:\//evil.example\) @";
        assert!(text.contains(safe) && text.contains("@\u{200b}channel"), "{template:?}: {text}");
        assert!(!text.contains(['\u{202e}', '\u{9b}']), "{template:?}: {text}");
    }
    report.summary = format!("failed: <!channel> & @everyone {}", "x".repeat(3_000)).into();
    let body = |template| body_of(template, &report);
    let discord = body(WebhookTemplate::Discord);
    assert_eq!(discord["allowed_mentions"]["parse"], serde_json::json!([]));
    assert!(discord["content"].as_str().unwrap().chars().count() <= 2_000);
}

#[test]
fn metrics_are_what_the_collector_reads() {
    let mut story = degraded();
    story.run.last_healthy = Some(at(-2_592_000.0));
    story.run.notifications.push(Notification {
        number: 1,
        channel: "wall".into(),
        occasion: Occasion::End,
        at: at(60.0),
        tries: 2,
        problem: Some("no".into()),
    });
    let text = metrics::run(&story.report());
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        assert!(name.starts_with("patchday_") && value.parse::<f64>().is_ok(), "{line}");
    }
    snapshots(|| insta::assert_snapshot!("notify_metrics", text));
}
