//! Asks needrestart(1), where it is installed, what still runs with files that were replaced. In batch mode it restarts
//! nothing and asks nobody, whatever its configuration says.

use std::path::Path;
use std::time::Duration;

use crate::host::command;
use crate::host::{HostError, HostErrorKind, HostResult};
use crate::model::Outdated;

/// It looks at every process: a fifth of a second on a small host.
const TIMEOUT: Duration = Duration::from_secs(60);

/// `NEEDRESTART-UCSTA` of a CPU for which there is newer microcode.
const OBSOLETE: &str = "2";

/// None if it is not installed.
pub(super) async fn ask(root: &Path) -> HostResult<Option<Outdated>> {
    match command::read_text(root, "needrestart", &["-b"], TIMEOUT).await {
        Ok(text) => parse(&text).map(Some).map_err(|why| HostError::failed("read what needrestart says", why)),
        Err(error) if error.kind == HostErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn parse(text: &str) -> Result<Outdated, String> {
    let all = |key: &str| {
        let values = text.lines().filter_map(move |line| line.strip_prefix("NEEDRESTART-")?.strip_prefix(key));
        values.map(|value| value.trim().to_owned()).collect::<Vec<String>>()
    };
    let one = |key: &str| all(key).into_iter().next();
    one("VER: ").ok_or("it does not tell its version")?;
    let is_obsolete = one("UCSTA: ").as_deref() == Some(OBSOLETE);
    Ok(Outdated {
        services: all("SVC: "),
        sessions: all("SESS: "),
        containers: all("CONT: "),
        microcode: is_obsolete.then(|| one("UCCUR: ").zip(one("UCEXP: "))).flatten(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_outdated_is_read() {
        for text in [
            include_str!("../../../tests/fixtures/apt/needrestart-3.6.txt"),
            include_str!("../../../tests/fixtures/apt/needrestart-3.11.txt"),
        ] {
            let outdated = parse(text).unwrap();
            let found = ["mongod.service", "systemd-logind.service", "systemd-manager"];
            assert!(found.iter().all(|name| outdated.services.iter().any(|one| one == name)), "{outdated:?}");
            assert_eq!(Outdated { services: Vec::new(), ..outdated }, Outdated::default());
        }
        // As its documentation of the batch mode has it, for hosts that no container is.
        let text = "NEEDRESTART-VER: 3.6\nNEEDRESTART-KSTA: 1\nNEEDRESTART-UCSTA: 2\nNEEDRESTART-UCCUR: 0x071a\n\
                    NEEDRESTART-UCEXP: 0x071b\nNEEDRESTART-CONT: LXC web1\nNEEDRESTART-SESS: root @ session #4\n";
        let outdated = parse(text).unwrap();
        assert_eq!(
            (outdated.containers, outdated.sessions),
            (vec!["LXC web1".into()], vec!["root @ session #4".into()])
        );
        assert_eq!(outdated.microcode, Some(("0x071a".into(), "0x071b".into())));
        let current = text.replace("UCSTA: 2", "UCSTA: 1");
        assert_eq!(parse(&current).unwrap().microcode, None);
        assert!(parse("").is_err());
    }

    #[tokio::test]
    async fn a_host_without_it_is_no_trouble() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(ask(root.path()).await.unwrap(), None);
    }

    #[test]
    fn spoiled_text_is_survived() {
        let samples = [
            include_str!("../../../tests/fixtures/apt/needrestart-3.6.txt"),
            include_str!("../../../tests/fixtures/apt/needrestart-3.11.txt"),
        ];
        crate::host::hostile::survives(&samples, |text| {
            let _ = parse(text);
        });
    }
}
