//! Programs that are known to serve.

use crate::model::ServiceKind;

/// A server that is known by its program.
#[derive(Debug, PartialEq, Eq)]
pub struct Server {
    pub name: &'static str,
    /// Names of its processes; a version may follow.
    programs: &'static [&'static str],
    pub role: Role,
    pub kind: ServiceKind,
    pub bears: Bears,
    /// What proves its clean end, as the file calls it.
    pub stop_proof: Option<&'static str>,
}

/// What a service is to the others, in the order in which they start where nothing else is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    Database,
    Application,
    /// A web server or a proxy.
    Front,
}

/// What a server bears from somebody who only wants to know whether it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bears {
    /// Whatever a browser would send.
    Http,
    /// A connection that says nothing: it speaks another language, and would log a GET as an error.
    Connection,
    /// It counts a connection without a login as an error, and may turn its host away for that.
    Nothing,
}

/// Ports on which something else than HTTP is spoken, whatever the program: FTP, SSH, mail and its filters, DNS, LDAP,
/// telephony, queues, and databases behind a proxy.
const OTHER_LANGUAGES: [u16; 38] = [
    21, 22, 23, 25, 53, 110, 111, 139, 143, 389, 445, 465, 587, 636, 783, 993, 995, 1433, 1521, 1883, 2181, 3306, 3310,
    4369, 5060, 5061, 5432, 5671, 5672, 6379, 6432, 8883, 9042, 9092, 9300, 11211, 26379, 27017,
];

const SERVERS: [Server; 25] = [
    Server { kind: ServiceKind::Mongodb, ..server("MongoDB", &["mongod"], Role::Database, Bears::Connection) },
    server("MongoDB's router", &["mongos"], Role::Database, Bears::Connection),
    Server { stop_proof: Some("postgresql"), ..server("PostgreSQL", &["postgres"], Role::Database, Bears::Connection) },
    server("PgBouncer", &["pgbouncer"], Role::Database, Bears::Connection),
    Server { stop_proof: Some("mariadb"), ..server("MariaDB", &["mariadbd"], Role::Database, Bears::Nothing) },
    Server { stop_proof: Some("mariadb"), ..server("MySQL", &["mysqld"], Role::Database, Bears::Nothing) },
    Server { stop_proof: Some("redis"), ..server("Redis", &["redis-server"], Role::Database, Bears::Connection) },
    Server { stop_proof: Some("redis"), ..server("Valkey", &["valkey-server"], Role::Database, Bears::Connection) },
    server("a sentinel of Redis", &["redis-sentinel", "valkey-sentinel"], Role::Database, Bears::Connection),
    server("Memcached", &["memcached"], Role::Database, Bears::Connection),
    server("etcd", &["etcd"], Role::Database, Bears::Http),
    server("InfluxDB", &["influxd"], Role::Database, Bears::Http),
    server("ClickHouse", &["clickhouse-serv"], Role::Database, Bears::Connection),
    server("OpenLDAP", &["slapd"], Role::Database, Bears::Connection),
    server("a server on Erlang, such as RabbitMQ", &["beam.smp"], Role::Database, Bears::Connection),
    server("PHP-FPM", &["php-fpm"], Role::Application, Bears::Connection),
    server("nginx", &["nginx"], Role::Front, Bears::Http),
    server("Apache", &["apache2", "httpd"], Role::Front, Bears::Http),
    server("Caddy", &["caddy"], Role::Front, Bears::Http),
    server("lighttpd", &["lighttpd"], Role::Front, Bears::Http),
    server("Traefik", &["traefik"], Role::Front, Bears::Http),
    server("Varnish", &["varnishd"], Role::Front, Bears::Http),
    server("Squid", &["squid"], Role::Front, Bears::Connection),
    // What these pass on need not be HTTP.
    server("HAProxy", &["haproxy"], Role::Front, Bears::Connection),
    server("Envoy", &["envoy"], Role::Front, Bears::Connection),
];

const fn server(name: &'static str, programs: &'static [&'static str], role: Role, bears: Bears) -> Server {
    Server { name, programs, role, kind: ServiceKind::Service, bears, stop_proof: None }
}

/// The server that these programs are; where they are several, the one that the others need.
pub(super) fn known<'p>(programs: impl IntoIterator<Item = &'p str>) -> Option<&'static Server> {
    let servers = programs.into_iter().filter_map(|program| SERVERS.iter().find(|server| server.is(program)));
    servers.min_by_key(|server| server.role)
}

/// Whether something else than HTTP is spoken on the port.
pub fn speaks_otherwise(port: u16) -> bool {
    OTHER_LANGUAGES.contains(&port)
}

impl Server {
    fn is(&self, program: &str) -> bool {
        let is_version = |rest: &str| rest.chars().all(|character| character.is_ascii_digit() || character == '.');
        self.programs.iter().any(|name| program.strip_prefix(name).is_some_and(is_version))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_known_by_their_programs() {
        for (programs, name) in [
            (&["mongod"][..], Some("MongoDB")),
            (&["mongos"], Some("MongoDB's router")),
            (&["php-fpm8.2", "php-fpm8.2"], Some("PHP-FPM")),
            (&["httpd"], Some("Apache")),
            (&["redis-sentinel"], Some("a sentinel of Redis")),
            // One unit may hold all that an application needs.
            (&["runsvdir", "nginx", "postgres", "redis-server"], Some("PostgreSQL")),
            (&["mongodump"], None),
            (&["postgres_export"], None),
            (&["php"], None),
            (&[""], None),
            (&[], None),
        ] {
            assert_eq!(known(programs.iter().copied()).map(|server| server.name), name, "{programs:?}");
        }
    }
}
