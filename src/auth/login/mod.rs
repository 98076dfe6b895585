//! The login of people with a browser: the code flow of OpenID Connect with PKCE.
//!
//! `attempt` is an unfinished login, `metadata` what a provider publishes about itself, `exchange` redeems the code and verifies
//! the ID token, `error` says why a login fails.

mod attempt;
mod error;
mod exchange;
mod metadata;

pub use error::LoginError;

use super::SessionRing;
use super::jwt::{FailureLimit, KeySetState, ReadKeySet, TokenRefused, download};
use crate::access::{ClientNetwork, LoginProvider, Scopes, SessionToken};
use crate::auth::session_ring::SessionNotBegun;
use crate::clock::TimeSource;
use crate::store::{BrowserSessionStore, Database, StoreError};
use crate::sync::lock;
use attempt::{LoginAttempt, LoginKey, ReturnPath};
use exchange::LoginCode;
use metadata::ProviderMetadata;
use rand::TryRngCore;
use rand::rngs::OsRng;
use reqwest::redirect::Policy;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The time limit of a request to the provider.
const PROVIDER_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of a code, and of an error's name.
const MAX_CODE_BYTES: usize = 4_096;
const MAX_ERROR_BYTES: usize = 64;

/// Logs people in, and out.
#[derive(Debug)]
pub struct BrowserLogin {
    pub sessions: Arc<SessionRing>,
    provider: ProviderClient,
    key: LoginKey,
    clock: TimeSource,
    failures: FailureLimit,
}

/// The provider, as far as it is known.
#[derive(Debug)]
struct ProviderClient {
    settings: LoginProvider,
    /// Does not follow redirects: what is sent to the provider is for it alone.
    http: reqwest::Client,
    keys: KeySetState,
    /// As it was read last.
    metadata: Mutex<Option<Arc<ProviderMetadata>>>,
}

/// A login that the browser continues at the provider.
#[derive(Debug)]
pub struct BegunLogin {
    /// Where the browser goes.
    pub address: String,
    /// What it brings back. Secret.
    pub cookie: String,
}

/// What the provider sends back, by the browser.
#[derive(Debug, Default, serde::Deserialize)]
pub struct LoginResponse {
    code: Option<String>,
    state: Option<String>,
    iss: Option<String>,
    error: Option<String>,
}

impl BrowserLogin {
    /// Logins at this provider, with sessions in this database.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn open(settings: LoginProvider, db: Database, clock: TimeSource) -> Result<BrowserLogin, StoreError> {
        let store = BrowserSessionStore::new(db, settings.grants_digest());
        let mut new_key = [0; 32];
        let unavailable = |what: &str, why: String| StoreError::Unavailable(format!("{what}: {why}"));
        OsRng.try_fill_bytes(&mut new_key).map_err(|error| unavailable("no random numbers", error.to_string()))?;
        let key = LoginKey::new(store.login_key(new_key).await?);
        let http = reqwest::Client::builder().timeout(PROVIDER_TIMEOUT).redirect(Policy::none()).build();
        let http = http.map_err(|error| unavailable("no HTTP client", error.to_string()))?;
        let provider = ProviderClient { settings, http, keys: KeySetState::default(), metadata: Mutex::default() };
        let sessions = SessionRing::open(store, clock).await?;
        Ok(BrowserLogin { sessions, provider, key, clock, failures: FailureLimit::default() })
    }

    /// Keeps sessions, and what is known of the provider, current until `stop`. A provider that does not answer is tried again.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let provider = async {
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.provider.keys.keep_current(&self.provider.settings.issuer, &self.provider) => {}
            }
        };
        tokio::join!(self.sessions.clone().run(stop.clone()), provider);
    }

    /// The provider, and where this hub is.
    pub fn settings(&self) -> &LoginProvider {
        &self.provider.settings
    }

    /// The page of this hub that a login ends at.
    ///
    /// # Errors
    /// If the text is no page of this hub.
    pub fn return_path(&self, text: Option<&str>) -> Result<ReturnPath, LoginError> {
        let Some(text) = text else { return Ok(ReturnPath::home()) };
        ReturnPath::parse(text).ok_or(LoginError::InvalidReturnPath)
    }

    /// The address of a page of this hub.
    pub fn address_of(&self, page: &ReturnPath) -> String {
        format!("{}{}", self.settings().public_url, page.as_str())
    }

    /// Begins a login that ends at a page of this hub.
    ///
    /// # Errors
    /// If the provider was not reached yet.
    pub async fn begin(&self, return_to: ReturnPath) -> Result<BegunLogin, LoginError> {
        let metadata = self.provider.metadata().await?;
        let attempt = LoginAttempt::begin(return_to, (self.clock)())?;
        let mut address = metadata.authorization.clone();
        address
            .query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.settings().client_id)
            .append_pair("redirect_uri", &self.settings().redirect_uri())
            .append_pair("scope", &self.settings().scopes.join(" "))
            .append_pair("state", &attempt.state(&self.key))
            .append_pair("nonce", &attempt.nonce(&self.key))
            .append_pair("code_challenge", &attempt.code_challenge(&self.key))
            .append_pair("code_challenge_method", "S256");
        Ok(BegunLogin { address: address.into(), cookie: attempt.cookie() })
    }

    /// Finishes the login of a cookie: a session, and the address to return to.
    ///
    /// # Errors
    /// If anything is wrong with it.
    pub async fn finish(
        &self,
        cookie: Option<&str>,
        response: &LoginResponse,
        client: Option<ClientNetwork>,
    ) -> Result<(SessionToken, String), LoginError> {
        if let Err(TokenRefused::TooManyFailures(seconds)) = self.failures.check(client) {
            return Err(LoginError::TooManyFailures(seconds));
        }
        // Every login that fails passes here: the place to record it. The error names nobody.
        let finished = self.try_finish(cookie, response).await;
        let finished = finished.inspect_err(|error| tracing::info!(why = %error, "a login failed"));
        // That the provider or the database does not answer is not the client's doing.
        if finished.as_ref().is_err_and(|error| {
            !matches!(error, LoginError::ProviderUnavailable | LoginError::Unavailable | LoginError::Refused)
        }) {
            self.failures.count(client);
        }
        finished
    }

    async fn try_finish(
        &self,
        cookie: Option<&str>,
        response: &LoginResponse,
    ) -> Result<(SessionToken, String), LoginError> {
        let now = (self.clock)();
        let attempt = cookie.and_then(LoginAttempt::from_cookie).filter(|attempt| !attempt.is_expired(now));
        let state = response.state.as_deref().unwrap_or_default();
        let attempt = attempt.filter(|attempt| attempt.has_state(&self.key, state)).ok_or(LoginError::NotBegun)?;
        let metadata = self.provider.metadata().await?;
        // Another provider may have sent the browser here (RFC 9207).
        match &response.iss {
            Some(issuer) if *issuer != self.settings().issuer => return Err(LoginError::OtherIssuer),
            None if metadata.names_itself => return Err(LoginError::OtherIssuer),
            _ => {}
        }
        if let Some(error) = &response.error {
            return Err(provider_error(error));
        }
        let is_usable = |code: &&String| !code.is_empty() && code.len() <= MAX_CODE_BYTES;
        let code = response.code.as_ref().filter(is_usable).ok_or(LoginError::CodeRefused)?;
        let (code_verifier, nonce) = (attempt.code_verifier(&self.key), attempt.nonce(&self.key));
        let claims = self.provider.redeem(&metadata, LoginCode { code, code_verifier, nonce }, now).await?;
        let LoginProvider { issuer, subject_claim, grants, .. } = self.settings();
        let subject = claims.subject(issuer, subject_claim).ok_or_else(|| {
            tracing::warn!(
                claim = subject_claim,
                "a login failed: the claim that names the person is missing or not usable"
            );
            LoginError::NotVerified
        })?;
        // Anybody may write any address into an account; the provider says whether it is theirs.
        let uses_email = self.settings().needed_claims().any(|claim| claim == "email");
        if uses_email && claims.get("email_verified").is_some_and(|verified| *verified != true) {
            tracing::warn!("a login failed: the provider has not verified the email address");
            return Err(LoginError::EmailNotVerified);
        }
        let view = claims.view(grants);
        if view.scopes() == Scopes::NONE {
            return Err(LoginError::NoRights);
        }
        let token = self.sessions.begin(subject, view, attempt.digest()).await.map_err(|error| match error {
            SessionNotBegun::LoginUsed => LoginError::NotBegun,
            SessionNotBegun::NoRandomness(error) => error.into(),
            SessionNotBegun::Store(error) => error.into(),
        })?;
        Ok((token, self.address_of(&attempt.return_to)))
    }

    /// Where the browser goes after a logout: to the provider, if a person can log out there, so that the next login asks for the
    /// password again.
    pub fn logged_out_address(&self) -> String {
        let settings = self.settings();
        let metadata = lock(&self.provider.metadata).clone();
        let Some(mut address) = metadata.and_then(|metadata| metadata.end_session.clone()) else {
            return settings.logged_out_uri();
        };
        address
            .query_pairs_mut()
            .append_pair("client_id", &settings.client_id)
            .append_pair("post_logout_redirect_uri", &settings.logged_out_uri());
        address.into()
    }
}

impl ProviderClient {
    /// What the provider publishes about itself. If it was not reached yet, waits a moment for it.
    async fn metadata(&self) -> Result<Arc<ProviderMetadata>, LoginError> {
        let known = || lock(&self.metadata).clone();
        if known().is_none() {
            self.keys.refetch().await;
        }
        known().ok_or(LoginError::ProviderUnavailable)
    }

    async fn discover(&self) -> Result<(Vec<u8>, Duration), String> {
        let issuer = &self.settings.issuer;
        let (json, _) = download(&ProviderMetadata::address(issuer), &self.http)
            .await
            .map_err(|why| format!("its configuration cannot be read: {why}"))?;
        let metadata = Arc::new(ProviderMetadata::parse(&json, issuer)?);
        let keys = download(metadata.jwks.as_str(), &self.http).await?;
        *lock(&self.metadata) = Some(metadata);
        Ok(keys)
    }
}

impl ReadKeySet for ProviderClient {
    fn read(&self) -> impl Future<Output = Result<(Vec<u8>, Duration), String>> + Send {
        self.discover()
    }
}

fn provider_error(error: &str) -> LoginError {
    let is_name = error.len() <= MAX_ERROR_BYTES && error.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    match error {
        "access_denied" => LoginError::Refused,
        name if is_name => LoginError::ProviderError(name.to_owned()),
        _ => LoginError::ProviderError("unknown".to_owned()),
    }
}
