//! The way to a MongoDB server.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

/// How to reach a MongoDB server; exactly one is set. Holds no credentials: those stay where the last two lead.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DatabaseAccess {
    /// Connection string without user name and password.
    pub uri: Option<String>,
    /// File (root, 0600) that holds the whole connection string.
    pub uri_file: Option<String>,
    /// Name of the systemd credential that holds the whole connection string.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub uri_credential: Option<String>,
    /// How long one question may take, where that is longer than usual; never saved, since who asks decides.
    #[serde(skip)]
    pub patience: Option<SignedDuration>,
}

impl DatabaseAccess {
    /// The same way, with so much time for each question: a server that ends, or that works on what must end before, may
    /// be silent for a while.
    #[must_use]
    pub fn patient(&self, patience: SignedDuration) -> Self {
        Self { patience: Some(patience), ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs of the first version lack what came later.
    #[test]
    fn older_records_can_be_read() {
        let access: DatabaseAccess = serde_json::from_str(r#"{"uri":null,"uri_file":"/x"}"#).unwrap();
        assert_eq!(access.uri_credential, None);
    }
}
