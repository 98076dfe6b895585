//! API keys: the list of those within the caller's view, and how they are created, replaced and revoked.

use super::ApiContext;
use super::connection::{Connection, PageArgs, TotalCount};
use super::cursor::{Cursor, parse_api_key_cursor};
use super::duration;
use super::error::ApiError;
use super::error_code::ApiErrorCode;
use crate::access::{ApiKey, ApiKeyId, Scopes, View};
use crate::store::read::{self, PagingDirection, Slice};
use crate::store::{ApiKeyError, ApiKeyRecord, KeyRotation};
use async_graphql::{ComplexObject, Context, ID, InputObject, SimpleObject};
use chrono::{DateTime, TimeDelta, Utc};
use entity::Scope;
use uuid::Uuid;

/// How long a key that is replaced stays valid, unless the caller says otherwise.
const DEFAULT_OVERLAP: TimeDelta = TimeDelta::hours(24);

/// An API key, without its secret.
#[derive(Clone, Debug, SimpleObject)]
#[graphql(name = "ApiKey", complex)]
pub struct ApiKeyInfo {
    #[graphql(skip)]
    node_id: Uuid,
    /// The public part of the key: the 12 digits after `ihub_`, e.g. `3f9a51c07be2`. Commands take this one.
    key_id: String,
    /// What it is for, in words for people.
    name: String,
    /// What it allows.
    scopes: Vec<Scope>,
    /// The sources that it is limited to, in alphabetical order; null for all.
    sources: Option<Vec<String>>,
    /// When it was created; null for a key of the settings file.
    created_at: Option<DateTime<Utc>>,
    /// The subject that created it, e.g. `key:3f9a51c07be2`; null for a key of the settings file.
    created_by: Option<String>,
    /// When it expires; null if it does not.
    expires_at: Option<DateTime<Utc>>,
    /// When it was used last, to the minute; null if it was not, or is a key of the settings file.
    last_used_at: Option<DateTime<Utc>>,
    /// When it was revoked; null if it was not.
    revoked_at: Option<DateTime<Utc>>,
    /// Whether it is in the settings file. The API cannot change such a key.
    in_settings: bool,
}

#[ComplexObject]
impl ApiKeyInfo {
    /// The hub's id of the key.
    pub async fn id(&self) -> ID {
        self.node_id.into()
    }
}

impl From<&ApiKeyRecord> for ApiKeyInfo {
    fn from(record: &ApiKeyRecord) -> ApiKeyInfo {
        ApiKeyInfo {
            created_at: Some(record.created_at),
            created_by: Some(record.created_by.clone()),
            last_used_at: record.last_used_at,
            revoked_at: record.revoked_at,
            in_settings: false,
            ..ApiKeyInfo::from(&record.key)
        }
    }
}

/// A key of the settings.
impl From<&ApiKey> for ApiKeyInfo {
    fn from(key: &ApiKey) -> ApiKeyInfo {
        ApiKeyInfo {
            node_id: read::api_key_node_id(key.id),
            key_id: key.id.to_string(),
            name: key.name.clone(),
            scopes: key.view.scopes().iter().collect(),
            sources: key.view.sources().map(<[String]>::to_vec),
            created_at: None,
            created_by: None,
            expires_at: key.expires_at,
            last_used_at: None,
            revoked_at: None,
            in_settings: true,
        }
    }
}

/// All keys that the caller may see: those of the settings, then those of the database, oldest first.
async fn visible_keys(api: &ApiContext) -> Result<Vec<(ApiKeyId, ApiKeyInfo)>, ApiError> {
    let view = api.view();
    if !view.has(Scope::Admin) {
        return Ok(Vec::new());
    }
    let in_settings = api.keys.settings_keys().iter().filter(|key| key.view.is_within(view));
    let stored = api.keys.store.all().await?;
    let stored = stored.iter().filter(|record| record.key.view.is_within(view));
    let in_settings = in_settings.map(|key| (key.id, key.into()));
    Ok(in_settings.chain(stored.map(|record| (record.key.id, record.into()))).collect())
}

/// The keys with these ids that the caller may see.
pub async fn keys_by_id(api: &ApiContext, ids: &[ApiKeyId]) -> Result<Vec<(ApiKeyId, ApiKeyInfo)>, ApiError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let mut keys = visible_keys(api).await?;
    keys.retain(|(id, _)| ids.contains(id));
    Ok(keys)
}

/// A page of the keys that the caller may see.
pub async fn api_keys(
    ctx: &Context<'_>,
    page: PageArgs,
    include_revoked: bool,
) -> Result<Connection<ApiKeyInfo>, ApiError> {
    let page = page.page(parse_api_key_cursor)?;
    let keys = visible_keys(ApiContext::of(ctx)?).await?;
    let is_listed = |key: &ApiKeyInfo| include_revoked || key.revoked_at.is_none();
    let total = keys.iter().filter(|(_, key)| is_listed(key)).count();
    // A key keeps its place in the list of all, also when it is revoked.
    let place = |id: Option<ApiKeyId>| match id {
        Some(id) => {
            keys.iter().position(|(known, _)| *known == id).map(Some).ok_or_else(super::cursor::unknown_api_key)
        }
        None => Ok(None),
    };
    let (after, before) = (place(page.after)?, place(page.before)?);
    let is_between =
        |place: usize| after.is_none_or(|after| place > after) && before.is_none_or(|before| place < before);
    let between = keys.into_iter().enumerate().filter(|(place, (_, key))| is_between(*place) && is_listed(key));
    let mut rows: Vec<(ApiKeyId, ApiKeyInfo)> = between.map(|(_, key)| key).collect();
    let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let has_more = rows.len() > limit;
    match page.paging {
        PagingDirection::Forward => rows.truncate(limit),
        PagingDirection::Backward => drop(rows.drain(..rows.len().saturating_sub(limit))),
    }
    let total = TotalCount::Precomputed(i64::try_from(total).unwrap_or(i64::MAX));
    Ok(Connection::of(Slice { rows, has_more }, &page, total, |(id, key)| (Cursor::ApiKey(id), key)))
}

/// A new API key.
#[derive(Debug, InputObject)]
pub struct CreateApiKeyInput {
    /// What it is for, in words for people, e.g. `dashboards`: 1 to 100 characters.
    name: String,
    /// What it allows, e.g. `[READ]`. You must have each of these scopes.
    scopes: Vec<Scope>,
    /// The sources that it is limited to, e.g. `["truepic"]`; null for all, if you may see all.
    sources: Option<Vec<String>>,
    /// When it expires, e.g. `2027-01-31T00:00:00Z`; null if it does not. If your own credential expires, that is the latest time.
    expires_at: Option<DateTime<Utc>>,
}

/// Which API key to replace.
#[derive(Debug, InputObject)]
pub struct RotateApiKeyInput {
    /// The hub's id of the key, e.g. `6170692d-6b65-8079-8000-3f9a51c07be2`.
    id: ID,
    /// How long the old key stays valid, e.g. `PT24H` or `7d`: 24 hours by default.
    overlap: Option<String>,
    /// When the new key expires, e.g. `2027-01-31T00:00:00Z`; by default after as long as the old one was valid, and not after your own credential.
    expires_at: Option<DateTime<Utc>>,
}

/// Which API key to revoke.
#[derive(Debug, InputObject)]
pub struct RevokeApiKeyInput {
    /// The hub's id of the key, e.g. `6170692d-6b65-8079-8000-3f9a51c07be2`.
    id: ID,
}

/// A new API key, with its secret.
#[derive(Debug, SimpleObject)]
pub struct CreateApiKeyPayload {
    /// The new key.
    api_key: ApiKeyInfo,
    /// The whole key, `ihub_…`, as a client sends it. It is in this response and nowhere else.
    secret: String,
}

/// An API key that was changed.
#[derive(Debug, SimpleObject)]
pub struct ApiKeyPayload {
    /// The key as it is now.
    api_key: ApiKeyInfo,
}

pub async fn create(ctx: &Context<'_>, input: CreateApiKeyInput) -> Result<CreateApiKeyPayload, ApiError> {
    let api = ApiContext::of(ctx)?;
    let CreateApiKeyInput { name, scopes, sources, expires_at } = input;
    ApiKey::check_name(&name).map_err(|problem| ApiError::bad_user_input(problem, "Name what the key is for."))?;
    if scopes.is_empty() {
        return Err(ApiError::bad_user_input("`scopes` is empty", "Name at least one scope, e.g. `[READ]`."));
    }
    check_sources(api, sources.as_deref())?;
    let view = View::new(scopes.into_iter().collect::<Scopes>(), sources);
    if let Some(scope) = view.scopes().iter().find(|scope| !api.view().has(*scope)) {
        return Err(ApiError::missing_scope(scope));
    }
    if !view.is_within(api.view()) {
        return Err(exceeds(
            "it would see more sources than you do",
            "Name sources that you may see: `viewer { sources }`.",
        ));
    }
    check_expiry(api, expires_at)?;
    if let Some(latest) = api.keys.expires_at(&api.principal).filter(|latest| expires_at.is_none_or(|at| at > *latest))
    {
        let hint = format!("Set `expiresAt` to {} at the latest.", latest.to_rfc3339());
        return Err(exceeds("it would be valid for longer than your own credential", &hint));
    }
    let (key, token) = ApiKey::generate(name, view, expires_at).map_err(ApiKeyError::from)?;
    let record = api.keys.store.create(key, &api.principal.subject, api.now()).await?;
    show_change(api).await;
    Ok(CreateApiKeyPayload { api_key: (&record).into(), secret: token.reveal() })
}

pub async fn rotate(ctx: &Context<'_>, input: RotateApiKeyInput) -> Result<CreateApiKeyPayload, ApiError> {
    let api = ApiContext::of(ctx)?;
    let id = changeable_key(api, &input.id)?;
    let overlap = input.overlap.as_deref().map(duration::length).transpose()?.unwrap_or(DEFAULT_OVERLAP);
    check_expiry(api, input.expires_at)?;
    let rotation = KeyRotation {
        overlap,
        expires_at: input.expires_at,
        expires_by: api.keys.expires_at(&api.principal),
        created_by: api.principal.subject.to_string(),
    };
    let rotated = api.keys.store.rotate(id, api.view(), rotation, api.now()).await?;
    show_change(api).await;
    Ok(CreateApiKeyPayload { api_key: (&rotated.new).into(), secret: rotated.token.reveal() })
}

pub async fn revoke(ctx: &Context<'_>, input: RevokeApiKeyInput) -> Result<ApiKeyPayload, ApiError> {
    let api = ApiContext::of(ctx)?;
    let id = changeable_key(api, &input.id)?;
    let record = api.keys.store.revoke(id, api.view(), api.now()).await?;
    show_change(api).await;
    Ok(ApiKeyPayload { api_key: (&record).into() })
}

// So that the next request finds the change. If it fails, the change is stored all the same, and found a moment later.
async fn show_change(api: &ApiContext) {
    if let Err(error) = api.keys.refresh().await {
        tracing::warn!(%error, "API keys could not be read after a change; the known ones stay valid");
    }
}

/// The key with this id, which is not one of the settings.
fn changeable_key(api: &ApiContext, id: &ID) -> Result<ApiKeyId, ApiError> {
    let key_id = Uuid::parse_str(id).ok().and_then(read::api_key_id).ok_or_else(not_found)?;
    let in_settings = api.keys.settings_keys().iter().find(|key| key.id == key_id);
    match in_settings.filter(|key| key.view.is_within(api.view())) {
        Some(_) => Err(ApiError::bad_user_input(
            "the API key is in the settings file, which the API cannot change",
            "Change the settings file of each hub, and restart it.",
        )),
        None => Ok(key_id),
    }
}

fn check_sources(api: &ApiContext, sources: Option<&[String]>) -> Result<(), ApiError> {
    let visible =
        || api.sources.iter().map(|source| source.name.as_str()).filter(|name| api.view().includes_source(name));
    let names = || visible().collect::<Vec<_>>().join(", ");
    match sources {
        Some([]) => Err(ApiError::bad_user_input("`sources` is empty", "Name a source, or leave it out for all.")),
        Some(sources) => match sources.iter().find(|source| !visible().any(|name| name == source.as_str())) {
            Some(unknown) => Err(ApiError::bad_user_input(
                format!("there is no source `{}`", super::node::truncated(unknown)),
                format!("The sources are: {}.", names()),
            )),
            None => Ok(()),
        },
        None => Ok(()),
    }
}

fn check_expiry(api: &ApiContext, expires_at: Option<DateTime<Utc>>) -> Result<(), ApiError> {
    match expires_at.filter(|expires_at| *expires_at <= api.now()) {
        Some(_) => Err(ApiError::bad_user_input("`expiresAt` is in the past", "Name a time in the future.")),
        None => Ok(()),
    }
}

fn exceeds(why: &str, hint: &str) -> ApiError {
    ApiError::new(ApiErrorCode::Forbidden, format!("a key cannot exceed its maker's credential: {why}"), hint)
}

fn not_found() -> ApiError {
    ApiError::new(
        ApiErrorCode::NotFound,
        "there is no API key with this id",
        "`apiKeys` lists the keys that you may see.",
    )
}

impl From<ApiKeyError> for ApiError {
    fn from(error: ApiKeyError) -> Self {
        match error {
            ApiKeyError::NotFound(_) => not_found(),
            ApiKeyError::Revoked(_) | ApiKeyError::Expired(_) => {
                ApiError::bad_user_input(error.to_string(), "Create a new key with `createApiKey`.")
            }
            ApiKeyError::NoRandomness(_) => ApiError::internal(error.to_string()),
            ApiKeyError::Store(error) => error.into(),
        }
    }
}
