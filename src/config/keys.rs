//! Every key of the file, once. The schema check, the hints, the documentation and `patchday init` read this table.

use super::key::{BLACKOUT, HOOK, MONGODB, NOTIFY, READINESS, SERVICE, WINDOW};
use super::kind::Kind;

pub use super::key::{Key, TABLES, header};
pub(super) use super::key::{identity, path};

const HOUR: i64 = 3600;

const fn default_of_mongodb(given: &[&'static str]) -> Option<&'static str> {
    match given {
        [default, ..] => Some(default),
        [] => None,
    }
}

macro_rules! keys {
    ($($id:ident = $table:expr, $name:literal, $kind:expr, $default:literal $(/ $mongodb:literal)?, $example:literal,
        $about:literal;)*) => {
        $(
            #[doc = $about]
            pub const $id: Key = Key {
                table: $table,
                name: $name,
                kind: $kind,
                default: $default,
                mongodb_default: default_of_mongodb(&[$($mongodb)?]),
                example: $example,
                about: $about,
            };
        )*

        /// Every key, in the order of the documentation.
        pub const KEYS: &[Key] = &[$($id),*];
    };
}

keys! {
    UNIT = SERVICE, "unit", Kind::Unit, "required", "\"mongod.service\"",
        "The systemd unit, with its suffix.";
    KIND = SERVICE, "kind", Kind::Choice(&["service", "mongodb"]), "\"service\"", "\"mongodb\"",
        "`mongodb` is shut down through its own command and proven clean; everything else is a `service`.";
    AFTER = SERVICE, "after", Kind::Units, "[]", "[\"mongod.service\"]",
        "Services of the configuration that must be ready before this one starts; they stop after it.";
    STOP_TIMEOUT = SERVICE, "stop-timeout", Kind::Duration(HOUR), "\"90s\"" / "\"2m\"", "\"2m\"",
        "How long it may take to stop before the run is given up and everything is started again.";
    START_TIMEOUT = SERVICE, "start-timeout", Kind::Duration(2 * HOUR), "\"2m\"", "\"5m\"",
        "How long it may take from its start until it is ready.";
    STOP_PROOF = SERVICE, "stop-proof", Kind::Choice(&["postgresql", "mariadb", "redis", "command"]), "none",
        "\"postgresql\"",
        "What must prove that it ended cleanly, before anything is upgraded: `pg_controldata`, the log of MariaDB or MySQL, the log of Redis or Valkey, or a command. A `mongodb` is always proven.";
    STOP_PROOF_COMMAND = SERVICE, "stop-proof-command", Kind::Command, "none", "[\"/usr/local/sbin/ended-cleanly\"]",
        "A program that ends with status 0, within `stop-timeout`, if the stopped service left its data clean; required with, and only for, `stop-proof = \"command\"`.";
    DRAIN_TIMEOUT = SERVICE, "drain-timeout", Kind::Duration(HOUR), "\"30s\"", "\"1m\"",
        "How long connections of stopped services may linger in the server; only with `kind = \"mongodb\"`.";

    PROBE = READINESS, "probe", Kind::Choice(&["unit", "tcp", "http", "mongodb", "command"]), "\"unit\"" / "\"mongodb\"",
        "\"http\"",
        "What proves that it is ready: the unit is active, a port accepts, a GET answers, the server answers `ping`, a command succeeds.";
    ADDRESS = READINESS, "address", Kind::Address, "none", "\"127.0.0.1:8080\"",
        "Where to connect; required with, and only for, `probe = \"tcp\"`.";
    URL = READINESS, "url", Kind::Url, "none", "\"http://127.0.0.1:8080/health\"",
        "What to GET; required with, and only for, `probe = \"http\"`.";
    STATUS = READINESS, "status", Kind::Integer(100, 599), "200", "204",
        "The wanted HTTP status; only for `probe = \"http\"`.";
    HEADER = READINESS, "header", Kind::Header, "none", "\"X-Ready: yes\"",
        "A header that the answer must have; only for `probe = \"http\"`.";
    BODY = READINESS, "body", Kind::Text, "none", "\"\\\"status\\\":\\\"ok\\\"\"",
        "A text that the first 64 KiB of the answer must hold; only for `probe = \"http\"`.";
    COMMAND = READINESS, "command", Kind::Command, "none", "[\"/usr/local/sbin/api-ready\", \"--quick\"]",
        "A program that ends with status 0 when the service is ready; required with, and only for, `probe = \"command\"`.";
    PROBE_TIMEOUT = READINESS, "timeout", Kind::Duration(60), "\"5s\"", "\"10s\"",
        "How long one probe may take.";

    URI = MONGODB, "uri", Kind::MongodbUri, "\"mongodb://127.0.0.1:27017\"", "\"mongodb://127.0.0.1:27018\"",
        "Connection string of the unit's own server, without user name and password.";
    URI_FILE = MONGODB, "uri-file", Kind::Path, "none", "\"/etc/patchday/mongodb.uri\"",
        "File that holds the whole connection string, for a server that asks for a password; instead of `uri`.";
    URI_CREDENTIAL = MONGODB, "uri-credential", Kind::Credential, "none", "\"patchday-mongodb\"",
        "systemd credential that holds the whole connection string; instead of `uri`.";
    OPERATION_LIMIT = MONGODB, "operation-limit", Kind::Duration(HOUR), "\"30s\"", "\"5m\"",
        "An operation that runs longer is a long one.";
    LONG_OPERATIONS = MONGODB, "long-operations", Kind::Choice(&["wait", "kill", "abort"]), "\"wait\"", "\"abort\"",
        "Long operations after the drain time: `wait` for `stop-timeout` and then `abort`, `kill` them, `abort` the run.";
    LEFTOVER_CLIENTS = MONGODB, "leftover-clients", Kind::Choice(&["report", "kill", "abort"]), "\"report\"",
        "\"abort\"",
        "Clients after the drain time: `report` them, `kill` their operations and sessions, `abort` the run.";
    CLIENT_LIMIT = MONGODB, "client-limit", Kind::Integer(1, 1_000_000), "200", "50",
        "More client connections than this are a leak worth a warning.";
    MAX_LAG = MONGODB, "max-lag", Kind::Duration(HOUR), "\"10s\"", "\"30s\"",
        "How far a member of a replica set may be behind its primary: to take over, and to be back.";
    CANARY = MONGODB, "canary", Kind::Collection, "none", "\"patchday.canary\"",
        "Collection whose documents are counted and summed before and after; nothing should write to it.";

    CALENDAR = WINDOW, "calendar", Kind::Calendar, "required", "\"Sat *-*-8..14 22:00\"",
        "When the window opens, in the host's time zone or in the one at its end; see `systemd-analyze calendar`.";
    WINDOW_DURATION = WINDOW, "duration", Kind::Duration(7 * 24 * HOUR), "required", "\"4h\"",
        "How long it is open.";
    RESERVE = WINDOW, "reserve", Kind::Duration(6 * HOUR), "\"15m\"", "\"30m\"",
        "What must be left of the window, by estimate, when the host is back in service.";

    BLACKOUT_FROM = BLACKOUT, "from", Kind::Day, "required", "\"2026-12-20\"",
        "The first day, or its first minute as in `\"2026-12-20 18:00\"`, in the host's time zone.";
    BLACKOUT_UNTIL = BLACKOUT, "until", Kind::Day, "the day of `from`", "\"2027-01-02\"",
        "The last day, which still belongs to it, or the minute at which it ends.";
    BLACKOUT_REASON = BLACKOUT, "reason", Kind::Words, "required", "\"end of the year\"",
        "Why; shown to those who want to begin a run.";

    CPU = "limits", "cpu", Kind::Percent, "\"50%\"", "\"25%\"",
        "Share of the whole machine (all CPUs) that apt, DKMS and kernel builds may use together.";
    CPU_WEIGHT = "limits", "cpu-weight", Kind::Integer(0, 10_000), "0", "50",
        "Their weight when CPUs are short; a unit has 100 by default. 0 is what systemd calls idle: they get what is left over, while the services run. It becomes 20 once these are down, or where the work starves.";
    IO_WEIGHT = "limits", "io-weight", Kind::Integer(1, 10_000), "20", "50",
        "Their weight when disks are busy; a unit has 100 by default.";

    MEMORY_HIGH = "limits", "memory-high", Kind::Size, "none", "\"2G\"",
        "Memory that they may use together before the kernel slows them down and takes it back; nothing is killed.";
    NICE = "limits", "nice", Kind::Integer(0, 19), "10", "19",
        "Their nice value: the one limit that also holds on a host without a cpu controller.";

    ALLOW_REMOVALS = "upgrade", "allow-removals", Kind::Packages, "[]", "[\"libold1\"]",
        "Packages that the upgrade may remove; any other removal stops the run before the host is touched.";
    EXCLUDE = "upgrade", "exclude", Kind::PackagePatterns, "[]", "[\"docker-*\", \"libfoo1:i386\"]",
        "Packages that stay as they are, and are not installed either: names, or patterns with `*` and `?`; in every architecture, unless one is named.";
    EXCLUDE_ORIGINS = "upgrade", "exclude-origins", Kind::Archives, "[]", "[\"Docker\", \"deb.nodesource.com\"]",
        "Archives from which nothing is taken: their `Origin`, `Label` or host (in `apt-cache policy`: `o=`, `l=` and `origin`), or patterns of these.";
    ONLY_SECURITY = "upgrade", "only-security", Kind::Boolean, "false", "true",
        "Whether only what comes from an archive named `*-security` is upgraded; what it needs may be installed from any.";
    ONLY_PLANNED = "upgrade", "only-planned", Kind::Boolean, "false", "true",
        "Whether a run installs just what `patchday plan --fetch` fetched, and refreshes no package lists itself.";
    AHEAD = "upgrade", "ahead", Kind::Switch(&["kernel", "unrelated"]), "\"kernel\"", "\"unrelated\"",
        "What is installed while the services still run: nothing (`false`), a new `kernel` with its modules, or besides all packages that are `unrelated` to the services; `true` stands for `kernel`.";
    AHEAD_RELATED = "upgrade", "ahead-related", Kind::PackagePatterns, "[]", "[\"imagemagick*\", \"ghostscript\"]",
        "Packages that services use without showing it, as programs that they start now and then: these wait for the stop, and what they depend on; names, or patterns with `*` and `?`. Only with `ahead = \"unrelated\"`.";
    ORDER = "upgrade", "order", Kind::Choice(&["stop-first", "late-stop"]), "\"stop-first\"", "\"late-stop\"",
        "When services are stopped: before packages are upgraded, or when all else is done, right before the reboot.";
    DURABILITY = "upgrade", "durability", Kind::Choice(&["file", "batch"]), "\"file\"", "\"batch\"",
        "How packages get onto the disk: each file synced by itself, or those that booting does not need all together, at their end; a power cut before that has them installed once more.";
    LOCK_TIMEOUT = "upgrade", "lock-timeout", Kind::Duration(6 * HOUR), "\"10m\"", "\"30m\"",
        "How long to wait for the apt and dpkg locks while another process holds them.";
    STALL_TIMEOUT = "upgrade", "stall-timeout", Kind::Duration(6 * HOUR), "\"10m\"", "\"5m\"",
        "How long packaging work may stand still with services down, before they are started under it; a fifth of that if a script names a service that the run stopped.";
    FETCH_TIMEOUT = "upgrade", "fetch-timeout", Kind::Duration(24 * HOUR), "\"1h\"", "\"3h\"",
        "How long the package lists may take to come, and after them the packages; the services run meanwhile.";

    DKMS = "kernel", "dkms", Kind::Boolean, "true", "false",
        "Whether missing DKMS modules are built for the kernel of the next boot.";
    OPTIONAL_MODULES = "kernel", "optional-modules", Kind::Modules, "[]", "[\"rtl88x2bu\"]",
        "DKMS modules, by their names without versions, that the next boot can do without: if one does not build, the run says so and goes on.";
    REMOVE_OLD = "kernel", "remove-old", Kind::Boolean, "false", "true",
        "Whether old kernels are removed if `/boot` has no room for a new one: never the running one, the newest, and the newest of those that are older than the running one.";
    BUILD_TIMEOUT = "kernel", "build-timeout", Kind::Duration(48 * HOUR), "\"12h\"", "\"24h\"",
        "How long a kernel may take to build from its source.";
    MODULES_TIMEOUT = "kernel", "modules-timeout", Kind::Duration(24 * HOUR), "\"1h\"", "\"2h\"",
        "How long DKMS may take to build the modules for the kernel of the next boot.";
    KERNEL_SOURCE = "kernel", "source", Kind::Path, "none", "\"/usr/src/linux\"",
        "A kernel's source tree, or a tarball of one, that is built, installed and booted; it is left alone while its release is installed.";
    KERNEL_CONFIG = "kernel", "config", Kind::Path, "none", "\"/etc/patchday/kernel.config\"",
        "That kernel's configuration; without it the `.config` of the tree counts, or else that of the running kernel. What is new in it gets its default.";
    KERNEL_MAKE = "kernel", "make", Kind::Arguments, "[]", "[\"LOCALVERSION=-mine\"]",
        "Arguments of every call of make for that kernel.";
    KERNEL_COMMAND = "kernel", "command", Kind::Command, "none", "[\"/usr/local/sbin/build-kernel\"]",
        "A program that builds its packages, in the tree and with the number of jobs and the arguments in `MAKEFLAGS`, in place of `make bindeb-pkg`; it leaves `linux-image-RELEASE_*.deb` beside the tree.";

    WHEN = "reboot", "when", Kind::Choice(&["needed", "always", "never"]), "\"needed\"", "\"always\"",
        "`needed`: when the kernel or an upgraded core package asks for it; `always`: after every upgrade; `never`.";
    GRACE = "reboot", "grace", Kind::Duration(6 * HOUR), "\"10m\"", "\"20m\"",
        "How long the host may take to go down before services are started again and the run fails.";
    FORCE_AFTER = "reboot", "force-after", Kind::Duration(12 * HOUR), "none", "\"30m\"",
        "How long after the request the host is rebooted without waiting for services, instead of taking the request back.";
    LEAST = "reboot", "least", Kind::Choice(&["full", "kexec", "soft"]), "\"full\"", "\"soft\"",
        "The least restart that is allowed; the run makes the least one that pays what is owed and that the host can do, and the report says which, and why not less. `full`: always that, through firmware and boot loader. `kexec`: the kernel that runs starts the new one, without firmware and boot loader. `soft`: where only programs and libraries owe the reboot, systemd itself among them, a soft reboot, which starts all but the kernel anew (systemd 256 or newer); else as `kexec`.";

    RESTART_OUTDATED = "reboot", "restart-outdated", Kind::Boolean, "true", "false",
        "Where a run does not reboot: restart, once and in order, services that still run replaced files, as far as that is safe. What is left is owed to a boot.";

    SETTLE = "verify", "settle", Kind::Duration(HOUR), "\"60s\"", "\"5m\"",
        "How long every service must stay ready, without a restart, before the verdict.";
    ON_FAILURE = "verify", "on-failure", Kind::Choice(&["report", "restart", "previous-kernel"]), "\"report\"", "\"restart\"",
        "What to do if the host does not come back well: `report` it; `restart` each service that is not back, once, and say so; or boot a new kernel on trial, and go back to the `previous-kernel` if the verdict is failed.";
    BOOT_TIMEOUT = "verify", "boot-timeout", Kind::Duration(2 * HOUR), "\"10m\"", "\"20m\"",
        "How long the boot may take before the services' own timeouts begin to count.";

    ALLOW = "preflight", "allow", Kind::Labels, "[]", "[\"boot-space\"]",
        "Preflight checks whose blockers count as warnings.";
    MIN_FREE = "preflight", "min-free-mib", Kind::Integer(1, 10_000_000), "500", "2000",
        "MiB that `/`, `/usr`, `/var` and the package cache must have free (`disk-space`).";
    MAX_RESTARTS = "preflight", "max-restarts", Kind::Integer(0, 10_000), "5", "20",
        "Automatic restarts of a service beyond which, the last within an hour, it is warned of (`restart-storm`).";
    MAX_CONNECTIONS = "preflight", "max-connections", Kind::Integer(0, 1_000_000), "100", "0",
        "Connections of clients to the services beyond which it is warned of them (`connections`).";
    TRUSTED_ORIGINS = "preflight", "trusted-origins", Kind::Origins, "[]", "[\"mongodb\"]",
        "Archives besides those of Debian and Ubuntu that packages are expected from (`third-party`).";
    DEPLOYMENTS = "preflight", "deployments", Kind::Paths, "[]", "[\"/srv/app\"]",
        "Checkouts of git from which services run (`deployment-changes` and its like).";
    USERS_URL = "preflight", "users-url", Kind::Url, "none", "\"http://127.0.0.1:8080/active-users\"",
        "A page that answers with the number of active users, alone or as the only number of a JSON object.";
    USERS_COLLECTION = "preflight", "users-collection", Kind::Collection, "none", "\"shop.sessions\"",
        "Instead of `users-url`: a collection of the first MongoDB of the configuration, with a document for each user.";
    USERS_FIELD = "preflight", "users-field", Kind::Field, "\"lastSeen\"", "\"lastSeen\"",
        "The field with the time at which the user was last seen; only with `users-collection`.";
    USERS_WITHIN = "preflight", "users-within", Kind::Duration(24 * HOUR), "\"5m\"", "\"15m\"",
        "How long ago that may be for a user who is active; only with `users-collection`.";
    USERS_LIMIT = "preflight", "users-limit", Kind::Integer(0, 1_000_000), "0", "5",
        "Active users beyond which no run begins (`users-active`); only with one of the two.";

    KEEP = "report", "keep", Kind::Integer(1, 1000), "24", "12",
        "How many finished runs are kept.";

    ANNOUNCE_GRACE = "announce", "grace", Kind::Duration(6 * HOUR), "none", "\"5m\"",
        "How long before the first stop the terminals show it; without it, at the stop and only if others are logged in.";
    ANNOUNCE_MESSAGE = "announce", "message", Kind::Announcement,
        "\"{host}: maintenance begins at {time}. Services will be stopped, and the host may reboot.\"",
        "\"{host} goes down at {time}, for about ten minutes\"",
        "What terminals and logins show, in one line; `{time}` is when the first service stops, `{host}` the host's name.";

    SILENCE_BEGIN = "silence", "begin", Kind::Command, "none", "[\"/usr/local/sbin/silence\", \"on\"]",
        "The program that has monitoring be quiet, called before the first stop; together with `end`.";
    SILENCE_END = "silence", "end", Kind::Command, "none", "[\"/usr/local/sbin/silence\", \"off\"]",
        "The program that has it speak again, called at the end of every run that called `begin`, however it ends.";
    SILENCE_TIMEOUT = "silence", "timeout", Kind::Duration(HOUR), "\"30s\"", "\"10s\"",
        "How long each of them may run; only with `begin` and `end`.";
    SILENCE_SANDBOX = "silence", "sandbox", Kind::Boolean, "true", "false",
        "Whether they are in the sandbox of hooks; only with `begin` and `end`.";

    HOOK_POINT = HOOK, "point", Kind::Choice(&["before-stop", "after-stop", "before-reboot", "after-verify"]), "required",
        "\"before-stop\"",
        "Where in a run it is called; `before-reboot` only if the host will reboot, `after-verify` whatever the verdict.";
    HOOK_COMMAND = HOOK, "command", Kind::Command, "required", "[\"/usr/local/sbin/drain\", \"web1\"]",
        "The program; only root may be able to replace it. No shell reads this, and no secret belongs here.";
    HOOK_TIMEOUT = HOOK, "timeout", Kind::Duration(6 * HOUR), "\"1m\"", "\"5m\"",
        "How long it may run before it is ended, with all that it started.";
    HOOK_POLICY = HOOK, "policy", Kind::Choice(&["must-succeed", "warn", "ignore"]), "\"warn\"", "\"must-succeed\"",
        "What to do if it fails: end the run in safety, report it as something that went wrong, or only note it.";
    HOOK_SANDBOX = HOOK, "sandbox", Kind::Boolean, "true", "false",
        "Whether it is kept from the clock, from rebooting past systemd, and from more than half of the memory; `false` is the way out.";

    NOTIFY_KIND = NOTIFY, "kind", Kind::Choice(&["mail", "webhook", "ping", "metrics", "motd", "wall"]), "required",
        "\"mail\"",
        "The channel: a mail, a POST, a dead-man's switch, a file of node_exporter, a login message, all terminals.";
    NOTIFY_WHEN = NOTIFY, "when", Kind::Choice(&["always", "change", "failure"]),
        "\"always\" for ping and metrics, else \"change\"", "\"failure\"",
        "Of which runs: all; those that did something or failed; those that ended with another exit code than 0.";
    NOTIFY_TO = NOTIFY, "to", Kind::Mails, "none", "[\"ops@example.org\"]",
        "To whom; required with, and only for, `kind = \"mail\"`.";
    NOTIFY_FROM = NOTIFY, "from", Kind::Mail, "none", "\"patchday@web1.example.org\"",
        "From whom; without it `patchday@` and the host's name. Only for `kind = \"mail\"`.";
    NOTIFY_SERVER = NOTIFY, "server", Kind::Address, "none", "\"smtp.example.org:587\"",
        "The mail server; without it the mail goes through the host's `sendmail`. Only for `kind = \"mail\"`.";
    NOTIFY_SECURITY = NOTIFY, "security", Kind::Choice(&["starttls", "tls", "plain"]), "\"starttls\"", "\"tls\"",
        "How the connection to `server` is kept private; `plain` only to this host itself.";
    NOTIFY_USER = NOTIFY, "user", Kind::Words, "none", "\"patchday\"",
        "The name at `server`; together with `password-file` or `password-credential`.";
    NOTIFY_PASSWORD_FILE = NOTIFY, "password-file", Kind::Path, "none", "\"/etc/patchday/smtp.password\"",
        "File that holds the password of `user`; it belongs to root and only root can read it.";
    NOTIFY_PASSWORD_CREDENTIAL = NOTIFY, "password-credential", Kind::Credential, "none", "\"patchday-smtp\"",
        "systemd credential that holds the password of `user`; instead of `password-file`.";
    NOTIFY_URL = NOTIFY, "url", Kind::Url, "none", "\"http://127.0.0.1:9000/patchday\"",
        "Where to POST, if the URL is no secret; only for `kind = \"webhook\"` and `kind = \"ping\"`.";
    NOTIFY_URL_FILE = NOTIFY, "url-file", Kind::Path, "none", "\"/etc/patchday/slack.url\"",
        "File that holds the URL, instead of `url`, since those of chats and switches are secrets; only root can read it.";
    NOTIFY_URL_CREDENTIAL = NOTIFY, "url-credential", Kind::Credential, "none", "\"patchday-slack\"",
        "systemd credential that holds the URL; instead of `url-file`.";
    NOTIFY_TEMPLATE = NOTIFY, "template", Kind::Choice(&["json", "slack", "mattermost", "discord", "teams"]),
        "\"json\"", "\"slack\"",
        "What the other end understands; `json` has the whole report. Only for `kind = \"webhook\"`.";
    NOTIFY_FILE = NOTIFY, "file", Kind::Path,
        "\"/var/lib/prometheus/node-exporter/patchday.prom\" for metrics, \"/etc/motd.d/patchday\" for motd",
        "\"/var/lib/node_exporter/patchday.prom\"",
        "Where to write; only for `kind = \"metrics\"` and `kind = \"motd\"`.";
    NOTIFY_RETRY_FOR = NOTIFY, "retry-for", Kind::Duration(HOUR), "\"2m\"", "\"10m\"",
        "How long a message of the run's end that did not arrive is tried again, since the network of a fresh boot may come late.";
}
