use std::os::unix::fs::symlink;

use super::*;

const TCP: &str = include_str!("../../../tests/fixtures/proc/net-tcp");
const UNIX: &str = include_str!("../../../tests/fixtures/proc/net-unix");
const TCP6: &str = include_str!("../../../tests/fixtures/proc/net-tcp6");

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
    fs::write(proc.join("net/unix"), UNIX).unwrap();
    for (pid, program, cgroup, sockets) in [
        (900, "mongod", "0::/system.slice/mongod.service", vec![41001, 41004, 43001, 43002]),
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
fn clients_are_told_where_both_ends_are_here() {
    let dir = root();
    let [client, server] = ["sample-api.service", "mongod.service"].map(|unit| unit.parse().unwrap());
    assert_eq!(connections(dir.path()).unwrap(), [UnitConnections { client, server, connections: 2 }]);
}

#[test]
fn unix_sockets_are_told_where_they_have_a_path_and_a_process() {
    let dir = root();
    let seen: Vec<_> = listening_unix(dir.path())
        .unwrap()
        .into_iter()
        .map(|s| (s.protocol, s.address, s.program, s.unit.map(String::from).unwrap_or_default()))
        .collect();
    let row = |path: &str, program: &str, unit: &str| {
        ("unix".to_owned(), path.to_owned(), program.to_owned(), unit.to_owned())
    };
    assert_eq!(seen, [row("/tmp/mongodb-27017.sock", "mongod", "mongod.service")]);
    assert!(parse_unix("Num RefCount Protocol Flags Type St Inode Path\nnonsense\n").is_empty());
}

#[test]
#[cfg(target_endian = "little")]
fn peers_of_a_service_are_told_with_their_unit() {
    let dir = root();
    let unit = |name: &str| name.parse::<UnitName>().unwrap();
    let seen = peers_of(dir.path(), &[unit("mongod.service")]).unwrap();
    let told: Vec<_> =
        seen.iter().map(|p| (p.from.as_str(), p.unit.as_ref().map(UnitName::as_str), p.connections)).collect();
    assert_eq!(told, [("127.0.0.1", Some("sample-api.service"), 1)]);
    assert_eq!((seen[0].service.as_str(), seen[0].port), ("mongod.service", 27017));
    assert!(peers_of(dir.path(), &[unit("ssh.service")]).unwrap().is_empty());
}

#[test]
fn a_host_without_tables_is_an_error_and_not_empty() {
    let dir = tempfile::tempdir().unwrap();
    assert!(listening(dir.path()).unwrap_err().to_string().contains("proc/net/tcp"));
}

#[test]
fn spoiled_text_is_survived() {
    let samples = [
        include_str!("../../../tests/fixtures/proc/net-tcp"),
        include_str!("../../../tests/fixtures/proc/net-tcp6"),
        UNIX,
        "12:name=systemd:/system.slice/mongod.service\n0::/system.slice/mongod.service\n",
    ];
    crate::host::hostile::survives(&samples, |text| {
        assert!(parse_tcp(text).len() <= text.lines().count());
        assert!(parse_unix(text).len() <= text.lines().count());
        let _ = unit_of_cgroup(text);
    });
}
