//! Certificates for a machine.

use anyhow::{Result, bail};
use patchday_lab::Machine;
use std::path::Path;
use std::process::Command;

/// A CA, a certificate for the server and one for a client, with the openssl program.
pub(crate) fn make(machine: &Machine, directory: &Path, target: &str) -> Result<()> {
    let openssl = |arguments: &[&str]| -> Result<()> {
        let output = Command::new("openssl").args(arguments).current_dir(directory).output()?;
        if !output.status.success() {
            bail!("openssl {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr));
        }
        Ok(())
    };
    openssl(&[
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        "ca.key",
        "-out",
        "ca.pem",
        "-days",
        "30",
        "-subj",
        "/CN=lab CA",
        "-addext",
        "keyUsage=critical,keyCertSign",
    ])?;
    for (name, subject, extension) in [
        ("server", "/O=lab/OU=servers/CN=127.0.0.1", "subjectAltName=IP:127.0.0.1,DNS:localhost"),
        ("client", "/O=lab/OU=clients/CN=patchday", "extendedKeyUsage=clientAuth"),
    ] {
        std::fs::write(directory.join("extensions"), extension)?;
        let (key, request, certificate) = (format!("{name}.key"), format!("{name}.csr"), format!("{name}.crt"));
        openssl(&["req", "-newkey", "rsa:2048", "-nodes", "-keyout", &key, "-out", &request, "-subj", subject])?;
        openssl(&[
            "x509",
            "-req",
            "-in",
            &request,
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-out",
            &certificate,
            "-days",
            "30",
            "-extfile",
            "extensions",
        ])?;
        let both =
            std::fs::read_to_string(directory.join(&key))? + &std::fs::read_to_string(directory.join(&certificate))?;
        machine.write_file(&format!("{target}/{name}.pem"), &both)?;
    }
    let ca = std::fs::read_to_string(directory.join("ca.pem"))?;
    machine.write_file(&format!("{target}/ca.pem"), &ca)?;
    machine.exec_ok(&["chown", "mongod:mongod", &format!("{target}/server.pem")])?;
    machine.exec_ok(&["chmod", "0400", &format!("{target}/server.pem")]).map(drop)
}
