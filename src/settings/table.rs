//! Every setting, one row each. The flags, the variables, the file, `--help` and the tables in `docs/configuration.md`
//! all come from these rows; what a value turns into stands beside its use in [`Settings::load`](super::Settings::load).

use super::parse::ValueKind;

/// One setting and its three spellings.
#[derive(Debug)]
pub struct Setting {
    /// The key in the file.
    pub key: &'static str,
    pub kind: ValueKind,
    /// What holds when it is not set, as it would be written; empty for nothing.
    pub default: &'static str,
    /// What it does, for the operator.
    pub description: &'static str,
}

/// A key of `[[sources.<name>.verify]]`.
#[derive(Debug)]
pub struct VerifyKey {
    pub key: &'static str,
    /// The schemes that have it.
    pub schemes: &'static [&'static str],
    /// What holds when it is not set; empty where it must be set.
    pub default: &'static str,
    pub description: &'static str,
}

/// The file's name when none is given, and the only setting that cannot stand in it.
pub const DEFAULT_CONFIG_FILE: &str = "inspection-hub.toml";
pub const CONFIG: Setting = Setting {
    key: "config",
    kind: ValueKind::Text,
    default: DEFAULT_CONFIG_FILE,
    description: "The file that the other settings are read from.",
};

/// The names of all schemes, in the order of the documentation.
pub const SCHEMES: &[&str] = &["signature", "url_token", "basic", "bearer", "api_key", "jwt"];

pub const SETTINGS: &[Setting] = &[
    Setting {
        key: "listen",
        kind: ValueKind::Address,
        default: "127.0.0.1:8080",
        description: "The address and port that the server listens on; port 0 takes any free one.",
    },
    Setting {
        key: "database",
        kind: ValueKind::Database,
        default: "sqlite://data/hub.db",
        description: "Where everything is stored: a SQLite file (`sqlite://PATH`, or its path), which is made if it is not there, or \
                a PostgreSQL database: `postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=verify-full&sslrootcert=FILE`.",
    },
    Setting {
        key: "database_pool_size",
        kind: ValueKind::Count,
        default: "4",
        description: "How many connections read at once. One more writes; with PostgreSQL, up to three more do small things.",
    },
    Setting {
        key: "database_acquire_timeout",
        kind: ValueKind::Duration,
        default: "5s",
        description: "How long to wait for a connection to the database, and for what somebody else has locked.",
    },
    Setting {
        key: "database_statement_timeout",
        kind: ValueKind::Duration,
        default: "10s",
        description: "How long a statement may take. PostgreSQL only.",
    },
    Setting {
        key: "retention",
        kind: ValueKind::Duration,
        default: "",
        description: "How long what has come to its end is kept: whole lives of which nothing was heard for so long, with their \
                history and their deliveries, are removed, from an hour (`1h`) on. Without it, everything is kept for ever. A \
                vendor that repeats news of what was removed makes it known anew, so give vendors time (`90d`).",
    },
    Setting {
        key: "nats",
        kind: ValueKind::Text,
        default: "",
        description: "A NATS server (`nats://USER:PASSWORD@HOST:PORT`) over which the processes on one database tell each other \
                that there is news. Without one, PostgreSQL itself carries that; processes on a SQLite file look once a \
                second.",
    },
    Setting {
        key: "allow_open_sources",
        kind: ValueKind::Boolean,
        default: "false",
        description: "Allows sources without verification on other addresses than loopback.",
    },
    Setting {
        key: "api_tokens",
        kind: ValueKind::Secret,
        default: "",
        description: "Who may use the API: whoever sends `Authorization: Bearer` with this token, or with one of two that stand \
                apart by a comma, while one replaces the other: `env:NAME`, `file:PATH`, or the token itself. Without \
                one, anybody.",
    },
    Setting {
        key: "allowed_origins",
        kind: ValueKind::Text,
        default: "",
        description: "Which pages of other origins may use the API from a browser, apart by commas: `https://app.example, \
                http://localhost:3000`; `*` for any. Without one, only the hub's own pages.",
    },
    Setting {
        key: "body_limit",
        kind: ValueKind::Size,
        default: "5MiB",
        description: "The largest webhook that is taken in; a larger one is answered 413.",
    },
    Setting {
        key: "body_timeout",
        kind: ValueKind::Duration,
        default: "10s",
        description: "How long a sender may take for the whole body of a request.",
    },
    Setting {
        key: "header_timeout",
        kind: ValueKind::Duration,
        default: "10s",
        description: "How long a client may take for the headers of a request.",
    },
    Setting {
        key: "max_connections",
        kind: ValueKind::Count,
        default: "10000",
        description: "How many connections may be open at once, subscriptions included; further ones wait. Fewer, with a warning, \
                where the process may not open so many files.",
    },
    Setting {
        key: "shutdown_grace",
        kind: ValueKind::Duration,
        default: "8s",
        description: "How long open requests may go on after SIGTERM; then they are cut off, and the process ends at most two \
                seconds later. Docker kills after 10 seconds.",
    },
    Setting {
        key: "graphql_body_limit",
        kind: ValueKind::Size,
        default: "1MiB",
        description: "The largest GraphQL request that is taken.",
    },
    Setting {
        key: "graphql_timeout",
        kind: ValueKind::Duration,
        default: "10s",
        description: "How long the answer to a GraphQL query may take; then it is given up. Subscriptions have no end.",
    },
    Setting {
        key: "graphql_rate_limit",
        kind: ValueKind::Count,
        default: "",
        description: "How many points of cost one client, by its address, may use in a minute: a point is about one field of \
                an answer. More is answered 429. Without one there is no limit but that of a single request, 200000.",
    },
    Setting {
        key: "graphql_batching",
        kind: ValueKind::Boolean,
        default: "false",
        description: "Whether one body may hold a JSON array of up to 10 GraphQL requests.",
    },
    Setting {
        key: "graphql_suggestions",
        kind: ValueKind::Boolean,
        default: "false",
        description: "Whether errors suggest which name may have been meant: for development.",
    },
    Setting {
        key: "trusted_documents",
        kind: ValueKind::Text,
        default: "",
        description: "A JSON file of GraphQL documents by their ids or SHA-256 hashes, which clients may ask for by those.",
    },
    Setting {
        key: "trusted_documents_only",
        kind: ValueKind::Boolean,
        default: "false",
        description: "Whether all other documents are refused.",
    },
    Setting {
        key: "metrics",
        kind: ValueKind::Boolean,
        default: "true",
        description: "Whether `GET /metrics` answers, on the same address as everything else.",
    },
    Setting {
        key: "log",
        kind: ValueKind::Filter,
        default: "info",
        description: "What is logged: a level, or levels per module as in `info,inspection_hub::ingest=debug`.",
    },
    Setting {
        key: "log_format",
        kind: ValueKind::LogFormat,
        default: "text",
        description: "Lines for people, or one JSON object per line.",
    },
];

/// The keys of `[sources.<name>]`, apart from `verify`.
pub const SOURCE_SETTINGS: &[Setting] = &[
    Setting {
        key: "vendor",
        kind: ValueKind::Text,
        default: "the source's name",
        description: "Whose webhooks come here.",
    },
    Setting {
        key: "public_url",
        kind: ValueKind::Url,
        default: "",
        description: "The URL that is registered with the vendor, character by character, without its query; only a slash at its end \
                makes no difference. Needed where the vendor signs its URL (Truepic), and for other signatures behind a \
                proxy that changes the path.",
    },
    Setting {
        key: "rate_limit",
        kind: ValueKind::Count,
        default: "",
        description: "How many deliveries are taken per second; more are answered 429. Without one there is no limit.",
    },
    Setting {
        key: "open",
        kind: ValueKind::Boolean,
        default: "false",
        description: "Whether deliveries are taken from anybody. Needed where there is no `verify`, refused where there is one.",
    },
    Setting {
        key: "api_token",
        kind: ValueKind::Secret,
        default: "",
        description: "Hover only: a token for Hover's API. With it, the hub confirms webhooks by itself when Hover asks for it.",
    },
    Setting {
        key: "api_url",
        kind: ValueKind::Url,
        default: "https://hover.to",
        description: "Hover only: where Hover's API is.",
    },
];

/// The keys of `[[sources.<name>.verify]]`.
pub const VERIFY_KEYS: &[VerifyKey] = &[
    VerifyKey { key: "scheme", schemes: SCHEMES, default: "", description: "Which scheme this is." },
    VerifyKey {
        key: "secrets",
        schemes: SCHEMES,
        default: "",
        description: "The active secrets, one or two: signing secrets, tokens, passwords, keys. Any one of them fits. \
                For `jwt` only with `HS256`.",
    },
    VerifyKey {
        key: "leeway",
        schemes: &["signature", "jwt"],
        default: "the vendor's rule; `1m` for `jwt`",
        description: "How far the sender's clock may be from ours.",
    },
    VerifyKey { key: "parameter", schemes: &["url_token"], default: "`token`", description: "The query parameter." },
    VerifyKey { key: "username", schemes: &["basic"], default: "", description: "The user name." },
    VerifyKey {
        key: "header",
        schemes: &["api_key", "jwt"],
        default: "`x-api-key`; `authorization` for `jwt`",
        description: "The header that the key or the token comes in. Choose one without `_`: nginx drops others.",
    },
    VerifyKey { key: "algorithm", schemes: &["jwt"], default: "", description: "`HS256` or `RS256`." },
    VerifyKey {
        key: "public_key",
        schemes: &["jwt"],
        default: "",
        description: "Only with `RS256`, and then needed: the issuer's public RSA key in PEM form, or a list of two.",
    },
    VerifyKey { key: "issuer", schemes: &["jwt"], default: "any", description: "What the claim `iss` must be." },
    VerifyKey {
        key: "audience",
        schemes: &["jwt"],
        default: "none",
        description: "What the claim `aud` must be, or name among others. Without it, tokens with an audience are refused.",
    },
];

impl Setting {
    /// `--body-limit`
    pub fn flag(&self) -> String {
        format!("--{}", self.key.replace('_', "-"))
    }

    /// `INSPECTION_HUB_BODY_LIMIT`
    pub fn env_var(&self) -> String {
        format!("INSPECTION_HUB_{}", self.key.to_uppercase())
    }

    /// `INSPECTION_HUB_SOURCES__HOVER__PUBLIC_URL`
    pub fn source_env_var(&self, source: &str) -> String {
        let source = source.to_uppercase().replace('-', "_");
        format!("INSPECTION_HUB_SOURCES__{source}__{}", self.key.to_uppercase())
    }

    /// Whether it can be set by a variable: what a source is cannot, only how it behaves.
    pub fn has_source_env_var(&self) -> bool {
        self.key != "vendor"
    }
}
