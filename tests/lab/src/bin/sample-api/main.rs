//! The sample API of the lab: a small web service on MongoDB, and the ways in which such services misbehave.

mod database;
mod faults;
mod http;

use crate::database::Database;
use crate::faults::Faults;
use anyhow::{Context, Result};
use clap::Parser;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

/// How long requests that are being answered may take when the service stops.
const DRAIN: Duration = Duration::from_secs(5);

/// A small web service on MongoDB, for tests.
#[derive(Debug, Parser)]
struct Arguments {
    /// Where to listen, such as 127.0.0.1:8080
    #[arg(long, required_unless_present = "hold_connections")]
    listen: Option<String>,
    /// The database, such as mongodb://127.0.0.1:27017/
    #[arg(long)]
    database: String,
    /// Where to remember on which boot it last ran
    #[arg(long, env = "STATE_DIRECTORY", default_value = "/var/lib/sample-api")]
    state_directory: PathBuf,
    /// Serve nothing, only hold this many database connections open (what a leaking instance leaves behind)
    #[arg(long, value_name = "NUMBER")]
    hold_connections: Option<u32>,
    #[command(flatten)]
    faults: Faults,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if let Some(number) = arguments.hold_connections {
        return database::hold_connections(&arguments.database, number).await;
    }
    let listen = arguments.listen.as_deref().unwrap_or_default();
    arguments.faults.check_boot(&arguments.state_directory)?;
    let database = Arc::new(Database::new(&arguments.database).await?);
    tokio::spawn(Arc::clone(&database).prepare());
    let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    eprintln!("listening on {listen}");

    let mut terminate = signal(SignalKind::terminate()).context("cannot watch for SIGTERM")?;
    let mut requests = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted.context("cannot accept a connection")?;
                requests.spawn(http::serve(stream, Arc::clone(&database), arguments.faults.start_before_database));
            }
            _ = terminate.recv() => {
                if arguments.faults.ignore_sigterm {
                    eprintln!("SIGTERM ignored, as told");
                    continue;
                }
                break;
            }
            // Finished requests are collected, so that the set does not grow.
            Some(_) = requests.join_next() => {}
        }
    }
    drop(listener);
    eprintln!("stopping: {} requests left", requests.len());
    if tokio::time::timeout(DRAIN, async { while requests.join_next().await.is_some() {} }).await.is_err() {
        eprintln!("gave up {} requests", requests.len());
    }
    if arguments.faults.leak_on_restart > 0 {
        leak(&arguments.database, arguments.faults.leak_on_restart).await?;
    }
    Ok(())
}

/// Leaves a process behind that holds connections, and waits until it has them.
async fn leak(database: &str, number: u32) -> Result<()> {
    let program = std::env::current_exe().context("cannot tell the path of this program")?;
    let mut child = Command::new(program)
        .args(["--database", database, "--hold-connections", &number.to_string()])
        .env_remove("LEAK_ON_RESTART")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start the leaking process")?;
    let output = child.stdout.take().context("the leaking process has no output")?;
    let said = BufReader::new(output).lines().next_line().await.context("cannot read from the leaking process")?;
    said.context("the leaking process ended at once")?;
    eprintln!("left {number} connections open, as told");
    Ok(())
}
