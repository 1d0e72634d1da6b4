//! What a TLS library says, in words that lead to a way out. The libraries agree on their words, since they share one
//! implementation (rustls 0.23); what is not known is repeated as it is.

/// A word of the library, what it means, and what to do.
struct Word {
    says: &'static [&'static str],
    means: &'static str,
    way_out: &'static str,
}

/// The first that fits counts.
const WORDS: &[Word] = &[
    Word {
        says: &["CaUsedAsEndEntity"],
        means: "the server shows a CA's own certificate as its own, as `openssl req -x509` makes it (CA:TRUE)",
        way_out: "make one for the server: signed by that CA, or self-signed with \
                  `-addext basicConstraints=critical,CA:FALSE -addext subjectAltName=DNS:NAME`",
    },
    Word {
        says: &["UnknownIssuer"],
        means: "the server's certificate is signed by an authority that this host does not trust",
        way_out: "name the CA that signed it (TRUST), or the certificate itself where it is self-signed",
    },
    Word {
        says: &["not valid for any names", "NotValidForName", "not valid for name"],
        means: "the server's certificate is not for the name under which it is asked",
        way_out: "ask for a name in its subjectAltName (the CN does not count), or have that name put into it: \
                  `openssl x509 -noout -ext subjectAltName -in CERTIFICATE`",
    },
    Word {
        says: &["certificate expired", "CertExpired", "Expired"],
        means: "the server's certificate has expired",
        way_out: "renew it, and let the server load it",
    },
    Word {
        says: &["not valid yet", "NotValidYet"],
        means: "the server's certificate is not valid yet",
        way_out: "look at its dates, and at this host's clock: `timedatectl`",
    },
    Word {
        says: &["UnsupportedCertVersion"],
        means: "the server's certificate is of version 1, which no client takes any more",
        way_out: "sign it with extensions (`openssl x509 -req -extfile`), subjectAltName among them",
    },
    Word {
        says: &["InvalidPurpose", "extended key usage", "RequiredEkuNotFound"],
        means: "the server's certificate is not made for servers",
        way_out: "have serverAuth put into its extendedKeyUsage, or leave that extension out",
    },
    Word {
        says: &["BadSignature", "InvalidSignature"],
        means: "the server's certificate is not signed by the CA of that name that this host trusts: two CAs share a name",
        way_out: "name the CA that signed it (TRUST)",
    },
    Word {
        says: &["CertificateRequired", "BadCertificate", "UnknownCA", "DecryptError", "CertificateUnknown"],
        means: "the server wants a certificate of its clients, and takes none or not this one",
        way_out: "name one that its CA signed, for clients (CLIENT)",
    },
    Word {
        says: &["without sending TLS close_notify"],
        means: "the server closes the connection as soon as TLS stands: as a rule it wants a certificate of its clients, and \
                takes none or not this one",
        way_out: "name one that its CA signed, for clients (CLIENT); else see its log",
    },
    Word {
        says: &["InvalidContentType", "corrupt message"],
        means: "the server does not speak TLS on this port",
        way_out: "ask it without TLS, or on its port with TLS",
    },
    Word {
        says: &["ProtocolVersion", "HandshakeFailure", "peer is incompatible", "InsufficientSecurity"],
        means: "the server and this host have no version or cipher of TLS in common",
        way_out: "let the server speak TLS 1.2 or newer with ciphers of today",
    },
];

/// How a certificate is named to whoever asks.
#[derive(Debug, Clone, Copy)]
pub struct Naming {
    /// Where the CA is named, as in `tlsCAFile= in the connection string`.
    pub trust: &'static str,
    /// Where the client's own certificate is named.
    pub client: &'static str,
}

/// What the library says, with what it means and what to do in front; none if it does not speak of TLS.
pub fn explain(said: &str, naming: Naming) -> Option<String> {
    let word = WORDS.iter().find(|word| word.says.iter().any(|says| said.contains(says)))?;
    // An address of the library's own manual helps nobody.
    let said = said.split(": https://docs.rs").next().unwrap_or(said);
    let way_out = word.way_out.replace("TRUST", naming.trust).replace("CLIENT", naming.client);
    Some(format!("{}; {way_out} ({said})", word.means))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::HostError;

    /// As rustls 0.23 and webpki 0.103 say it.
    #[test]
    fn each_word_has_a_meaning_and_a_way_out() {
        let naming = Naming { trust: "tlsCAFile=", client: "tlsCertificateKeyFile=" };
        for (said, means, way_out) in [
            ("invalid peer certificate: UnknownIssuer", "does not trust", "tlsCAFile="),
            ("invalid peer certificate: Other(OtherError(CaUsedAsEndEntity))", "CA's own", "CA:FALSE"),
            (
                "invalid peer certificate: certificate not valid for name \"127.0.0.1\"; certificate is only valid for \
                 DnsName(\"db1.example.org\")",
                "not for the name",
                "subjectAltName",
            ),
            (
                "invalid peer certificate: certificate not valid for name \"db1\"; certificate is not valid for any names \
                 (according to its subjectAltName extension)",
                "not for the name",
                "the CN does not count",
            ),
            ("invalid peer certificate: certificate expired: verification time 1 (UNIX)", "expired", "renew"),
            (
                "invalid peer certificate: certificate not valid yet: verification time 1 (UNIX)",
                "not valid yet",
                "clock",
            ),
            ("invalid peer certificate: Other(OtherError(UnsupportedCertVersion))", "version 1", "-extfile"),
            ("received fatal alert: CertificateRequired", "wants a certificate", "tlsCertificateKeyFile="),
            (
                "peer closed connection without sending TLS close_notify",
                "wants a certificate of its clients",
                "tlsCertificateKeyFile=",
            ),
            ("received corrupt message of type InvalidContentType", "does not speak TLS", "without TLS"),
            ("received fatal alert: HandshakeFailure", "no version or cipher", "TLS 1.2"),
            ("invalid peer certificate: BadSignature", "two CAs", "tlsCAFile="),
        ] {
            let told = explain(said, naming).unwrap_or_else(|| panic!("{said}"));
            assert!(told.contains(means) && told.contains(way_out) && told.ends_with(&format!("({said})")), "{told}");
            assert!(HostError::failed("ask", &told).is_about_tls(), "{told}");
        }
        for other in ["Connection refused (os error 111)", "unexpected end of file", ""] {
            assert_eq!(explain(other, naming), None);
        }
    }
}
