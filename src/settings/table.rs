//! Every setting, defined once: key, type, placeholder, default, parser and description. The struct [`Settings`], the
//! flags, the variables, the keys of the file, `--help` and the tables in `docs/configuration.md` derive from it.

use super::file::FileValue;
use super::loader::Loader;
use super::{LogFormat, SourceSettings, parse, parse_access};
use crate::access::{ApiKey, LoginProvider, Scopes, TokenIssuer, View};
use axum::http::HeaderName;
use ipnet::IpNet;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

/// The prefix of all variables.
pub const ENV_PREFIX: &str = "INSPECTION_HUB_";
/// The placeholder of settings whose flag needs no value.
pub const BOOLEAN: &str = "true|false";

/// A setting of the server, of a source, or of a verification scheme.
#[derive(Debug)]
pub struct Setting {
    /// The key in the file.
    pub key: &'static str,
    /// Shown instead of the value in `--help`.
    pub placeholder: &'static str,
    /// As it would be written; empty if there is none.
    pub default: &'static str,
    /// The verification schemes that have it; empty for all.
    pub schemes: &'static [&'static str],
    pub(super) description: &'static str,
}

macro_rules! rows {
    ($($(#[doc = $line:literal])+ $key:ident $placeholder:literal $([$($scheme:literal),+])? = $default:expr;)+) => {
        &[$(Setting {
            key: stringify!($key),
            placeholder: $placeholder,
            default: $default,
            schemes: &[$($($scheme),+)?],
            description: concat!($($line),+),
        }),+]
    };
}

pub(super) use rows;

macro_rules! read {
    ($loader:ident, $file:ident, $key:ident, parse, $parse:expr) => {
        $loader.value_or_default(stringify!($key), $file, $parse)
    };
    ($loader:ident, $file:ident, $key:ident, read, $read:expr) => {
        $read($loader, $file)
    };
}

macro_rules! settings {
    ($($(#[doc = $line:literal])+
    $key:ident: $type:ty, $placeholder:literal = $default:literal => $how:ident($with:expr);)+) => {
        /// All settings of the server.
        #[derive(Clone, Debug)]
        pub struct Settings {
            $($(#[doc = $line])+ pub $key: $type,)+
            /// By name, in alphabetical order.
            pub sources: Vec<SourceSettings>,
            /// Of `[[token_issuers]]`.
            pub token_issuers: Vec<TokenIssuer>,
            /// Of `[oidc]`.
            pub oidc: Option<LoginProvider>,
            /// Of `[[proxy_grants]]`: what each group may do.
            pub proxy_grants: Vec<(String, View)>,
            /// In the order of the file.
            pub api_keys: Vec<ApiKey>,
        }

        pub const SETTINGS: &[Setting] = rows! { $($(#[doc = $line])+ $key $placeholder = $default;)+ };

        impl Settings {
            /// Each setting of the server, with its value. Some contain passwords.
            pub(super) fn debug_values(&self) -> Vec<(&'static str, String)> {
                vec![$((stringify!($key), format!("{:?}", self.$key)),)+]
            }

            /// The settings of the server, without the tables of the file.
            pub(super) fn read(loader: &mut Loader<'_>, file: Option<&FileValue<'_>>) -> Settings {
                Settings { $($key: read!(loader, file, $key, $how, $with),)+ sources: Vec::new(), api_keys: Vec::new(), token_issuers: Vec::new(), oidc: None, proxy_grants: Vec::new() }
            }
        }
    };
}

mod login;

pub use login::OIDC_SETTINGS;

settings! {
    /// The address and port that the server listens on. Port 0 selects a free port.
    listen: SocketAddr, "ADDRESS:PORT" = "127.0.0.1:8080" => parse(parse::address);
    /// The database: a SQLite file (`sqlite://PATH`, or its path), which is created if it does not exist, or a PostgreSQL
    /// database: `postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=verify-full&sslrootcert=FILE`.
    database: String, "URL" = "sqlite://data/hub.db" => parse(parse::database);
    /// The number of connections that read. One more writes; with PostgreSQL, up to three more have small tasks.
    database_pool_size: NonZeroU32, "NUMBER" = "4" => parse(parse::count);
    /// How long to wait for a database connection, and for a lock that another process holds.
    database_acquire_timeout: Duration, "DURATION" = "5s" => parse(parse::duration);
    /// The time limit of a statement. PostgreSQL only.
    database_statement_timeout: Duration, "DURATION" = "10s" => parse(parse::duration);
    /// How long a finished inspection is kept after the last delivery about it, at least an hour (`1h`). Then it is
    /// deleted, with its history and its deliveries. Without it, nothing is deleted. A later delivery about a deleted
    /// inspection creates it again, so allow for the vendor's retries (`90d`).
    retention: Option<Duration>, "DURATION" = "" => parse(parse::retention);
    /// A NATS server (`nats://USER:PASSWORD@HOST:PORT`) through which the processes on one database notify each other of
    /// changes. Without it, they use PostgreSQL's LISTEN and NOTIFY; processes on a SQLite file poll once a second.
    nats: Option<String>, "TEXT" = "" => parse(parse::nats_url);
    /// Allow sources without verification on an address that is not loopback.
    allow_open_sources: bool, "true|false" = "false" => parse(parse::boolean);
    /// Allow the API without keys on an address that is not loopback, and under any host name: for a hub behind a proxy that
    /// decides who may use it.
    allow_open_api: bool, "true|false" = "false" => parse(parse::boolean);
    /// What the API allows anyone as long as there is no key: names of scopes, separated by commas.
    open_api_scopes: Scopes, "TEXT" = "read, read:personal, operate, metrics" => parse(parse_access::scopes);
    /// Where browsers reach this hub: an `https` address, or one of this machine. Needed with `[oidc]`: a login returns to it.
    public_url: Option<String>, "URL" = "" => parse(parse_access::hub_url);
    /// The networks of the proxies that this hub is behind, separated by commas: `10.0.0.0/8, 127.0.0.1`. Of them alone it
    /// believes whose request it is: the client's address (`Forwarded`, `X-Forwarded-For`), and its user.
    trusted_proxies: Vec<IpNet>, "NETWORKS" = "" => parse(parse::networks);
    /// The header in which a trusted proxy names the user that it has authenticated, e.g. `X-Forwarded-User`. From others it is
    /// removed.
    proxy_user_header: Option<HeaderName>, "HEADER" = "" => parse(parse::header_name);
    /// The header in which a trusted proxy names the user's groups, separated by commas, e.g. `X-Forwarded-Groups`.
    proxy_groups_header: Option<HeaderName>, "HEADER" = "" => parse(parse::header_name);
    /// The origins of web pages that may use the API from a browser, separated by commas: `https://app.example,
    /// http://localhost:3000`; `*` for any. Without it, only the hub's own pages may.
    allowed_origins: Vec<String>, "TEXT" = "" => parse(parse::origins);
    /// The largest webhook body. A larger one is answered 413.
    body_limit: usize, "SIZE" = "5MiB" => parse(parse::size);
    /// The time limit for receiving the body of a request.
    body_timeout: Duration, "DURATION" = "10s" => parse(parse::duration);
    /// The time limit for receiving the headers of a request.
    header_timeout: Duration, "DURATION" = "10s" => parse(parse::duration);
    /// The most open connections, including subscriptions; further ones wait. Lowered, with a warning, if the process may
    /// not open enough files.
    max_connections: NonZeroU32, "NUMBER" = "10000" => parse(parse::count);
    /// How long open requests may continue after SIGTERM before they are cut off. The process ends at most two seconds
    /// later. Docker kills it after 10 seconds.
    shutdown_grace: Duration, "DURATION" = "8s" => parse(parse::duration);
    /// The largest body of a GraphQL request.
    graphql_body_limit: usize, "SIZE" = "1MiB" => parse(parse::size);
    /// The time limit of a GraphQL query. Subscriptions have none.
    graphql_timeout: Duration, "DURATION" = "10s" => parse(parse::duration);
    /// The cost points that one client address may use per minute. A point is about one field of a response. Further
    /// requests are answered 429. Without it, only the limit of a single request applies, 200000.
    graphql_rate_limit: Option<NonZeroU32>, "NUMBER" = "" => parse(|text| parse::optional(text, parse::count));
    /// Accept a JSON array of up to 10 GraphQL requests in one body.
    graphql_batching: bool, "true|false" = "false" => parse(parse::boolean);
    /// Suggest similar names in GraphQL errors. For development.
    graphql_suggestions: bool, "true|false" = "false" => parse(parse::boolean);
    /// A JSON file of GraphQL documents by id or SHA-256 hash, which clients may send instead of the document.
    trusted_documents: Option<PathBuf>, "TEXT" = "" => parse(|text| parse::optional(text, |path| Ok(path.into())));
    /// Reject all other documents.
    trusted_documents_only: bool, "true|false" = "false" => parse(parse::boolean);
    /// Serve `GET /metrics`, on the same address as everything else.
    metrics: bool, "true|false" = "true" => parse(parse::boolean);
    /// What is logged: a level, or levels per module, as in `info,inspection_hub::ingest=debug`.
    log: String, "FILTER" = "info" => parse(parse::log_filter);
    /// Text lines, or one JSON object per line.
    log_format: LogFormat, "text|json" = "text" => parse(parse::log_format);
}

/// The only setting that the file cannot contain.
pub const CONFIG: Setting = Setting {
    key: "config",
    placeholder: "FILE",
    default: "inspection-hub.toml",
    schemes: &[],
    description: "The file with the other settings.",
};

/// The keys of `[[api_keys]]`.
pub const API_KEY_SETTINGS: &[Setting] = rows! {
    /// The public part of the key: the 12 digits after `ihub_`.
    id "TEXT" = "";
    /// What it is for, in words for people.
    name "TEXT" = "";
    /// `sha256:` and the digest of the key's secret.
    hash "TEXT" = "";
    /// What it allows: a list of `read`, `read:personal`, `operate`, `erase`, `admin` and `metrics`.
    scopes "LIST" = "";
    /// The sources that it is limited to.
    sources "LIST" = "all";
    /// From this time on it is not valid, as in `2027-01-31T00:00:00Z`.
    expires "TIME" = "never";
};

/// The keys of `[[token_issuers]]`.
pub const TOKEN_ISSUER_SETTINGS: &[Setting] = rows! {
    /// The claim `iss` of its tokens, exactly: `https://login.example`.
    issuer "TEXT" = "";
    /// What the claim `aud` of tokens for this hub is, or contains.
    audience "TEXT" = "";
    /// Its JSON Web Key Set: an `https` address, or `file:PATH`. It is read again when it is due by its `Cache-Control` (1 minute to
    /// 24 hours, 5 minutes without), and once if a token names an unknown key.
    jwks "URL" = "";
    /// The algorithms that it signs with, some of `RS256`, `RS384`, `RS512`, `PS256`, `PS384`, `PS512`, `ES256`, `ES384`, `EdDSA`.
    algorithms "LIST" = "";
    /// What its claims allow: `[[token_issuers.grants]]`.
    grants "LIST" = "";
};

/// The keys of `[[token_issuers.grants]]`.
pub const TOKEN_GRANT_SETTINGS: &[Setting] = rows! {
    /// The name of a claim, or the path to it: `groups`, `realm_access.roles`.
    claim "TEXT" = "";
    /// The claim is this text, or a list that contains it; for `scope` and `scp`, one of their words is this.
    value "TEXT" = "";
    /// What it allows, as in `[[api_keys]]`.
    scopes "LIST" = "";
    /// The sources that it is limited to.
    sources "LIST" = "all";
};

/// The keys of `[[proxy_grants]]`.
pub const PROXY_GRANT_SETTINGS: &[Setting] = rows! {
    /// A group of the user, or `*` for every user.
    group "TEXT" = "";
    /// What it allows, as in `[[api_keys]]`.
    scopes "LIST" = "";
    /// The sources that it is limited to.
    sources "LIST" = "all";
};

/// The row with this key.
#[expect(clippy::expect_used, reason = "a test reads every setting")]
pub fn setting(table: &'static [Setting], key: &str) -> &'static Setting {
    table.iter().find(|setting| setting.key == key).expect("a row of the table")
}

/// The settings of the command line: those of the server, and the name of the file.
pub fn flag_settings() -> impl Iterator<Item = &'static Setting> {
    std::iter::once(&CONFIG).chain(SETTINGS)
}

impl Setting {
    pub fn description(&self) -> &'static str {
        self.description.trim_start()
    }

    /// `--body-limit`
    pub fn flag(&self) -> String {
        format!("--{}", self.key.replace('_', "-"))
    }

    /// `INSPECTION_HUB_BODY_LIMIT`
    pub fn env_var(&self) -> String {
        format!("{ENV_PREFIX}{}", self.key.to_uppercase())
    }

    /// `INSPECTION_HUB_SOURCES__HOVER__PUBLIC_URL`
    pub fn source_env_var(&self, source: &str) -> String {
        let source = source.to_uppercase().replace('-', "_");
        format!("{ENV_PREFIX}SOURCES__{source}__{}", self.key.to_uppercase())
    }

    /// Whether a variable can set it for a source. Only the file can say which vendor a source belongs to, and has tables.
    pub fn has_source_env_var(&self) -> bool {
        self.key != "vendor" && self.placeholder != "TABLE"
    }

    pub fn applies_to(&self, scheme: &str) -> bool {
        self.schemes.is_empty() || self.schemes.contains(&scheme)
    }
}
