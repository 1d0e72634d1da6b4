//! Posts to URLs, which are secrets as often as not.

use std::error::Error;

use super::TIMEOUT;
use crate::host::{HostError, HostErrorKind, HostResult};

pub(super) fn client() -> Result<reqwest::Client, String> {
    // The error is the provider that is installed already.
    let _installed_before = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .user_agent(concat!("patchday/", env!("CARGO_PKG_VERSION")))
        .timeout(TIMEOUT)
        // A token that was meant for one host must not be carried to another.
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|error| reasons(&error))
}

pub(super) async fn post(
    client: &reqwest::Client,
    url: &str,
    suffix: &str,
    media: &'static str,
    body: &str,
) -> HostResult<()> {
    let host = reqwest::Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned));
    let Some(host) = host else {
        return Err(HostError::new(HostErrorKind::Refused, "post", "the file holds no URL"));
    };
    let what = format!("post to {host}");
    let request = client.post(with_suffix(url, suffix)).header("content-type", media).body(body.to_owned());
    let answer = request
        .send()
        .await
        .map_err(|error| HostError::new(HostErrorKind::Unknown, &what, reasons(&error.without_url())))?;
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    // Too many, or not now: later is another matter. Everything else stays as wrong as it is.
    let is_passing = status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429);
    let kind = if is_passing { HostErrorKind::Unknown } else { HostErrorKind::Refused };
    Err(HostError::new(kind, what, format!("status {}", status.as_u16())))
}

/// Puts the suffix behind the path, in front of what the URL asks for.
fn with_suffix(url: &str, suffix: &str) -> String {
    match url.split_once('?') {
        Some((path, query)) => format!("{}{suffix}?{query}", path.trim_end_matches('/')),
        None if suffix.is_empty() => url.to_owned(),
        None => format!("{}{suffix}", url.trim_end_matches('/')),
    }
}

/// An error and its causes in one line.
fn reasons(error: &dyn Error) -> String {
    let mut reasons = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        reasons = format!("{reasons}: {error}");
        cause = error.source();
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_suffix_goes_behind_the_path() {
        for (url, wanted) in [
            ("https://hc.example.org/uuid", "https://hc.example.org/uuid/fail"),
            ("https://hc.example.org/uuid/", "https://hc.example.org/uuid/fail"),
            ("https://hc.example.org/uuid?create=1", "https://hc.example.org/uuid/fail?create=1"),
        ] {
            assert_eq!(with_suffix(url, "/fail"), wanted);
        }
        assert_eq!(with_suffix("https://hc.example.org/uuid", ""), "https://hc.example.org/uuid");
    }
}
