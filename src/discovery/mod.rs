//! What `patchday init` writes: services found on the host in, a short configuration file out. Pure: whoever looks at the
//! host fills in what was [`Seen`], and tries what a [`Candidate`] may be asked.
//!
//! The text of [`render`] is always a valid file: only units that a `[[service]]` may name are taken, and an order that
//! the host cannot have is never written.

mod choose;
mod left_alone;
mod order;
mod render;
mod servers;
mod write;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

pub use choose::{Seen, choose, strays};
pub use render::{left_out_lines, render};
pub use servers::{Bears, Role, Server, speaks_otherwise};

use crate::model::{ServiceKind, UnitName};

/// What was found on a host.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selection {
    pub candidates: Vec<Candidate>,
    pub left_out: Vec<LeftOut>,
}

/// What runs and is not in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// A unit, or a program where there is none.
    pub what: String,
    pub why: String,
}

/// A service that belongs into the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    pub unit: UnitName,
    /// What it is; none if its programs are not known.
    pub server: Option<&'static Server>,
    /// The name of its first process.
    pub program: String,
    /// The TCP addresses that its processes listen on.
    pub listens: Vec<SocketAddr>,
    /// The Unix sockets that they listen on, by path.
    pub sockets: Vec<String>,
    /// Services of this host to which its processes hold connections, and how many.
    pub connections: Vec<(UnitName, usize)>,
    /// `After=` of the unit, as systemd knows it; units that are no candidates are ignored.
    pub after: Vec<UnitName>,
    /// Why a plan would refuse to run with it.
    pub obstacles: Vec<String>,
    /// Why its clean end could not be proven; none if it could.
    pub unproven: Option<String>,
    /// The address on which it accepted a connection.
    pub accepts: Option<SocketAddr>,
    /// What a GET on one of its addresses answered.
    pub http_answers: Option<HttpAnswer>,
}

impl Candidate {
    pub fn kind(&self) -> ServiceKind {
        self.server.map_or(ServiceKind::Service, |server| server.kind)
    }

    fn role(&self) -> Role {
        self.server.map_or(Role::Application, |server| server.role)
    }

    /// What it may be asked to find out whether it is there.
    pub fn bears(&self) -> Bears {
        self.server.map_or(Bears::Http, |server| server.bears)
    }
}

/// What a GET answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpAnswer {
    /// The URL that was asked.
    pub url: String,
    /// The status of the answer.
    pub status: u16,
}

/// An address to connect to, for one that is listened on.
pub fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        other => other.to_canonical(),
    };
    SocketAddr::new(ip, address.port())
}
