//! A private `dbus-daemon`, killed on drop.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use patchday::host::bus::{Bus, BusAddress};

const CONFIG: &str = r#"<busconfig>
  <type>custom</type>
  <listen>unix:path=SOCKET</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*"/>
    <allow receive_sender="*"/>
    <allow own="*"/>
  </policy>
</busconfig>
"#;

/// The daemon and the directory of its socket.
pub(crate) struct BusDaemon {
    directory: tempfile::TempDir,
    child: Option<Child>,
}

impl BusDaemon {
    pub(crate) fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("socket");
        std::fs::write(directory.path().join("bus.conf"), CONFIG.replace("SOCKET", &socket.display().to_string()))
            .unwrap();
        let mut daemon = Self { directory, child: None };
        daemon.start_again();
        daemon
    }

    /// Starts a new daemon on the same address.
    pub(crate) fn start_again(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        let log = self.directory.path().join("bus.log");
        let mut child = Command::new("dbus-daemon")
            .arg(format!("--config-file={}", self.directory.path().join("bus.conf").display()))
            .args(["--nofork", "--nopidfile", "--print-address=1"])
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(&log).unwrap())
            .spawn()
            .expect("dbus-daemon (package dbus-daemon) is needed for this test");
        // It prints its address once it listens.
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("unix:path="), "{line:?}: {}", std::fs::read_to_string(log).unwrap());
        self.child = Some(child);
    }

    /// Kills the daemon, and with it every connection.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = std::fs::remove_file(self.directory.path().join("socket"));
    }

    pub(crate) fn address(&self) -> String {
        format!("unix:path={}", self.directory.path().join("socket").display())
    }

    /// Stands for the root directory of the host.
    pub(crate) fn root(&self) -> &Path {
        self.directory.path()
    }

    /// A handle such as the program has.
    pub(crate) fn bus(&self) -> Bus {
        Bus::new(BusAddress::At(self.address()))
    }

    /// A connection for a mock.
    pub(crate) fn builder(&self) -> zbus::connection::Builder<'static> {
        zbus::connection::Builder::address(self.address().as_str())
    }
}

impl Drop for BusDaemon {
    fn drop(&mut self) {
        self.kill();
    }
}
