//! What `patchday init` writes: services found on the host in, a commented configuration file out. Pure: whoever looks
//! at the host fills in [`Candidate`]s.
//!
//! The text of [`render`] is always a valid file: only units that a `[[service]]` may name are taken, and an order that
//! the host cannot have is never written.

mod order;
mod render;
mod write;

use std::net::SocketAddr;

pub use render::render;

use crate::model::UnitName;

/// A service that was found running.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    pub unit: UnitName,
    /// `Description=` of the unit.
    pub description: String,
    /// Whether its main process is a mongod.
    pub mongodb: bool,
    /// The port that the mongod serves on; none if it is unknown, or no mongod.
    pub mongod_port: Option<u16>,
    /// The TCP addresses that its processes listen on.
    pub listens: Vec<SocketAddr>,
    /// Connections that its processes hold to any mongod of this host.
    pub holds_connections_to_mongodb: u32,
    /// `After=` of the unit, as systemd knows it; units that are no candidates are ignored.
    pub after: Vec<UnitName>,
    /// Why it does not belong into the file as it is, each a sentence with what to do.
    pub notes: Vec<String>,
    /// What a GET on one of its addresses answered.
    pub http_answers: Option<HttpAnswer>,
}

/// What a GET answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpAnswer {
    /// The URL that was asked.
    pub url: String,
    /// The status of the answer.
    pub status: u16,
}
