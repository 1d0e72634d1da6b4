//! Patchday's settings for the two services of every machine.

use crate::testbed::Testbed;

/// The blocks of the database and of the API, with more lines for each: `name = value`, one to a line.
pub fn services(machine: &dyn Testbed, database: &str, api: &str) -> String {
    format!(
        r#"[[service]]
unit = "mongod.service"
kind = "mongodb"
{database}
[service.readiness]
probe = "mongodb"
[service.mongodb]
uri = "mongodb://127.0.0.1:{mongod}"

[[service]]
unit = "sample-api.service"
after = ["mongod.service"]
{api}
[service.readiness]
probe = "http"
url = "http://127.0.0.1:{port}/health"

"#,
        mongod = machine.mongod_port(),
        port = machine.api_port(),
    )
}
