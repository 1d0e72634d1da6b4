//! Readiness: what an API or a database needs to answer before anything may rely on it.

use std::error::Error;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use jiff::SignedDuration;
use tokio::net::TcpStream;

use super::tls_words::{self, Naming};
use super::{Database, HostError, HostErrorKind, HostResult, Prober, Units, command, trusted};
use crate::model::spoken::exactly;
use crate::model::{DatabaseAccess, Readiness, ReadinessProbe, UnitName};

/// How long a page that counts users may take.
const COUNT_TIMEOUT: Duration = Duration::from_secs(10);

/// How much of an answer is read for the text that it must hold.
const BODY_BYTES: usize = 64 * 1024;
/// A body that stops for this long, and does not end, is told as one.
const BODY_SILENCE: Duration = Duration::from_secs(4);

/// Where an HTTP probe gets its certificates from: this host's own store. It shows none of its own.
const NAMING: Naming = Naming {
    trust: "in this host's store: a file NAME.crt in /usr/local/share/ca-certificates, and update-ca-certificates",
    client: "which an http probe cannot: use probe = \"command\" there",
};

/// Gives the process the one TLS implementation that the HTTP client uses. Harmless where it has one already.
///
/// Called by [`Probe::new`] too, since an HTTP client made without it panics.
pub fn install_crypto_provider() {
    // The error is the provider that is installed already.
    let _installed_before = rustls::crypto::ring::default_provider().install_default();
}

/// Tests services as their clients would.
pub struct Probe {
    units: Arc<dyn Units>,
    database: Arc<dyn Database>,
    plain: OnceLock<Result<reqwest::Client, String>>,
    checking: OnceLock<Result<reqwest::Client, String>>,
}

/// `certificates`: whether those of others can be checked, for which all of this host's are read.
fn client(certificates: bool) -> Result<reqwest::Client, String> {
    let builder = reqwest::Client::builder()
        .user_agent(concat!("patchday/", env!("CARGO_PKG_VERSION")))
        // A proxy that is down or that answers for the service would tell of itself.
        .no_proxy()
        // A redirect is an answer with a status of its own: a login page must not pass for a healthy service.
        .redirect(reqwest::redirect::Policy::none())
        // A connection that was kept proves nothing of a service that was restarted.
        .pool_max_idle_per_host(0);
    let builder = if certificates { builder } else { builder.tls_certs_only([]) };
    builder.build().map_err(|error| reasons(&error))
}

impl Probe {
    /// Asks systemd and MongoDB through their ports. Certificates are checked against those of the host.
    pub fn new(units: Arc<dyn Units>, database: Arc<dyn Database>) -> Self {
        install_crypto_provider();
        Self { units, database, plain: OnceLock::new(), checking: OnceLock::new() }
    }

    /// Made when it is first needed. Without a redirect, what begins without TLS never comes to it, and this host's
    /// certificates are hundreds of files.
    fn http(&self, url: &str) -> Result<&reqwest::Client, String> {
        let is_plain = reqwest::Url::parse(url).is_ok_and(|url| url.scheme() == "http");
        let kept = if is_plain { &self.plain } else { &self.checking };
        kept.get_or_init(|| client(!is_plain)).as_ref().map_err(|error| format!("set up HTTP: {error}"))
    }

    async fn test(&self, unit: &UnitName, probe: &ReadinessProbe) -> Result<(), Fault> {
        let tested = match probe {
            ReadinessProbe::Unit => self.test_unit(unit).await,
            ReadinessProbe::Tcp { address } => match TcpStream::connect(address).await {
                Ok(_) => Ok(()),
                Err(error) => Err(format!("connect to {address}: {error}")),
            },
            ReadinessProbe::Http { url, status, header, body } => {
                return self.test_http(url, *status, header.as_deref(), body.as_deref()).await;
            }
            ReadinessProbe::Command { argv } => test_command(argv).await,
            ReadinessProbe::Mongodb(access) => self.test_database(access).await,
        };
        tested.map_err(Fault::NotReady)
    }

    async fn test_unit(&self, unit: &UnitName) -> Result<(), String> {
        let state = self.units.state(unit).await.map_err(|error| error.to_string())?;
        if state.is_up() && !state.is_hollow() { Ok(()) } else { Err(format!("{unit} is {}", state.described())) }
    }

    async fn test_http(&self, url: &str, status: u16, header: Option<&str>, body: Option<&str>) -> Result<(), Fault> {
        let not_ready = |why: String| Fault::NotReady(format!("GET {url}: {why}"));
        let client = self.http(url).map_err(Fault::NotReady)?;
        let answer = client.get(url).send().await.map_err(|error| not_ready(in_words(&error.without_url())))?;
        let seen = answer.status().as_u16();
        if seen == TOO_MANY_REQUESTS && seen != status {
            return Err(Fault::TooOften(retry_after(&answer)));
        }
        if seen != status {
            return Err(not_ready(wrong_status(&answer, status)));
        }
        if let Some((name, wanted)) = header.and_then(|header| header.split_once(':')) {
            let values = answer.headers().get_all(name);
            if !values.iter().any(|value| value.as_bytes().trim_ascii() == wanted.trim().as_bytes()) {
                return Err(not_ready(format!("the answer has no header {name}: {}", wanted.trim())));
            }
        }
        match body {
            Some(wanted) => body_holds(answer, wanted).await.map_err(not_ready),
            None => Ok(()),
        }
    }

    /// A member of a replica set that is neither primary nor secondary answers, but serves nobody yet.
    async fn test_database(&self, access: &DatabaseAccess) -> Result<(), String> {
        let facts = self.database.facts(access).await.map_err(|error| error.to_string())?;
        if facts.role == "other" {
            let why = "neither primary nor secondary of its replica set yet".to_owned();
            return Err(format!("the server answers, and takes no requests: {}", facts.outside.unwrap_or(why)));
        }
        Ok(())
    }
}

/// Why a test did not succeed.
enum Fault {
    NotReady(String),
    TooOften(Option<SignedDuration>),
}

/// Whoever limits how often it may be asked answers so. It says nothing of the service behind.
const TOO_MANY_REQUESTS: u16 = 429;

/// `Retry-After:` in seconds; a date is not worth the trouble.
fn retry_after(answer: &reqwest::Response) -> Option<SignedDuration> {
    let seconds = answer.headers().get("retry-after")?.to_str().ok()?.trim().parse::<u32>().ok()?;
    Some(SignedDuration::from_secs(i64::from(seconds)))
}

/// A redirect with where it leads: as a rule to a login, or to the same page by https.
fn wrong_status(answer: &reqwest::Response, wanted: u16) -> String {
    let seen = answer.status();
    let leads = answer.headers().get("location").filter(|_| seen.is_redirection()).and_then(|to| to.to_str().ok());
    let leads = leads.map(|to| format!(", which leads to {to}")).unwrap_or_default();
    format!("status {}{leads}, not {wanted}", seen.as_u16())
}

/// Whether the beginning of the body holds the text. Whatever follows is not read: some never end.
async fn body_holds(mut answer: reqwest::Response, wanted: &str) -> Result<(), String> {
    let mut seen = Vec::new();
    loop {
        if wanted.is_empty() || seen.windows(wanted.len()).any(|window| window == wanted.as_bytes()) {
            return Ok(());
        }
        if seen.len() >= BODY_BYTES {
            return Err(format!("the first {} KiB of the body do not hold {wanted:?}", BODY_BYTES / 1024));
        }
        match tokio::time::timeout(BODY_SILENCE, answer.chunk()).await {
            Ok(Ok(Some(chunk))) => seen.extend_from_slice(&chunk),
            Ok(Ok(None)) => return Err(format!("the body does not hold {wanted:?}")),
            Ok(Err(error)) => return Err(format!("read the body: {}", in_words(&error.without_url()))),
            Err(_) => return Err(format!("the body does not hold {wanted:?} so far, and does not go on")),
        }
    }
}

/// An error of the HTTP client, with what it means where it is about TLS.
fn in_words(error: &reqwest::Error) -> String {
    let said = reasons(error);
    tls_words::explain(&said, NAMING).unwrap_or(said)
}

/// The user's own test. It is root who runs it, so that nobody else may have a hand in it.
async fn test_command(argv: &[String]) -> Result<(), String> {
    let (program, arguments) = argv.split_first().ok_or("there is no command")?;
    trusted::check_command(argv).map_err(|why| format!("not run: {why}"))?;
    let output =
        command::ask(Path::new(program), arguments).await.map_err(|error| format!("start {program}: {error}"))?;
    if output.status.success() { Ok(()) } else { Err(format!("{program}: {}", command::complaint(&output))) }
}

#[async_trait]
impl Prober for Probe {
    async fn probe(&self, unit: &UnitName, probe: &ReadinessProbe, timeout: SignedDuration) -> Readiness {
        let limit = Duration::try_from(timeout).unwrap_or_default();
        let began = Instant::now();
        match tokio::time::timeout(limit, self.test(unit, probe)).await {
            Ok(Ok(())) => Readiness::Ready(SignedDuration::try_from(began.elapsed()).unwrap_or(SignedDuration::MAX)),
            Ok(Err(Fault::NotReady(why))) => Readiness::NotReady(why),
            Ok(Err(Fault::TooOften(after))) => Readiness::TooOften(after),
            Err(_) => Readiness::NotReady(format!("no answer within {timeout}", timeout = exactly(timeout))),
        }
    }

    async fn listens(&self, probe: &ReadinessProbe) -> HostResult<bool> {
        match probe {
            ReadinessProbe::Mongodb(access) => self.database.listens(access).await,
            _ => Ok(true),
        }
    }

    async fn count(&self, url: &str) -> HostResult<u64> {
        let what = format!("ask {url} for a number");
        let unknown = |why: String| HostError::new(HostErrorKind::Unknown, what.clone(), why);
        let client = self.http(url).map_err(&unknown)?;
        let asked = async {
            let mut answer = client.get(url).send().await?.error_for_status()?;
            let mut body = Vec::new();
            while body.len() <= BODY_BYTES {
                let Some(chunk) = answer.chunk().await? else { break };
                body.extend_from_slice(&chunk);
            }
            Ok::<_, reqwest::Error>(body)
        };
        let body = match tokio::time::timeout(COUNT_TIMEOUT, asked).await {
            Ok(body) => body.map_err(|error| unknown(reasons(&error.without_url())))?,
            Err(_) => return Err(unknown(format!("no answer within {} s", COUNT_TIMEOUT.as_secs()))),
        };
        if body.len() > BODY_BYTES {
            return Err(unknown(format!("it answers with more than {} KiB", BODY_BYTES / 1024)));
        }
        let text = String::from_utf8_lossy(&body);
        number(&text).ok_or_else(|| {
            let begin: String = text.chars().take(60).collect();
            unknown(format!("{begin:?} is no number, and no object with one number"))
        })
    }
}

/// A number alone, or the only number of an object in JSON.
fn number(text: &str) -> Option<u64> {
    if let Ok(number) = text.trim().parse() {
        return Some(number);
    }
    let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text).ok()?;
    let mut numbers = object.values().filter_map(serde_json::Value::as_u64);
    numbers.next().filter(|_| numbers.next().is_none())
}

/// An error and its causes in one line; the outermost alone says only that sending failed.
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
mod tests;
