//! Every setting, one row each. The flags, the variables, the file, `--help` and the tables in `docs/configuration.md`
//! all come from these rows; what a value turns into stands beside its use in [`Settings::load`](super::Settings::load).

use super::forms::Form;

/// One setting and its three spellings.
#[derive(Debug)]
pub struct Setting {
    /// The key in the file.
    pub key: &'static str,
    pub form: Form,
    /// What holds when it is not set, as it would be written; empty for nothing.
    pub default: &'static str,
    /// What it does, for the operator.
    pub about: &'static str,
}

/// A key of `[[sources.<name>.verify]]`.
#[derive(Debug)]
pub struct VerifyKey {
    pub key: &'static str,
    /// The schemes that have it.
    pub schemes: &'static [&'static str],
    /// What holds when it is not set; empty where it must be set.
    pub default: &'static str,
    pub about: &'static str,
}

/// The file's name when none is given, and the only setting that cannot stand in it.
pub const FILE: &str = "inspection-hub.toml";
pub const CONFIG: Setting = Setting {
    key: "config",
    form: Form::Text,
    default: FILE,
    about: "The file that the other settings are read from.",
};

/// The names of all schemes, in the order of the documentation.
pub const SCHEMES: &[&str] = &["signature", "url_token", "basic", "bearer", "api_key", "jwt"];

pub const SETTINGS: &[Setting] = &[
    Setting {
        key: "listen",
        form: Form::Address,
        default: "127.0.0.1:8080",
        about: "The address and port that the server listens on; port 0 takes any free one.",
    },
    Setting {
        key: "database",
        form: Form::Database,
        default: "sqlite://data/hub.db",
        about: "Where everything is stored: a SQLite file (`sqlite://PATH`, or its path), which is made if it is not there, or \
                a PostgreSQL database: `postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=verify-full&sslrootcert=FILE`.",
    },
    Setting {
        key: "database_readers",
        form: Form::Count,
        default: "4",
        about: "How many connections read at once. One more writes; with PostgreSQL, up to three more do small things.",
    },
    Setting {
        key: "database_wait",
        form: Form::Duration,
        default: "5s",
        about: "How long to wait for a connection to the database, and for what somebody else has locked.",
    },
    Setting {
        key: "database_timeout",
        form: Form::Duration,
        default: "10s",
        about: "How long a statement may take. PostgreSQL only.",
    },
    Setting {
        key: "keep_history",
        form: Form::Duration,
        default: "",
        about: "How long what has come to its end is kept: whole lives of which nothing was heard for so long, with their \
                history and their deliveries, are removed, from an hour (`1h`) on. Without it, everything is kept for ever. A \
                vendor that repeats news of what was removed makes it known anew, so give vendors time (`90d`).",
    },
    Setting {
        key: "nats",
        form: Form::Text,
        default: "",
        about: "A NATS server (`nats://USER:PASSWORD@HOST:PORT`) over which the processes on one database tell each other \
                that there is news. Without one, PostgreSQL itself carries that; processes on a SQLite file look once a \
                second.",
    },
    Setting {
        key: "allow_open_sources",
        form: Form::Switch,
        default: "false",
        about: "Allows sources without verification on other addresses than loopback.",
    },
    Setting {
        key: "api_tokens",
        form: Form::Secret,
        default: "",
        about: "Who may use the API: whoever sends `Authorization: Bearer` with this token, or with one of two that stand \
                apart by a comma, while one replaces the other: `env:NAME`, `file:PATH`, or the token itself. Without \
                one, anybody.",
    },
    Setting {
        key: "allowed_origins",
        form: Form::Text,
        default: "",
        about: "Which pages of other origins may use the API from a browser, apart by commas: `https://app.example, \
                http://localhost:3000`; `*` for any. Without one, only the hub's own pages.",
    },
    Setting {
        key: "body_limit",
        form: Form::Size,
        default: "5MiB",
        about: "The largest webhook that is taken in; a larger one is answered 413.",
    },
    Setting {
        key: "body_timeout",
        form: Form::Duration,
        default: "10s",
        about: "How long a sender may take for the whole body of a request.",
    },
    Setting {
        key: "header_timeout",
        form: Form::Duration,
        default: "10s",
        about: "How long a client may take for the headers of a request.",
    },
    Setting {
        key: "max_connections",
        form: Form::Count,
        default: "10000",
        about: "How many connections may be open at once, subscriptions included; further ones wait. Fewer, with a warning, \
                where the process may not open so many files.",
    },
    Setting {
        key: "shutdown_grace",
        form: Form::Duration,
        default: "8s",
        about: "How long open requests may go on after SIGTERM; then they are cut off, and the process ends at most two \
                seconds later. Docker kills after 10 seconds.",
    },
    Setting {
        key: "graphql_body_limit",
        form: Form::Size,
        default: "1MiB",
        about: "The largest GraphQL request that is taken.",
    },
    Setting {
        key: "graphql_timeout",
        form: Form::Duration,
        default: "10s",
        about: "How long the answer to a GraphQL query may take; then it is given up. Subscriptions have no end.",
    },
    Setting {
        key: "graphql_budget",
        form: Form::Count,
        default: "",
        about: "How many points of cost one client, by its address, may use in a minute: a point is about one field of \
                an answer. More is answered 429. Without one there is no limit but that of a single request, 200000.",
    },
    Setting {
        key: "graphql_batching",
        form: Form::Switch,
        default: "false",
        about: "Whether one body may hold a JSON array of up to 10 GraphQL requests.",
    },
    Setting {
        key: "graphql_suggestions",
        form: Form::Switch,
        default: "false",
        about: "Whether errors suggest which name may have been meant: for development.",
    },
    Setting {
        key: "trusted_documents",
        form: Form::Text,
        default: "",
        about: "A JSON file of GraphQL documents by their ids or SHA-256 hashes, which clients may ask for by those.",
    },
    Setting {
        key: "trusted_documents_only",
        form: Form::Switch,
        default: "false",
        about: "Whether all other documents are refused.",
    },
    Setting {
        key: "metrics",
        form: Form::Switch,
        default: "true",
        about: "Whether `GET /metrics` answers, on the same address as everything else.",
    },
    Setting {
        key: "log",
        form: Form::Filter,
        default: "info",
        about: "What is logged: a level, or levels per module as in `info,inspection_hub::ingest=debug`.",
    },
    Setting {
        key: "log_format",
        form: Form::LogFormat,
        default: "text",
        about: "Lines for people, or one JSON object per line.",
    },
];

/// The keys of `[sources.<name>]`, apart from `verify`.
pub const SOURCE: &[Setting] = &[
    Setting { key: "vendor", form: Form::Text, default: "the source's name", about: "Whose webhooks come here." },
    Setting {
        key: "public_url",
        form: Form::Url,
        default: "",
        about: "The URL that is registered with the vendor, character by character, without its query; only a slash at its end \
                makes no difference. Needed where the vendor signs its URL (Truepic), and for other signatures behind a \
                proxy that changes the path.",
    },
    Setting {
        key: "rate_limit",
        form: Form::Count,
        default: "",
        about: "How many deliveries are taken per second; more are answered 429. Without one there is no limit.",
    },
    Setting {
        key: "open",
        form: Form::Switch,
        default: "false",
        about: "Whether deliveries are taken from anybody. Needed where there is no `verify`, refused where there is one.",
    },
    Setting {
        key: "api_token",
        form: Form::Secret,
        default: "",
        about: "Hover only: a token for Hover's API. With it, the hub confirms webhooks by itself when Hover asks for it.",
    },
    Setting {
        key: "api_url",
        form: Form::Url,
        default: "https://hover.to",
        about: "Hover only: where Hover's API is.",
    },
];

/// The keys of `[[sources.<name>.verify]]`.
pub const VERIFY: &[VerifyKey] = &[
    VerifyKey { key: "scheme", schemes: SCHEMES, default: "", about: "Which scheme this is." },
    VerifyKey {
        key: "secrets",
        schemes: SCHEMES,
        default: "",
        about: "The active secrets, one or two: signing secrets, tokens, passwords, keys. Any one of them fits. \
                For `jwt` only with `HS256`.",
    },
    VerifyKey {
        key: "leeway",
        schemes: &["signature", "jwt"],
        default: "the vendor's rule; `1m` for `jwt`",
        about: "How far the sender's clock may be from ours.",
    },
    VerifyKey { key: "parameter", schemes: &["url_token"], default: "`token`", about: "The query parameter." },
    VerifyKey { key: "username", schemes: &["basic"], default: "", about: "The user name." },
    VerifyKey {
        key: "header",
        schemes: &["api_key", "jwt"],
        default: "`x-api-key`; `authorization` for `jwt`",
        about: "The header that the key or the token comes in. Choose one without `_`: nginx drops others.",
    },
    VerifyKey { key: "algorithm", schemes: &["jwt"], default: "", about: "`HS256` or `RS256`." },
    VerifyKey {
        key: "public_key",
        schemes: &["jwt"],
        default: "",
        about: "Only with `RS256`, and then needed: the issuer's public RSA key in PEM form, or a list of two.",
    },
    VerifyKey { key: "issuer", schemes: &["jwt"], default: "any", about: "What the claim `iss` must be." },
    VerifyKey {
        key: "audience",
        schemes: &["jwt"],
        default: "none",
        about: "What the claim `aud` must be, or name among others. Without it, tokens with an audience are refused.",
    },
];

impl Setting {
    /// `--body-limit`
    pub fn flag(&self) -> String {
        format!("--{}", self.key.replace('_', "-"))
    }

    /// `INSPECTION_HUB_BODY_LIMIT`
    pub fn variable(&self) -> String {
        format!("INSPECTION_HUB_{}", self.key.to_uppercase())
    }

    /// `INSPECTION_HUB_SOURCES__HOVER__PUBLIC_URL`
    pub fn variable_of(&self, source: &str) -> String {
        let source = source.to_uppercase().replace('-', "_");
        format!("INSPECTION_HUB_SOURCES__{source}__{}", self.key.to_uppercase())
    }

    /// Whether it can be set by a variable: what a source is cannot, only how it behaves.
    pub fn has_variable_of_source(&self) -> bool {
        self.key != "vendor"
    }
}
