//! Why a MongoDB server does not talk to us, in words that lead to a way out: certificates as people make them, TLS where
//! none is wanted and the other way round, and a server that is full. Against a real mongod, where there is one.
//!
//! The certificates in `tests/fixtures/tls` are made with openssl 3, valid for a hundred years, and for nothing else.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::mongod::{Server, mongo, mongod};
use patchday::host::Database;
use patchday::model::DatabaseAccess;
use tokio::net::TcpStream;

fn fixture(dir: &Path, name: &str) -> PathBuf {
    let path = dir.join(name);
    fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls").join(name), &path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

fn access(server: &Server, options: &str) -> DatabaseAccess {
    let uri = format!("mongodb://127.0.0.1:{}/?{options}", server.port);
    DatabaseAccess { uri: Some(uri), ..DatabaseAccess::default() }
}

#[tokio::test]
async fn a_certificate_that_is_refused_is_told_with_the_way_out() {
    let Some(program) = mongod() else { return };
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| fixture(dir.path(), name).display().to_string();
    let ca = format!("tls=true&tlsCAFile={}", file("ca.pem"));
    let own = |name: &str| format!("tls=true&tlsCAFile={}", file(name));
    for (certificate, options, expected) in [
        ("good.pem", ca.clone(), None),
        // Self-signed, as openssl makes it unasked: CA:TRUE.
        ("self-signed.pem", own("self-signed.pem"), Some(["CA's own certificate", "CA:FALSE"])),
        ("self-signed-leaf.pem", "tls=true".to_owned(), Some(["does not trust", "tlsCAFile="])),
        ("self-signed-leaf.pem", ca.clone(), Some(["does not trust", "tlsCAFile="])),
        ("good.pem", "tls=true".to_owned(), Some(["does not trust", "tlsCAFile="])),
        ("self-signed-leaf.pem", own("self-signed-leaf.pem"), None),
        ("other-name.pem", ca.clone(), Some(["not for the name", "subjectAltName"])),
        ("no-name.pem", ca.clone(), Some(["not for the name", "the CN does not count"])),
        ("version-1.pem", ca.clone(), Some(["version 1", "-extfile"])),
        ("client-only.pem", ca.clone(), Some(["not made for servers", "serverAuth"])),
        ("good.pem", String::new(), Some(["it wants TLS", "tls=true"])),
        ("good.pem", "tls=true&tlsAllowInvalidCertificates=true".to_owned(), None),
    ] {
        let key = file(certificate);
        let server =
            Server::start_closed(program.clone(), &["--tlsMode", "requireTLS", "--tlsCertificateKeyFile", &key]).await;
        let answer = mongo().facts(&access(&server, &options)).await;
        match (answer, expected) {
            (Ok(_), None) => {}
            (Err(error), Some(words)) => {
                println!("{certificate} {options}: {error}");
                assert!(words.iter().all(|word| error.why.contains(word)), "{certificate} {options}: {error}");
            }
            (answer, _) => panic!("{certificate} {options}: {answer:?}"),
        }
    }
}

#[tokio::test]
async fn a_server_that_wants_a_certificate_of_its_clients_says_so() {
    let Some(program) = mongod() else { return };
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| fixture(dir.path(), name).display().to_string();
    let (key, ca) = (file("good.pem"), file("ca.pem"));
    let options = ["--tlsMode", "requireTLS", "--tlsCertificateKeyFile", &key, "--tlsCAFile", &ca];
    let server = Server::start_closed(program, &options).await;
    let without = format!("tls=true&tlsCAFile={ca}");
    let error = mongo().facts(&access(&server, &without)).await.unwrap_err();
    println!("{error}");
    assert!(error.why.contains("certificate of its clients") && error.why.contains("tlsCertificateKeyFile"), "{error}");
    let with = format!("{without}&tlsCertificateKeyFile={}", file("client.pem"));
    mongo().facts(&access(&server, &with)).await.unwrap();
}

/// "unexpected end of file" stands for both.
#[tokio::test]
async fn a_full_server_is_told_from_one_that_wants_another_tongue() {
    let Some(program) = mongod() else { return };
    let server = Server::start(program, &["--maxConns", "6"]).await;
    let error = mongo().facts(&access(&server, "tls=true")).await.unwrap_err();
    println!("{error}");
    assert!(error.why.contains("TLS"), "{error}");
    let mut held = Vec::new();
    for _ in 0..12 {
        held.push(TcpStream::connect(("127.0.0.1", server.port)).await.unwrap());
    }
    let error = mongo().facts(&server.access()).await.unwrap_err();
    println!("{error}");
    assert!(error.why.contains("closes every connection at once") && !error.why.contains("TLS"), "{error}");
    drop(held);
}
