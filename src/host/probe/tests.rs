use std::collections::BTreeMap;
use std::sync::Mutex;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::host::{HostError, HostErrorKind, HostResult, ShutdownSpec, UnitChanges, UnitHold};
use crate::model::{
    ActiveState, BootTime, DatabaseFacts, JobResult, LoadState, UnitProcess, UnitRelations, UnitStart, UnitState,
    UnitSurvey,
};

const LIMIT: SignedDuration = SignedDuration::from_secs(5);

/// systemd and MongoDB that answer what they are told to; an error where they are told nothing.
#[derive(Default)]
struct FakeHost {
    active: Mutex<Option<ActiveState>>,
    role: Mutex<Option<String>>,
}

fn no_answer<T>() -> HostResult<T> {
    Err(HostError::new(HostErrorKind::Unknown, "ask", "nobody answered"))
}

#[async_trait]
impl Units for FakeHost {
    async fn state(&self, _: &UnitName) -> HostResult<UnitState> {
        let Some(active) = self.active.lock().unwrap().clone() else { return no_answer() };
        Ok(UnitState {
            load: LoadState::Loaded,
            active,
            sub: "dead".into(),
            unit_file: "enabled".into(),
            result: None,
            exit_status: None,
            main_pid: None,
            restarts: 0,
            control_group: String::new(),
            processes: 0,
            stop_timeout: None,
            active_since_usec: None,
            activation_began_usec: None,
            invocation: String::new(),
            after: vec![],
            needs_daemon_reload: false,
            restart: None,
            service_type: String::new(),
        })
    }

    async fn processes(&self, _: &UnitName) -> HostResult<Vec<UnitProcess>> {
        no_answer()
    }

    async fn start_of(&self, _: &UnitName) -> HostResult<UnitStart> {
        no_answer()
    }

    async fn start(&self, _: &UnitName, _: SignedDuration) -> HostResult<JobResult> {
        no_answer()
    }

    async fn restart(&self, _: &UnitName, _: SignedDuration) -> HostResult<JobResult> {
        no_answer()
    }

    async fn stop(&self, _: &UnitName, _: SignedDuration) -> HostResult<JobResult> {
        no_answer()
    }

    async fn hold(&self, _: &[UnitHold]) -> HostResult<()> {
        no_answer()
    }

    async fn let_go(&self, _: &[UnitName]) -> HostResult<()> {
        no_answer()
    }

    async fn userspace_began(&self) -> HostResult<u64> {
        no_answer()
    }

    async fn boot_time(&self, _: &[UnitName]) -> HostResult<Option<BootTime>> {
        no_answer()
    }

    async fn protect(&self, _: &UnitName) -> HostResult<()> {
        no_answer()
    }

    async fn release(&self, _: &[UnitName]) -> HostResult<()> {
        no_answer()
    }

    async fn survey(&self) -> HostResult<UnitSurvey> {
        no_answer()
    }

    async fn relations(&self, _: &[UnitName]) -> HostResult<BTreeMap<UnitName, UnitRelations>> {
        no_answer()
    }

    async fn dependents(&self, _: &[UnitName]) -> HostResult<BTreeMap<UnitName, UnitRelations>> {
        no_answer()
    }

    async fn listen(&self) -> HostResult<Box<dyn UnitChanges>> {
        no_answer()
    }
}

#[async_trait]
impl Database for FakeHost {
    async fn facts(&self, _: &DatabaseAccess) -> HostResult<DatabaseFacts> {
        let Some(role) = self.role.lock().unwrap().clone() else { return no_answer() };
        Ok(DatabaseFacts { version: "6.0.5".into(), pid: None, role, ..DatabaseFacts::default() })
    }

    async fn listens(&self, _: &DatabaseAccess) -> HostResult<bool> {
        no_answer()
    }

    async fn step_down(&self, _: &DatabaseAccess, _: SignedDuration) -> HostResult<()> {
        no_answer()
    }

    async fn kill_operation(&self, _: &DatabaseAccess, _: i64) -> HostResult<()> {
        no_answer()
    }

    async fn kill_sessions(&self, _: &DatabaseAccess, _: &[String]) -> HostResult<()> {
        no_answer()
    }

    async fn shutdown(&self, _: &DatabaseAccess, _: ShutdownSpec) -> HostResult<()> {
        no_answer()
    }
}

fn fakes() -> (Arc<FakeHost>, Probe) {
    let host = Arc::new(FakeHost::default());
    (Arc::clone(&host), Probe::new(host.clone(), host))
}

async fn probe(probe: &Probe, how: ReadinessProbe, limit: SignedDuration) -> Result<SignedDuration, String> {
    match probe.probe(&"api.service".parse().unwrap(), &how, limit).await {
        Readiness::Ready(took) => Ok(took),
        said => Err(said.problem().unwrap()),
    }
}

/// Answers every connection with the text, or with nothing at all.
async fn server(answer: Option<&'static str>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let mut silent = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            match answer {
                Some(answer) => {
                    let _ = stream.read(&mut [0; 4096]).await;
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
                None => silent.push(stream),
            }
        }
    });
    address
}

async fn closed_port() -> String {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string()
}

fn http(address: &str, status: u16) -> ReadinessProbe {
    ReadinessProbe::Http { url: format!("http://{address}/health"), status, header: None, body: None }
}

#[tokio::test]
async fn a_port_is_ready_when_it_accepts() {
    let (_, prober) = fakes();
    let address = server(None).await;
    let took = probe(&prober, ReadinessProbe::Tcp { address }, LIMIT).await.unwrap();
    assert!(took > SignedDuration::ZERO && took < LIMIT);

    let address = closed_port().await;
    let why = probe(&prober, ReadinessProbe::Tcp { address: address.clone() }, LIMIT).await.unwrap_err();
    assert_eq!(why, format!("connect to {address}: Connection refused (os error 111)"));
    let address = "no port".to_owned();
    assert!(probe(&prober, ReadinessProbe::Tcp { address }, LIMIT).await.is_err());
}

#[tokio::test]
async fn only_the_wanted_status_is_ready() {
    let (_, prober) = fakes();
    let ok = server(Some("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")).await;
    assert!(probe(&prober, http(&ok, 200), LIMIT).await.is_ok());
    let why = probe(&prober, http(&ok, 204), LIMIT).await.unwrap_err();
    assert_eq!(why, format!("GET http://{ok}/health: status 200, not 204"));

    let busy = server(Some("HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n")).await;
    assert!(probe(&prober, http(&busy, 200), LIMIT).await.unwrap_err().contains("status 503"));
}

#[tokio::test]
async fn the_answer_must_have_what_is_wanted_of_it() {
    let (_, prober) = fakes();
    let answer = "HTTP/1.1 200 OK\r\nx-ready: yes\r\ncontent-length: 15\r\n\r\n{\"status\":\"ok\"}";
    let address = server(Some(answer)).await;
    for (header, body, ready) in [
        (Some("X-Ready: yes"), None, true),
        (Some("X-Ready: no"), None, false),
        (Some("X-Other: yes"), None, false),
        (None, Some("\"ok\""), true),
        (None, Some("\"degraded\""), false),
        (Some("X-Ready:yes"), Some("status"), true),
    ] {
        let url = format!("http://{address}/health");
        let wanted =
            ReadinessProbe::Http { url, status: 200, header: header.map(Into::into), body: body.map(Into::into) };
        let answered = probe(&prober, wanted, LIMIT).await;
        assert_eq!(answered.is_ok(), ready, "{header:?} {body:?}: {answered:?}");
    }
}

#[tokio::test]
async fn a_command_is_ready_when_it_succeeds() {
    let (_, prober) = fakes();
    let run = async |argv: &[&str], limit| {
        let argv = argv.iter().map(|&word| word.to_owned()).collect();
        probe(&prober, ReadinessProbe::Command { argv }, limit).await
    };
    assert!(run(&["/bin/true"], LIMIT).await.is_ok());
    // No terminal, no input, and next to no environment.
    let asked = ["/bin/sh", "-c", "test -z \"$HOME\" && ! (: </dev/tty) && ! read line"];
    assert!(run(&asked, LIMIT).await.is_ok(), "{:?}", run(&asked, LIMIT).await);
    let why = run(&["/bin/sh", "-c", "echo not yet >&2; exit 3"], LIMIT).await.unwrap_err();
    assert_eq!(why, "/bin/sh: not yet (exit status: 3)");
    assert!(run(&["/nonexistent"], LIMIT).await.unwrap_err().starts_with("not run: "));
    let mark = format!("{}", std::process::id() + 700_000);
    let why =
        run(&["/bin/sh", "-c", &format!("sleep {mark} & wait")], SignedDuration::from_millis(300)).await.unwrap_err();
    assert_eq!(why, "no answer within 0.3 s");
    // What it started ends with it.
    let survivor = async || {
        let lists = std::fs::read_dir("/proc").unwrap().flatten();
        let lines = lists.filter_map(|entry| std::fs::read_to_string(entry.path().join("cmdline")).ok());
        lines.filter(|line| *line == format!("sleep\0{mark}\0")).count() > 0
    };
    for _ in 0..100 {
        if !survivor().await {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("the command's child lives on");
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let (_, prober) = fakes();
    let login = server(Some("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n")).await;
    assert!(probe(&prober, http(&login, 200), LIMIT).await.unwrap_err().contains("status 302"));
    assert!(probe(&prober, http(&login, 302), LIMIT).await.is_ok());
}

#[tokio::test]
async fn an_http_error_names_its_cause() {
    let (_, prober) = fakes();
    let why = probe(&prober, http(&closed_port().await, 200), LIMIT).await.unwrap_err();
    assert!(why.contains("Connection refused"), "{why}");
    let nonsense = server(Some("SSH-2.0-OpenSSH_9.2\r\n")).await;
    assert!(probe(&prober, http(&nonsense, 200), LIMIT).await.is_err());
    let no_tls = ReadinessProbe::Http { url: format!("https://{nonsense}/"), status: 200, header: None, body: None };
    assert!(probe(&prober, no_tls, LIMIT).await.is_err());
}

#[tokio::test]
async fn silence_ends_with_the_limit() {
    let (_, prober) = fakes();
    let why = probe(&prober, http(&server(None).await, 200), SignedDuration::from_millis(200)).await.unwrap_err();
    assert_eq!(why, "no answer within 0.2 s");
}

#[tokio::test]
async fn a_unit_is_ready_when_it_is_up() {
    let (host, prober) = fakes();
    let ask = || probe(&prober, ReadinessProbe::Unit, LIMIT);
    assert_eq!(ask().await.unwrap_err(), "ask: nobody answered");
    for (active, ready) in [
        (ActiveState::Active, true),
        (ActiveState::Reloading, true),
        (ActiveState::Activating, false),
        (ActiveState::Failed, false),
        (ActiveState::from("refreshing"), false),
    ] {
        *host.active.lock().unwrap() = Some(active.clone());
        assert_eq!(ask().await.is_ok(), ready, "{active}");
    }
    assert_eq!(ask().await.unwrap_err(), "api.service is refreshing (dead)");
}

#[tokio::test]
async fn a_database_is_ready_when_it_serves() {
    let (host, prober) = fakes();
    let access = DatabaseAccess { uri: Some("mongodb://127.0.0.1/".into()), ..DatabaseAccess::default() };
    let ask = || probe(&prober, ReadinessProbe::Mongodb(access.clone()), LIMIT);
    assert!(ask().await.is_err());
    for (role, ready) in [
        ("standalone", true),
        ("primary", true),
        ("secondary", true),
        ("router", true),
        ("arbiter", true),
        ("other", false),
    ] {
        *host.role.lock().unwrap() = Some(role.to_owned());
        assert_eq!(ask().await.is_ok(), ready, "{role}");
    }
}

/// A page that never ends is heard for a moment, and fills no memory.
#[tokio::test]
async fn a_number_is_short() {
    let (_, prober) = fakes();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/users", listener.local_addr().unwrap());
    let endless = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 4096]).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        let mut sent = 0_u64;
        while let Ok(length) = stream.write(&[b'1'; 65536]).await {
            sent += length as u64;
        }
        sent
    });
    let error = prober.count(&url).await.unwrap_err();
    assert!(error.why.contains("more than 64 KiB"), "{error}");
    assert!(endless.await.unwrap() < 64 << 20, "the socket's buffers take some of it");
    let address = server(Some("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{\"users\":7}")).await;
    assert!(prober.count(&format!("http://{address}/")).await.is_err(), "it was cut off by its own length");
    let address = server(Some("HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n{\"users\":7}")).await;
    assert_eq!(prober.count(&format!("http://{address}/")).await.unwrap(), 7);
}
