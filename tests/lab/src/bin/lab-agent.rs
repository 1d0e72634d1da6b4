//! What the lab has inside a machine: it runs commands, and tells at once what it sees.
//!
//! It talks over the serial line of a UML machine, in lines of words, or only tells, to its standard output. Texts are in hexadecimal.
//!
//! | line | meaning |
//! |---|---|
//! | `hello BOOT-ID` | from the machine: the agent runs |
//! | `run NUMBER ARGUMENTS` | to the machine: run a command; its arguments are separated by NUL |
//! | `start NUMBER ARGUMENTS` | the same, but answer at once and leave it running |
//! | `done NUMBER CODE STDOUT STDERR` | from the machine: how it ended |
//! | `saw SOURCE TEXT` | from the machine: a new line of a log, or an order that the database acknowledged |

use anyhow::{Context, Result, bail};
use patchday_lab::{ended, hex, request, unhex};
use std::collections::BTreeMap;
use std::env;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio, exit};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// A fault is injected when a line is seen, so seeing it late means injecting it late.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// One order in this time is a light load, and enough to have one under way at any moment.
const ORDER_EVERY: Duration = Duration::from_millis(100);

/// About ten users that each ask once a second. No part of the kernel's period for caps (100 ms): questions that come in step
/// with it would all meet the same part of it.
const REQUEST_EVERY: Duration = Duration::from_millis(97);

/// While this file exists, orders are written; it holds the sample API's port.
const WRITE_ORDERS: &str = "/etc/lab-write-orders";

const DPKG_LOG: &str = "/var/log/dpkg.log";
const RUNS: &str = "/var/lib/patchday/runs";

type Line = Arc<Mutex<File>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words[..] {
        ["serve", tty] => serve(tty),
        ["watch"] => watch(),
        ["request", method, port, path] => ask(method, port, path),
        ["load", port, path, seconds] => load(port, path, seconds),
        _ => Err(anyhow::anyhow!(
            "usage: lab-agent serve TTY | watch | request METHOD PORT PATH | load PORT PATH SECONDS"
        )),
    };
    ended("lab-agent", result.map(|()| true))
}

/// Sends a request to the sample API; prints the status and then the body.
fn ask(method: &str, port: &str, path: &str) -> Result<()> {
    let response = request(port.parse().context("no port")?, method, path)?;
    print!("{}\n{}", response.status, response.body);
    Ok(())
}

/// Asks the sample API on a fixed schedule, and prints for each answer the microseconds from its due time until it was
/// there: a late question counts, as it does for users. A refusal is printed as `-`.
fn load(port: &str, path: &str, seconds: &str) -> Result<()> {
    let (port, seconds) = (port.parse().context("no port")?, seconds.parse().context("no number of seconds")?);
    let began = Instant::now();
    let mut answers = String::new();
    for due in (0..).map(|turn| REQUEST_EVERY * turn).take_while(|due| *due < Duration::from_secs(seconds)) {
        thread::sleep(due.saturating_sub(began.elapsed()));
        let answer = request(port, "GET", path).ok().filter(|answer| answer.status == 200);
        let took = began.elapsed().saturating_sub(due).as_micros();
        answers.push_str(&answer.map_or("-\n".into(), |_| format!("{took}\n")));
    }
    print!("{answers}");
    Ok(())
}

fn serve(tty: &str) -> Result<()> {
    let open = || File::options().read(true).write(true).open(tty).with_context(|| format!("cannot open {tty}"));
    // Opened first and never closed: closing a line throws away what has come in.
    let (input, output) = (open()?, open()?);
    let raw = Command::new("stty").args(["raw", "-echo"]).stdin(open()?).status().context("cannot run stty")?;
    if !raw.success() {
        bail!("stty failed on {tty}");
    }
    let line: Line = Arc::new(Mutex::new(output));
    say_hello(&line)?;
    for watcher in [watch_logs as fn(&Line), write_orders] {
        let line = Arc::clone(&line);
        thread::spawn(move || watcher(&line));
    }
    for request in BufReader::new(input).lines() {
        let request = request.context("cannot read from the lab")?;
        let line = Arc::clone(&line);
        thread::spawn(move || {
            if let Err(error) = answer(&line, &request) {
                eprintln!("lab-agent: `{request}`: {error:#}");
            }
        });
    }
    Ok(())
}

fn say_hello(line: &Line) -> Result<()> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").context("cannot read the boot ID")?;
    say(line, &format!("\nhello {}", boot.trim()));
    Ok(())
}

/// Only tells what it sees, until nobody listens.
fn watch() -> Result<()> {
    let line: Line = Arc::new(Mutex::new(File::options().write(true).open("/dev/stdout")?));
    say_hello(&line)?;
    let writer = Arc::clone(&line);
    thread::spawn(move || write_orders(&writer));
    watch_logs(&line);
    Ok(())
}

/// One write for each line, so that lines of several threads do not mix.
fn say(line: &Line, text: &str) {
    let mut line = line.lock().unwrap_or_else(PoisonError::into_inner);
    if let Err(error) = line.write_all(format!("{text}\n").as_bytes()) {
        eprintln!("lab-agent: nobody listens: {error}");
        exit(1);
    }
}

fn answer(line: &Line, request: &str) -> Result<()> {
    let [verb @ ("run" | "start"), number, arguments] = request.split(' ').collect::<Vec<_>>()[..] else {
        bail!("no request");
    };
    let arguments = String::from_utf8(unhex(arguments)?)?;
    let mut words = arguments.split('\0');
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words).stdin(Stdio::null()).current_dir("/").env_clear();
    command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    command.env("HOME", "/root").env("USER", "root").env("LANG", "C.UTF-8");
    let (code, stdout, stderr) = if verb == "start" {
        match command.stdout(Stdio::null()).stderr(Stdio::null()).spawn() {
            Ok(mut child) => {
                thread::spawn(move || child.wait());
                (0, Vec::new(), Vec::new())
            }
            Err(error) => (127, Vec::new(), error.to_string().into_bytes()),
        }
    } else {
        match command.output() {
            Ok(output) => {
                let signal = output.status.signal().map_or(255, |signal| 128 + signal);
                (output.status.code().unwrap_or(signal), output.stdout, output.stderr)
            }
            Err(error) => (127, Vec::new(), error.to_string().into_bytes()),
        }
    };
    say(line, &format!("done {number} {code} {} {}", hex(&stdout), hex(&stderr)));
    Ok(())
}

/// Tells each line of dpkg's log and of the events of runs, as they come.
fn watch_logs(line: &Line) {
    let mut offsets: BTreeMap<PathBuf, u64> = BTreeMap::new();
    loop {
        for (source, path) in logs() {
            let offset = offsets.entry(path.clone()).or_default();
            for text in whole_lines(&path, offset).unwrap_or_default().lines() {
                say(line, &format!("saw {source} {}", hex(text.as_bytes())));
            }
        }
        thread::sleep(LOOK_EVERY);
    }
}

fn logs() -> Vec<(&'static str, PathBuf)> {
    let mut logs = vec![("dpkg", PathBuf::from(DPKG_LOG))];
    for run in fs::read_dir(RUNS).into_iter().flatten().flatten() {
        logs.push(("event", run.path().join("events.jsonl")));
    }
    logs
}

fn size(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// The whole lines from an offset on, which moves behind them.
fn whole_lines(path: &Path, offset: &mut u64) -> Result<String> {
    if size(path) <= *offset {
        return Ok(String::new());
    }
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(*offset))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    bytes.truncate(end);
    *offset += end as u64;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Writes orders through the sample API, and tells those that were acknowledged.
fn write_orders(line: &Line) {
    loop {
        if let Ok(port) = fs::read_to_string(WRITE_ORDERS)
            && let Ok(port) = port.trim().parse()
            && let Ok(response) = request(port, "POST", "/orders")
            && response.status == 201
        {
            say(line, &format!("saw order {}", hex(response.body.trim().as_bytes())));
        }
        thread::sleep(ORDER_EVERY);
    }
}
