//! TCP sockets and whose they are, from `/proc`: of our own network namespace only, and Unix sockets are not covered.

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

/// Who holds connections to a port of this host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PortClient {
    /// The client's unit; none if its control group is no unit's, or no process was found.
    pub unit: Option<UnitName>,
    /// The client's program (`comm`); empty where no process was found.
    pub program: String,
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

/// The processes of this host that hold connections to `port` of this host, by unit and program. A connection counts
/// where both of its ends are here, so that a server of the same kind on another host is not taken for ours.
pub fn connections_to(root: &Path, port: u16) -> HostResult<Vec<PortClient>> {
    let mut sockets = read_table(root, "tcp")?;
    sockets.extend(read_table(root, "tcp6")?);
    sockets.retain(|socket| socket.state == TcpState::Established);
    // One end may be a v4 socket and the other a v6 socket that shows the same address in its mapped form.
    let canonical = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
    let ends: BTreeSet<_> = sockets.iter().map(|s| (canonical(s.local), canonical(s.remote))).collect();
    sockets.retain(|s| s.remote.port() == port && ends.contains(&(canonical(s.remote), canonical(s.local))));

    let owners = owners(root, &sockets.iter().map(|socket| socket.inode).collect())?;
    let mut clients: BTreeMap<(Option<UnitName>, String), usize> = BTreeMap::new();
    for socket in sockets {
        let (program, unit) = owners.get(&socket.inode).cloned().unwrap_or_default();
        *clients.entry((unit, program)).or_default() += 1;
    }
    Ok(clients.into_iter().map(|((unit, program), connections)| PortClient { unit, program, connections }).collect())
}

/// Connections that stand to `ports` of this host, by where they come from. The other end's unit is told where that is a
/// process of this host. Our own connections do not count.
pub fn peers_of(root: &Path, ports: &[u16]) -> HostResult<Vec<PortPeers>> {
    let mut sockets = read_table(root, "tcp")?;
    sockets.extend(read_table(root, "tcp6")?);
    sockets.retain(|socket| socket.state == TcpState::Established);
    let canonical = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
    let inode_of: BTreeMap<_, u64> =
        sockets.iter().map(|s| ((canonical(s.local), canonical(s.remote)), s.inode)).collect();
    // Only what one of our own processes holds: where containers share a network, their sockets are in the table too.
    let ours = owners(root, &sockets.iter().map(|socket| socket.inode).collect())?;
    let own: BTreeSet<u64> = sockets_of(&root.join("proc/self")).into_iter().collect();
    let mut peers: BTreeMap<(u16, String, Option<UnitName>), usize> = BTreeMap::new();
    for socket in sockets.iter().filter(|s| ports.contains(&s.local.port()) && ours.contains_key(&s.inode)) {
        let other_end = inode_of.get(&(canonical(socket.remote), canonical(socket.local)));
        if other_end.is_some_and(|inode| own.contains(inode)) {
            continue;
        }
        let unit = other_end.and_then(|inode| ours.get(inode)).and_then(|(_, unit)| unit.clone());
        let from = canonical(socket.remote).ip().to_string();
        *peers.entry((socket.local.port(), from, unit)).or_default() += 1;
    }
    let peer = |((port, from, unit), connections)| PortPeers { port, from, unit, connections };
    Ok(peers.into_iter().map(peer).collect())
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
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const TCP: &str = include_str!("../../tests/fixtures/proc/net-tcp");
    const TCP6: &str = include_str!("../../tests/fixtures/proc/net-tcp6");

    #[test]
    #[cfg(target_endian = "little")]
    fn tables_of_the_kernel_are_read() {
        let seen: Vec<_> =
            parse_tcp(TCP).iter().map(|s| (s.local.to_string(), s.remote.to_string(), s.state, s.inode)).collect();
        let row = |local: &str, remote: &str, state, inode| (local.to_owned(), remote.to_owned(), state, inode);
        assert_eq!(
            seen,
            [
                row("127.0.0.1:27017", "0.0.0.0:0", TcpState::Listening, 41001),
                row("0.0.0.0:22", "0.0.0.0:0", TcpState::Listening, 41002),
                row("127.0.0.1:51234", "127.0.0.1:27017", TcpState::Established, 41003),
                row("127.0.0.1:27017", "127.0.0.1:51234", TcpState::Established, 41004),
                row("192.0.2.2:43880", "192.0.2.80:27017", TcpState::Established, 41005),
                row("127.0.0.1:51236", "127.0.0.1:27017", TcpState::Other, 0),
                row("127.0.0.1:27017", "127.0.0.1:51300", TcpState::Established, 41006),
            ]
        );
        let six: Vec<_> = parse_tcp(TCP6).iter().map(|s| (s.local.to_string(), s.state)).collect();
        assert_eq!(six[0], ("[::1]:8080".to_owned(), TcpState::Listening));
        assert_eq!(six[1], ("[::ffff:127.0.0.1]:51300".to_owned(), TcpState::Established));
        assert!(parse_tcp("nonsense\n 0: zz:00 1:2 0A\n").is_empty());
    }

    #[test]
    fn control_groups_name_their_unit() {
        for (text, unit) in [
            ("0::/system.slice/mongod.service\n", Some("mongod.service")),
            ("0::/system.slice/api.service/payload\n", Some("api.service")),
            ("0::/system.slice/system-app.slice/app@1.service\n", Some("app@1.service")),
            ("0::/user.slice/user-0.slice/session-3.scope\n", Some("session-3.scope")),
            ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/x.service\n", Some("user@1000.service")),
            ("0::/init.scope\n", Some("init.scope")),
            ("9:name=systemd:/system.slice/mongod.service\n8:pids:/other.service\n0::/\n", Some("mongod.service")),
            // A systemd that keeps version 2, where the host mounts version 1 too; and the other way round.
            ("1:name=systemd:/\n0::/system.slice/mongod.service\n", Some("mongod.service")),
            ("1:name=systemd:/system.slice/mongod.service\n0::/\n", Some("mongod.service")),
            ("1:name=systemd:/user.slice\n4:pids:/system.slice/mongod.service\n0::/\n", Some("mongod.service")),
            ("4:pids:/a.service\n0::/b.service\n1:name=systemd:/c.service\n", Some("c.service")),
            ("4:pids:/a.service\n0::/b.service\n1:name=systemd:/\n", Some("b.service")),
            ("1:cpu:/\n0::/\n", None),
            ("1:name=systemd:/docker/0123abcd\n0::/\n", None),
            ("0::/\n", None),
            ("", None),
        ] {
            assert_eq!(unit_of_cgroup(text).as_ref().map(UnitName::as_str), unit, "{text}");
        }
    }

    /// A `/proc` with three processes: two share the listening socket of MongoDB.
    fn root() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let proc = dir.path().join("proc");
        fs::create_dir_all(proc.join("net")).unwrap();
        fs::write(proc.join("net/tcp"), TCP).unwrap();
        fs::write(proc.join("net/tcp6"), TCP6).unwrap();
        for (pid, program, cgroup, sockets) in [
            (900, "mongod", "0::/system.slice/mongod.service", vec![41001, 41004]),
            (1901, "mongod-child", "0::/system.slice/mongod.service", vec![41001]),
            (950, "sample-api", "0::/system.slice/sample-api.service", vec![41003, 41005, 42001, 42002]),
            (960, "shell", "0::/", vec![]),
        ] {
            let process = proc.join(pid.to_string());
            fs::create_dir_all(process.join("fd")).unwrap();
            fs::write(process.join("comm"), format!("{program}\n")).unwrap();
            fs::write(process.join("cgroup"), format!("{cgroup}\n")).unwrap();
            for (fd, inode) in sockets.iter().enumerate() {
                symlink(format!("socket:[{inode}]"), process.join("fd").join(fd.to_string())).unwrap();
            }
            symlink("/dev/null", process.join("fd/99")).unwrap();
        }
        dir
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn listeners_are_told_with_program_and_unit() {
        let dir = root();
        let seen: Vec<_> = listening(dir.path())
            .unwrap()
            .into_iter()
            .map(|s| (s.protocol, s.address, s.program, s.unit.map(String::from).unwrap_or_default()))
            .collect();
        let row = |protocol: &str, address: &str, program: &str, unit: &str| {
            (protocol.to_owned(), address.to_owned(), program.to_owned(), unit.to_owned())
        };
        assert_eq!(
            seen,
            [
                row("tcp", "0.0.0.0:22", "", ""),
                row("tcp", "127.0.0.1:27017", "mongod", "mongod.service"),
                row("tcp6", "[::1]:8080", "sample-api", "sample-api.service"),
            ]
        );
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn clients_of_a_port_are_those_with_both_ends_here() {
        let dir = root();
        let clients = connections_to(dir.path(), 27017).unwrap();
        let api = PortClient {
            unit: Some("sample-api.service".parse().unwrap()),
            program: "sample-api".into(),
            connections: 2,
        };
        assert_eq!(clients, [api]);
        assert!(connections_to(dir.path(), 5432).unwrap().is_empty());
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn peers_of_a_port_are_told_with_their_unit() {
        let dir = root();
        let seen = peers_of(dir.path(), &[27017]).unwrap();
        let told: Vec<_> =
            seen.iter().map(|p| (p.from.as_str(), p.unit.as_ref().map(UnitName::as_str), p.connections)).collect();
        assert_eq!(told, [("127.0.0.1", Some("sample-api.service"), 1)]);
        assert!(peers_of(dir.path(), &[22]).unwrap().is_empty());
    }

    #[test]
    fn a_host_without_tables_is_an_error_and_not_empty() {
        let dir = tempfile::tempdir().unwrap();
        assert!(listening(dir.path()).unwrap_err().to_string().contains("proc/net/tcp"));
    }

    #[test]
    fn spoiled_text_is_survived() {
        let samples = [
            include_str!("../../tests/fixtures/proc/net-tcp"),
            include_str!("../../tests/fixtures/proc/net-tcp6"),
            "12:name=systemd:/system.slice/mongod.service\n0::/system.slice/mongod.service\n",
        ];
        crate::host::hostile::survives(&samples, |text| {
            assert!(parse_tcp(text).len() <= text.lines().count());
            let _ = unit_of_cgroup(text);
        });
    }
}
