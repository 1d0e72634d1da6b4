//! Just enough HTTP/1.1: one request per connection, no request body.

use crate::database::Database;
use anyhow::{Context, Result, bail};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// No request of ours is longer.
const LONGEST_HEAD: usize = 8 * 1024;

/// How long a client may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(5);

/// Answers one request. A client that goes away, or never says what it wants, is its own fault.
pub(crate) async fn serve(mut stream: TcpStream, database: Arc<Database>, always_healthy: bool) {
    let answered = async {
        let head = tokio::time::timeout(PATIENCE, read_head(&mut stream)).await.context("no request came")??;
        let (status, body) = answer(&head, &database, always_healthy).await;
        let response = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {}; charset=utf-8\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n{body}",
            if body.starts_with('<') { "text/html" } else { "text/plain" },
            body.len(),
        );
        stream.write_all(response.as_bytes()).await.context("the client went away")?;
        stream.shutdown().await.context("the client went away")
    };
    if let Err(error) = answered.await {
        eprintln!("request not answered: {error:#}");
    }
}

/// Reads up to the empty line and returns the text before it.
async fn read_head(stream: &mut TcpStream) -> Result<String> {
    let mut head = Vec::new();
    let mut buffer = [0; 1024];
    loop {
        let length = stream.read(&mut buffer).await.context("cannot read the request")?;
        if length == 0 || head.len() > LONGEST_HEAD {
            bail!("no whole request");
        }
        head.extend_from_slice(&buffer[..length]);
        if let Some(end) = head.windows(4).position(|window| window == b"\r\n\r\n") {
            head.truncate(end);
            return String::from_utf8(head).context("the request is no text");
        }
    }
}

async fn answer(head: &str, database: &Database, always_healthy: bool) -> (&'static str, String) {
    const OK: &str = "200 OK";
    let mut words = head.split_whitespace();
    match (words.next().unwrap_or_default(), words.next().unwrap_or_default()) {
        ("GET", "/health") if always_healthy || database.answers().await => (OK, "healthy\n".to_owned()),
        ("GET", "/health") => unavailable("the database does not answer"),
        ("GET", "/count") => match database.count().await {
            Ok(count) => (OK, format!("{count}\n")),
            Err(error) => unavailable(&format!("{error:#}")),
        },
        ("GET", "/") => match page(database).await {
            Ok(page) => (OK, page),
            Err(error) => unavailable(&format!("{error:#}")),
        },
        ("POST", "/orders") => match database.insert().await {
            Ok(id) => ("201 Created", format!("{id}\n")),
            Err(error) => unavailable(&format!("{error:#}")),
        },
        ("GET", "/orders") => match database.ids().await {
            Ok(ids) => (OK, ids.join("\n")),
            Err(error) => unavailable(&format!("{error:#}")),
        },
        _ => ("404 Not Found", "no such page\n".to_owned()),
    }
}

fn unavailable(reason: &str) -> (&'static str, String) {
    ("503 Service Unavailable", format!("{reason}\n"))
}

async fn page(database: &Database) -> Result<String> {
    let count = database.count().await?;
    let newest = database.newest().await?;
    let item = newest.as_ref().and_then(|order| order.get_str("item").ok()).unwrap_or("none");
    Ok(format!("<!doctype html><title>Orders</title><h1>{count} orders</h1><p>The newest: {item}</p>\n"))
}
