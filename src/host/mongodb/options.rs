//! Reads the options of a mongod that does not run: its command line, and as much of its configuration file as names
//! files, the port and the addresses.

use std::collections::BTreeMap;

/// Options by their path in the configuration file, as in `storage.dbPath`.
pub(super) type Options = BTreeMap<String, String>;

/// Options of the command line, and their names in the file. The command line wins.
const FLAGS: [(&str, &str); 8] = [
    ("--dbpath", "storage.dbPath"),
    ("--logpath", "systemLog.path"),
    ("--port", "net.port"),
    ("--unixSocketPrefix", "net.unixDomainSocket.pathPrefix"),
    ("--keyFile", "security.keyFile"),
    ("--tlsCertificateKeyFile", "net.tls.certificateKeyFile"),
    ("--tlsCAFile", "net.tls.CAFile"),
    ("--bind_ip", "net.bindIp"),
];

/// The path of the configuration file in a command line.
pub(super) fn config_path<'a>(argv: &[&'a str]) -> Option<&'a str> {
    flag(argv, "--config").or_else(|| flag(argv, "-f"))
}

fn flag<'a>(argv: &[&'a str], name: &str) -> Option<&'a str> {
    argv.iter().enumerate().find_map(|(at, word)| {
        if *word == name {
            return argv.get(at + 1).copied();
        }
        word.strip_prefix(name)?.strip_prefix('=')
    })
}

/// The options in force.
pub(super) fn options(argv: &[&str], file: &str) -> Options {
    let mut options = yaml(file);
    for (name, path) in FLAGS {
        if let Some(value) = flag(argv, name) {
            options.insert(path.to_owned(), value.to_owned());
        }
    }
    options
}

/// The part of YAML in which such files are written: nested `key: value`, and `{ key: value, … }` in one line. What is
/// written otherwise is left out: a file that cannot be read here is no reason to say anything about it.
fn yaml(text: &str) -> Options {
    let mut options = Options::new();
    let mut parents: Vec<(usize, String)> = Vec::new();
    for line in text.lines() {
        let line = without_comment(line);
        let indent = line.len() - line.trim_start().len();
        let Some((key, value)) = line.trim().split_once(':') else { continue };
        parents.retain(|(depth, _)| *depth < indent);
        let path = parents.iter().map(|(_, key)| key.as_str()).chain([key.trim()]).collect::<Vec<_>>().join(".");
        match value.trim() {
            "" => parents.push((indent, key.trim().to_owned())),
            value => entry(&mut options, path, value),
        }
    }
    options
}

fn without_comment(line: &str) -> &str {
    if line.trim_start().starts_with('#') { "" } else { line.split(" #").next().unwrap_or(line) }
}

fn entry(options: &mut Options, path: String, value: &str) {
    let Some(inner) = value.strip_prefix('{').and_then(|value| value.strip_suffix('}')) else {
        options.insert(path, value.trim_matches(['"', '\'']).to_owned());
        return;
    };
    for part in outer_parts(inner) {
        if let Some((key, value)) = part.split_once(':') {
            entry(options, format!("{path}.{}", key.trim()), value.trim());
        }
    }
}

/// Splits at the commas that are in no inner brace.
fn outer_parts(text: &str) -> Vec<&str> {
    let mut depth = 0_i32;
    text.split(|c: char| {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        c == ',' && depth == 0
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_and_the_command_line_are_read() {
        let file = "# mongod.conf\nstorage:\n  dbPath: /var/lib/mongodb # data\n  wiredTiger: { engineConfig: { cacheSizeGB: \
                    0.25 } }\nnet: { bindIp: 127.0.0.1, port: 27018, tls: { mode: requireTLS, CAFile: \"/ca.pem\" } }\n\
                    systemLog:\n  destination: file\n  path: '/var/log/mongod.log'\n";
        let seen = options(&["/usr/bin/mongod", "--config", "/etc/mongod.conf", "--port=27019"], file);
        for (key, expected) in [
            ("storage.dbPath", "/var/lib/mongodb"),
            ("storage.wiredTiger.engineConfig.cacheSizeGB", "0.25"),
            ("net.bindIp", "127.0.0.1"),
            ("net.port", "27019"),
            ("net.tls.CAFile", "/ca.pem"),
            ("systemLog.path", "/var/log/mongod.log"),
        ] {
            assert_eq!(seen.get(key).map(String::as_str), Some(expected), "{key}: {seen:?}");
        }
        assert_eq!(config_path(&["mongod", "-f", "/x"]), Some("/x"));
        assert_eq!(config_path(&["mongod", "--config=/y"]), Some("/y"));
        assert_eq!(config_path(&["mongod"]), None);
    }

    #[test]
    fn spoiled_text_is_survived() {
        let samples = [
            include_str!("../../../tests/lab/recipe/mongod.conf"),
            "storage: { dbPath: /data, journal: { enabled: true } }\nnet:\n  port: 27017 # here\n",
            "mongod --dbpath=/data --config /etc/mongod.conf",
        ];
        crate::host::hostile::survives(&samples, |text| {
            let words: Vec<&str> = text.split_whitespace().collect();
            let _ = (options(&words, text), config_path(&words));
        });
    }
}
