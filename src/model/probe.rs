//! When a service counts as ready.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::DatabaseAccess;
use super::spoken::exactly;

/// The test that a service must pass to be ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "probe", rename_all = "kebab-case")]
pub enum ReadinessProbe {
    /// The unit is active.
    Unit,
    /// A TCP connection is accepted.
    Tcp {
        /// `HOST:PORT`.
        address: String,
    },
    /// A GET answers with the status, and with more where that is wanted.
    Http {
        url: String,
        status: u16,
        /// A header that the answer must have, as in `X-Ready: yes`.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        header: Option<String>,
        /// A text that the body must hold.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        body: Option<String>,
    },
    /// A program of the user's ends with status 0.
    Command {
        /// Its absolute path, and its arguments.
        argv: Vec<String>,
    },
    /// The server answers `ping`.
    Mongodb(DatabaseAccess),
}

/// What a probe said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Readiness {
    /// Ready; how long the probe took.
    Ready(SignedDuration),
    /// Not ready, and why.
    NotReady(String),
    /// It answers that it is asked too often, which says nothing of the service; how long it wants to be left alone,
    /// where it says so.
    TooOften(Option<SignedDuration>),
}

impl Readiness {
    /// Why it does not count as ready; none if it is ready.
    pub fn problem(&self) -> Option<String> {
        match self {
            Self::Ready(_) => None,
            Self::NotReady(why) => Some(why.clone()),
            Self::TooOften(None) => Some("it says that it is asked too often (status 429)".to_owned()),
            Self::TooOften(Some(after)) => Some(format!(
                "it says that it is asked too often (status 429), and to come back after {after}",
                after = exactly(*after)
            )),
        }
    }

    /// When to ask again, if it was asked too often: not at once, and not so late that nobody would know.
    pub fn ask_again_after(&self) -> Option<SignedDuration> {
        const USUAL: SignedDuration = SignedDuration::from_secs(5);
        const LONGEST: SignedDuration = SignedDuration::from_secs(30);
        match self {
            Self::TooOften(wanted) => Some(wanted.unwrap_or(USUAL).clamp(SignedDuration::from_secs(1), LONGEST)),
            Self::Ready(_) | Self::NotReady(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_probe_said_is_read_back() {
        let seconds = SignedDuration::from_secs;
        for said in [
            Readiness::Ready(seconds(1)),
            Readiness::NotReady("status 503".into()),
            Readiness::TooOften(None),
            Readiness::TooOften(Some(seconds(60))),
        ] {
            let text = serde_json::to_string(&said).unwrap();
            assert_eq!(serde_json::from_str::<Readiness>(&text).unwrap(), said, "{text}");
        }
        assert_eq!(Readiness::TooOften(None).ask_again_after(), Some(seconds(5)));
        assert_eq!(Readiness::TooOften(Some(seconds(0))).ask_again_after(), Some(seconds(1)));
        assert_eq!(Readiness::TooOften(Some(seconds(3600))).ask_again_after(), Some(seconds(30)));
        assert_eq!(Readiness::NotReady("x".into()).ask_again_after(), None);
    }
}
