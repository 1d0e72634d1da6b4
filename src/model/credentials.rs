//! Passwords stand in connection strings and addresses, and must not be shown: neither in an error, nor in a report, nor on a
//! command line.

/// The text without what may be a secret. It is shown and not used: rather too much goes than too little.
pub fn redacted(text: &str) -> String {
    let (scheme, rest) = text.split_once("://").map_or((None, text), |(scheme, rest)| (Some(scheme), rest));
    let (authority, path) = split_authority(rest);
    let path = path.find(['?', '#']).map_or(path.to_owned(), |at| format!("{}…", &path[..=at]));
    let Some(scheme) = scheme else {
        return authority.rsplit_once('@').map_or(authority.to_owned(), |(_, host)| format!("…@{host}")) + &path;
    };
    // In a text that is no URL, what stands where a port belongs may be a password.
    let shown = |host: &str| match host.split_once(':') {
        Some((name, port)) if !name.starts_with('[') && !port.bytes().all(|byte| byte.is_ascii_digit()) => {
            format!("{name}:…")
        }
        _ => host.to_owned(),
    };
    let hosts = |hosts: &str| hosts.split(',').map(shown).collect::<Vec<_>>().join(",");
    match authority.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://…@{}{path}", hosts(host)),
        None => format!("{scheme}://{}{path}", hosts(authority)),
    }
}

/// The text with each of its URLs redacted: services like to print their connection strings when they fail.
pub fn with_redacted_urls(text: &str) -> String {
    let is_end = |sign: char| sign.is_whitespace() || "'\"<>".contains(sign);
    let words = text.split_inclusive(is_end);
    words.map(|word| if word.contains("://") { redacted_word(word, is_end) } else { word.to_owned() }).collect()
}

fn redacted_word(word: &str, is_end: impl Fn(char) -> bool) -> String {
    let url = word.trim_end_matches(is_end);
    redacted(url) + &word[url.len()..]
}

/// The server of a URL whose path may be as good as a password.
pub fn server_of(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let (authority, path) = split_authority(rest);
    let server = redacted(&format!("{scheme}://{authority}"));
    if path.trim_matches('/').is_empty() { server + path } else { server + "/…" }
}

/// The URL without user and password, to be used. apt finds those in `auth.conf` by itself.
pub fn without_credentials(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

/// Splits what follows `://` of a URL into servers, with the credentials before them, and path.
pub fn split_authority(rest: &str) -> (&str, &str) {
    // The password may hold a slash in spite of the rules, so that the last "@" ends the credentials.
    let from = rest.rfind('@').unwrap_or(0);
    let end = rest[from..].find(['/', '?', '#']).map_or(rest.len(), |at| from + at);
    rest.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_never_shown() {
        for text in [
            "mongodb://root:hunter2@localhost",
            "mongodb://root:hunter2@hunter2@localhost",
            "mongodb://root:hunter2/?hunter2@localhost/?hunter2",
            "mongodb://root:hunter2",
            "mongodb://root:hunter2localhost:27017/admin",
            "mongodb://a:1,root:hunter2",
            "root:hunter2@localhost:27017",
            "mongodb://localhost/?tlsCertificateKeyFilePassword=hunter2",
            "https://localhost/#hunter2",
            "https://localhost#hunter2",
            "https:/localhost/?hunter2",
        ] {
            assert!(!redacted(text).contains("hunter2"), "{text} is shown as {}", redacted(text));
        }
        for text in ["mongodb://a:1,b:2/admin", "http://[::1]:80/x", "etc/mongodb.uri", "127.0.0.1:80"] {
            assert_eq!(redacted(text), text);
        }
    }

    #[test]
    fn urls_are_found_in_what_services_say() {
        for (text, shown) in [
            (
                "cannot reach mongodb://u:p@db:27017/x?y, nor http://a/",
                "cannot reach mongodb://…@db:27017/x?… nor http://a/",
            ),
            ("{\"uri\":\"mongodb://u:p/w@db\",\"retry\":3}", "{\"uri\":\"mongodb://…@db\",\"retry\":3}"),
            ("(https://a/b) listens on 10.0.0.1:80 as a@b", "(https://a/b) listens on 10.0.0.1:80 as a@b"),
        ] {
            assert_eq!(with_redacted_urls(text), shown);
        }
    }

    #[test]
    fn of_a_url_that_is_a_secret_the_server_is_shown() {
        for (url, shown) in [
            ("https://chat.example.org/hooks/KEY", "https://chat.example.org/…"),
            ("https://u:KEY@chat.example.org:8065/hooks?KEY", "https://…@chat.example.org:8065/…"),
            ("https://chat.example.org?KEY", "https://chat.example.org/…"),
            ("https://chat.example.org/", "https://chat.example.org/"),
        ] {
            assert_eq!(server_of(url), shown);
        }
    }

    #[test]
    fn a_url_without_its_credentials_leads_where_it_led() {
        for (url, without) in [
            ("https://lab:secret@example.org/repo/./InRelease", "https://example.org/repo/./InRelease"),
            ("https://example.org/a@b", "https://example.org/a@b"),
            ("https://lab:secret@example.org", "https://example.org"),
            ("cdrom:[x@y]/dists", "cdrom:[x@y]/dists"),
        ] {
            assert_eq!(without_credentials(url), without);
        }
    }
}
