//! Sockets and whose they are, from `/proc`: of our own network namespace only. Of Unix sockets it tells who listens; who
//! is connected with whom is not in there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use super::command::below;
use super::{HostError, HostResult};
use crate::model::{ListeningSocket, PortPeers, UnitName};

/// States of a TCP socket that matter here; the numbers are those of the kernel's `tcp_states.h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TcpState {
    /// A connection that stands.
    Established,
    Listening,
    Other,
}

/// One line of `/proc/net/tcp` or `/proc/net/tcp6`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TcpSocket {
    pub local: SocketAddr,
    /// The other end; port 0 where there is none.
    pub remote: SocketAddr,
    pub state: TcpState,
    /// Names the socket in `/proc/PID/fd`; 0 where no process has it any more.
    pub inode: u64,
}

/// Connections that one unit of this host holds to another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitConnections {
    pub client: UnitName,
    /// The unit that listens on their port.
    pub server: UnitName,
    pub connections: usize,
}

/// Reads `/proc/net/tcp` or `tcp6`. Lines that are no sockets, the heading among them, are left out.
pub fn parse_tcp(text: &str) -> Vec<TcpSocket> {
    text.lines().filter_map(parse_tcp_line).collect()
}

fn parse_tcp_line(line: &str) -> Option<TcpSocket> {
    let mut fields = line.split_whitespace();
    let local = parse_address(fields.nth(1)?)?;
    let remote = parse_address(fields.next()?)?;
    let state = match fields.next()? {
        "01" => TcpState::Established,
        "0A" => TcpState::Listening,
        _ => TcpState::Other,
    };
    let inode = fields.nth(5)?.parse().ok()?;
    Some(TcpSocket { local, remote, state, inode })
}

/// `0100007F:699D`: each 32 bits of the address as a number in the byte order of the host, then the port.
fn parse_address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| {
        let digits = address.get(at * 8..at * 8 + 8)?;
        u32::from_str_radix(digits, 16).ok().map(u32::to_ne_bytes)
    };
    let ip = match address.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?)),
        32 => {
            let mut bytes = [0; 16];
            for (at, chunk) in bytes.chunks_exact_mut(4).enumerate() {
                chunk.copy_from_slice(&word(at)?);
            }
            IpAddr::V6(Ipv6Addr::from(bytes))
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

/// The unit that `/proc/PID/cgroup` names: the outermost service or scope, so that a service's own subgroups and the
/// units of a user's manager count for the unit that the system knows.
///
/// Whichever line names a unit counts: a systemd that keeps version 2 alone leaves the lines of version 1 at `/` where a
/// host mounts both, and the other way round. Where several do, systemd's own hierarchy of version 1 comes first, which
/// it keeps where that is mounted, then version 2, then the controllers of version 1.
pub fn unit_of_cgroup(text: &str) -> Option<UnitName> {
    let mut units: Vec<(u8, UnitName)> = text.lines().filter_map(unit_of_line).collect();
    units.sort_by_key(|(rank, _)| *rank);
    units.into_iter().next().map(|(_, unit)| unit)
}

fn unit_of_line(line: &str) -> Option<(u8, UnitName)> {
    let mut fields = line.splitn(3, ':');
    let (id, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
    let rank = match (id, controllers) {
        (_, "name=systemd") => 0,
        ("0", "") => 1,
        _ => 2,
    };
    let is_unit = |part: &&str| part.ends_with(".service") || part.ends_with(".scope");
    Some((rank, path.split('/').find(is_unit)?.parse().ok()?))
}

/// Who listens where, in order.
///
/// Where several processes share a socket, the one with the lowest number counts: the oldest, as a rule the parent.
pub fn listening(root: &Path) -> HostResult<Vec<ListeningSocket>> {
    let mut sockets = Vec::new();
    for protocol in ["tcp", "tcp6", "udp", "udp6"] {
        // A UDP socket waits for everybody where it is connected to nobody.
        let listens = |socket: &TcpSocket| match protocol.starts_with("tcp") {
            true => socket.state == TcpState::Listening,
            false => socket.remote.port() == 0,
        };
        let listeners = read_table(root, protocol)?.into_iter().filter(listens);
        sockets.extend(listeners.map(|socket| (protocol, socket)));
    }
    let owners = owners(root, &sockets.iter().map(|(_, socket)| socket.inode).collect())?;
    let mut listening: Vec<ListeningSocket> = sockets
        .into_iter()
        .map(|(protocol, socket)| {
            let (program, unit) = owners.get(&socket.inode).cloned().unwrap_or_default();
            ListeningSocket { protocol: protocol.to_owned(), address: socket.local.to_string(), program, unit }
        })
        .collect();
    listening.sort();
    listening.dedup();
    Ok(listening)
}

/// Who listens on a Unix stream socket that has a path, in order. What systemd listens on for others is its own.
pub fn listening_unix(root: &Path) -> HostResult<Vec<ListeningSocket>> {
    let path = below(root, "/proc/net/unix");
    let text =
        fs::read_to_string(&path).map_err(|error| HostError::failed(format!("read {}", path.display()), error))?;
    let sockets = parse_unix(&text);
    let owners = owners(root, &sockets.iter().map(|(_, inode)| *inode).collect())?;
    let mut listening: Vec<ListeningSocket> = sockets
        .into_iter()
        .filter_map(|(address, inode)| {
            let (program, unit) = owners.get(&inode).cloned()?;
            Some(ListeningSocket { protocol: "unix".to_owned(), address, program, unit })
        })
        .collect();
    listening.sort();
    listening.dedup();
    Ok(listening)
}

/// Path and inode of the stream sockets in `/proc/net/unix` that listen and have a path. Lines that are none, the heading
/// among them, are left out.
pub fn parse_unix(text: &str) -> Vec<(String, u64)> {
    text.lines().filter_map(parse_unix_line).collect()
}

/// `0000000000000000: 00000002 00000000 00010000 0001 01 24151 /run/php/php8.2-fpm.sock`
fn parse_unix_line(line: &str) -> Option<(String, u64)> {
    /// `__SO_ACCEPTCON` of the kernel's `net.h`.
    const LISTENS: u32 = 1 << 16;
    let mut fields = line.split_whitespace();
    let flags = u32::from_str_radix(fields.nth(3)?, 16).ok()?;
    let is_stream = fields.next()? == "0001";
    let inode = fields.nth(1)?.parse().ok()?;
    let path = fields.next()?;
    (flags & LISTENS != 0 && is_stream && path.starts_with('/')).then(|| (path.to_owned(), inode))
}

/// Connections between two units of this host that stand. One counts where both of its ends are here, so that a server of
/// the same kind on another host is not taken for ours; which end is the server's, the port says on which somebody listens.
pub fn connections(root: &Path) -> HostResult<Vec<UnitConnections>> {
    let sockets = read_tcp(root)?;
    let listeners: BTreeMap<u16, u64> = sockets
        .iter()
        .filter(|socket| socket.state == TcpState::Listening)
        .map(|socket| (socket.local.port(), socket.inode))
        .collect();
    let owners = owners(root, &sockets.iter().map(|socket| socket.inode).collect())?;
    let unit_of = |inode: &u64| owners.get(inode).and_then(|(_, unit)| unit.clone());
    let inode_of = inodes_by_ends(&sockets);
    let mut found: BTreeMap<(UnitName, UnitName), usize> = BTreeMap::new();
    for socket in sockets.iter().filter(|socket| socket.state == TcpState::Established) {
        let (own, port) = (socket.local.port(), socket.remote.port());
        let Some(listener) = listeners.get(&port) else { continue };
        // A client's port may be one on which somebody listens elsewhere; servers have the lower ones.
        if listeners.contains_key(&own) && own < port {
            continue;
        }
        let Some(other_end) = inode_of.get(&(canonical(socket.remote), canonical(socket.local))) else { continue };
        // What was not accepted yet has no owner.
        let server = unit_of(other_end).or_else(|| unit_of(listener));
        if let (Some(client), Some(server)) = (unit_of(&socket.inode), server)
            && client != server
        {
            *found.entry((client, server)).or_default() += 1;
        }
    }
    let found = found.into_iter();
    Ok(found.map(|((client, server), connections)| UnitConnections { client, server, connections }).collect())
}

/// Connections that stand to the ports on which these units listen, by where they come from. The other end's unit is told
/// where that is a process of this host. Our own connections do not count.
pub fn peers_of(root: &Path, units: &[UnitName]) -> HostResult<Vec<PortPeers>> {
    let sockets = read_tcp(root)?;
    // Only what one of our own processes holds: where containers share a network, their sockets are in the table too.
    let ours = owners(root, &sockets.iter().map(|socket| socket.inode).collect())?;
    let unit_of = |inode: &u64| ours.get(inode).and_then(|(_, unit)| unit.as_ref());
    let listeners = sockets.iter().filter(|socket| socket.state == TcpState::Listening);
    let services: BTreeMap<u16, &UnitName> = listeners
        .filter_map(|socket| Some((socket.local.port(), unit_of(&socket.inode).filter(|unit| units.contains(unit))?)))
        .collect();
    let inode_of = inodes_by_ends(&sockets);
    let own: BTreeSet<u64> = sockets_of(&root.join("proc/self")).into_iter().collect();
    let mut peers: BTreeMap<(u16, String, Option<UnitName>), usize> = BTreeMap::new();
    let standing = sockets.iter().filter(|socket| socket.state == TcpState::Established);
    for socket in standing.filter(|s| services.contains_key(&s.local.port()) && ours.contains_key(&s.inode)) {
        let other_end = inode_of.get(&(canonical(socket.remote), canonical(socket.local)));
        if other_end.is_some_and(|inode| own.contains(inode)) {
            continue;
        }
        let unit = other_end.and_then(unit_of).cloned();
        let from = canonical(socket.remote).ip().to_string();
        *peers.entry((socket.local.port(), from, unit)).or_default() += 1;
    }
    let peer = |((port, from, unit), connections)| {
        Some(PortPeers { service: (*services.get(&port)?).clone(), port, from, unit, connections })
    };
    Ok(peers.into_iter().filter_map(peer).collect())
}

fn read_tcp(root: &Path) -> HostResult<Vec<TcpSocket>> {
    let mut sockets = read_table(root, "tcp")?;
    sockets.extend(read_table(root, "tcp6")?);
    Ok(sockets)
}

/// One end may be a v4 socket and the other a v6 socket that shows the same address in its mapped form.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// The sockets of connections that stand, by their own and their other end.
fn inodes_by_ends(sockets: &[TcpSocket]) -> BTreeMap<(SocketAddr, SocketAddr), u64> {
    let standing = sockets.iter().filter(|socket| socket.state == TcpState::Established);
    standing.map(|socket| ((canonical(socket.local), canonical(socket.remote)), socket.inode)).collect()
}

/// A table of the kernel; empty where it has none, as without IPv6.
fn read_table(root: &Path, protocol: &str) -> HostResult<Vec<TcpSocket>> {
    let path = below(root, "/proc/net").join(protocol);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(parse_tcp(&text)),
        Err(error) if error.kind() == ErrorKind::NotFound && protocol != "tcp" => Ok(Vec::new()),
        Err(error) => Err(HostError::failed(format!("read {}", path.display()), error)),
    }
}

/// Program and unit of each socket. Processes that end while we look, and those that we may not look into, own none.
fn owners(root: &Path, inodes: &BTreeSet<u64>) -> HostResult<BTreeMap<u64, (String, Option<UnitName>)>> {
    let proc = root.join("proc");
    let entries = fs::read_dir(&proc).map_err(|error| HostError::failed(format!("read {}", proc.display()), error))?;
    let mut pids: Vec<u32> = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable();

    let mut owners = BTreeMap::new();
    for pid in pids {
        let process = proc.join(pid.to_string());
        for inode in sockets_of(&process) {
            if inodes.contains(&inode) && !owners.contains_key(&inode) {
                let program = fs::read_to_string(process.join("comm")).unwrap_or_default().trim_end().to_owned();
                let unit = fs::read_to_string(process.join("cgroup")).ok().and_then(|text| unit_of_cgroup(&text));
                owners.insert(inode, (program, unit));
            }
        }
    }
    Ok(owners)
}

fn sockets_of(process: &Path) -> Vec<u64> {
    let Ok(descriptors) = fs::read_dir(process.join("fd")) else { return Vec::new() };
    descriptors
        .filter_map(|descriptor| {
            let target = fs::read_link(descriptor.ok()?.path()).ok()?;
            target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
        })
        .collect()
}

#[cfg(test)]
mod tests;
