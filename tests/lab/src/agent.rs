//! The lab's side of the agent in a machine: commands go in, their ends and the agent's sightings come out.
//!
//! The lines are described in the agent, `src/bin/lab-agent.rs`.

use crate::hex::{hex, unhex};
use crate::machine::Output;
use anyhow::{Context, Result, bail};
use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// A line that the agent saw: known outside even if the machine loses it.
#[derive(Debug, Clone)]
pub struct Sighting {
    /// When it came out.
    pub at: Instant,
    /// On which boot of the machine, beginning with 1.
    pub boot: u32,
    /// `dpkg` (its log), `event` (of a run) or `order` (acknowledged by the database).
    pub source: String,
    /// The line, or the order's ID.
    pub text: String,
}

/// What an agent said so far.
#[derive(Default)]
pub(crate) struct Heard {
    boots: u32,
    boot_id: String,
    sightings: Vec<Sighting>,
    /// On every boot the agent tells each log from its beginning.
    known: HashSet<(String, String)>,
    waiting: HashMap<u64, Sender<Output>>,
    last_number: u64,
}

/// The lab's end of the line.
pub(crate) struct Channel {
    heard: Arc<Mutex<Heard>>,
    line: Mutex<Option<UnixStream>>,
}

impl Channel {
    /// A line that leads nowhere yet.
    pub(crate) fn new() -> Self {
        Self { heard: Arc::default(), line: Mutex::new(None) }
    }

    /// Opens a new line, and returns the end for the machine.
    pub(crate) fn open(&self) -> Result<OwnedFd> {
        let (ours, theirs) = UnixStream::pair().context("cannot make a line")?;
        let incoming = BufReader::new(ours.try_clone().context("cannot make a line")?);
        let heard = Arc::clone(&self.heard);
        thread::spawn(move || {
            hear(incoming, &heard);
            lock(&heard).hang_up();
        });
        *lock(&self.line) = Some(ours);
        Ok(theirs.into())
    }

    /// On how many boots the agent said hello.
    pub(crate) fn boots(&self) -> u32 {
        lock(&self.heard).boots()
    }

    /// What the agent saw, from the given number on.
    pub(crate) fn sightings(&self, from: usize) -> Vec<Sighting> {
        lock(&self.heard).sightings(from)
    }

    /// Sends a request and waits for its answer. A machine that goes down meanwhile is an error.
    pub(crate) fn ask(&self, verb: &str, arguments: &[&str], timeout: Duration) -> Result<Output> {
        let (answer, answered) = mpsc::channel();
        let number = {
            let mut heard = lock(&self.heard);
            heard.last_number += 1;
            let number = heard.last_number;
            heard.waiting.insert(number, answer);
            number
        };
        let request = format!("{verb} {number} {}\n", hex(arguments.join("\0").as_bytes()));
        match lock(&self.line).as_mut() {
            Some(line) => line.write_all(request.as_bytes()).context("the machine does not listen")?,
            None => bail!("the machine is off"),
        }
        let output = answered.recv_timeout(timeout);
        lock(&self.heard).waiting.remove(&number);
        match output {
            Ok(output) => Ok(output),
            Err(RecvTimeoutError::Timeout) => bail!("no answer within {} s", timeout.as_secs()),
            Err(RecvTimeoutError::Disconnected) => bail!("the machine went down meanwhile"),
        }
    }
}

/// Takes what an agent says until its machine goes down. What a power cut tore off is no line: half the ID of an order
/// would be an order that nobody ever wrote.
pub(crate) fn hear(mut incoming: impl BufRead, heard: &Mutex<Heard>) {
    let mut line = Vec::new();
    while incoming.read_until(b'\n', &mut line).is_ok() && line.ends_with(b"\n") {
        lock(heard).take(&String::from_utf8_lossy(&line));
        line.clear();
    }
}

impl Heard {
    pub(crate) fn boots(&self) -> u32 {
        self.boots
    }

    pub(crate) fn sightings(&self, from: usize) -> Vec<Sighting> {
        self.sightings.get(from..).unwrap_or_default().to_vec()
    }

    pub(crate) fn take(&mut self, line: &str) {
        match line.trim_end().split(' ').collect::<Vec<_>>()[..] {
            ["hello", boot_id] => {
                self.hang_up();
                if self.boot_id != boot_id {
                    self.boots += 1;
                    self.boot_id = boot_id.to_owned();
                }
            }
            ["done", number, code, stdout, stderr] => {
                let waiting = number.parse().ok().and_then(|number| self.waiting.remove(&number));
                if let (Some(waiting), Ok(output)) = (waiting, output(code, stdout, stderr)) {
                    // Whoever asked may have given up.
                    let _ = waiting.send(output);
                }
            }
            ["saw", source, text] => {
                if let Ok(text) = unhex(text) {
                    let text = String::from_utf8_lossy(&text).into_owned();
                    let source = source.to_owned();
                    if !self.known.insert((source.clone(), text.clone())) {
                        return;
                    }
                    self.sightings.push(Sighting { at: Instant::now(), boot: self.boots, source, text });
                }
            }
            // The kernel speaks on the same line before it has a console.
            _ => {}
        }
    }

    /// Nobody will answer what was asked so far.
    fn hang_up(&mut self) {
        self.waiting.clear();
    }
}

fn output(code: &str, stdout: &str, stderr: &str) -> Result<Output> {
    let text = |digits: &str| unhex(digits).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let code: i32 = code.parse().context("no exit code")?;
    Ok(Output { status: ExitStatus::from_raw(code << 8), stdout: text(stdout)?, stderr: text(stderr)? })
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_a_power_cut_tore_off_is_none() {
        let order = hex(b"656f1c2d3e4f5a6b7c8d9e0f");
        let whole = format!("hello b\nsaw order {order}\n");
        let next = format!("saw order {}\n", hex(b"656f1c2d3e4f5a6b7c8d9e10"));
        for cut in 0..next.len() {
            let heard = Mutex::default();
            hear(format!("{whole}{}", &next[..cut]).as_bytes(), &heard);
            let seen = lock(&heard).sightings(0);
            assert_eq!(seen.len(), 1, "cut at {cut}: {seen:?}");
        }
        let heard = Mutex::default();
        hear(format!("{whole}{next}").as_bytes(), &heard);
        assert_eq!(lock(&heard).sightings(0).len(), 2);
    }
}
