//! API keys. They are not derived from the raw log: a rebuild or a purge leaves them alone.

use super::access_version::{AccessChange, access_connection, access_version};
use super::{Database, StoreError};
use crate::access::{ApiKey, ApiKeyId, ApiKeyToken, Scopes, View};
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use entity::access_version::API_KEYS;
use entity::api_key::{ActiveModel, Column, Entity, Model};
use sea_orm::sea_query::{CaseStatement, Expr};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, EntityTrait, ExprTrait, IntoActiveModel, QueryFilter, QueryOrder,
    QuerySelect,
};

/// Keys of one statement that saves when they were used.
const KEYS_PER_STATEMENT: usize = 500;

/// The keys of this database.
#[derive(Clone, Debug)]
pub struct ApiKeyStore(Database);

/// A key, and what has become of it.
#[derive(Clone, Debug)]
pub struct ApiKeyRecord {
    pub key: ApiKey,
    pub created_at: DateTime<Utc>,
    /// The subject that created it.
    pub created_by: String,
    /// To the minute.
    pub last_used_at: Option<DateTime<Utc>>,
    pub revoked_at: Option<DateTime<Utc>>,
}

/// Why a key cannot be changed.
#[derive(Debug, thiserror::Error)]
pub enum ApiKeyError {
    #[error("there is no API key {0}")]
    NotFound(ApiKeyId),
    #[error("the API key {0} is revoked")]
    Revoked(ApiKeyId),
    #[error("the API key {0} has expired")]
    Expired(ApiKeyId),
    #[error("the operating system has no random numbers: {0}")]
    NoRandomness(#[from] rand::rand_core::OsError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How a key is replaced.
#[derive(Clone, Debug)]
pub struct KeyRotation {
    /// How long the old key stays valid.
    pub overlap: TimeDelta,
    /// When the new key expires; `None` if it is valid for as long as the old one was.
    pub expires_at: Option<DateTime<Utc>>,
    /// The new key expires at this time at the latest.
    pub expires_by: Option<DateTime<Utc>>,
    /// The subject that replaces it.
    pub created_by: String,
}

/// A key, and the one that replaces it.
#[derive(Debug)]
pub struct RotatedKey {
    pub old: ApiKeyRecord,
    pub new: ApiKeyRecord,
    /// The new key with its secret.
    pub token: ApiKeyToken,
}

impl ApiKeyStore {
    /// The keys in this database.
    pub fn new(db: Database) -> Self {
        ApiKeyStore(db)
    }

    /// The number of changes so far. Read it before the keys.
    pub async fn version(&self) -> Result<i64, StoreError> {
        access_version(&self.0, API_KEYS).await
    }

    /// All keys, also revoked and expired ones, oldest first. A row that cannot be read is logged and left out.
    pub async fn all(&self) -> Result<Vec<ApiKeyRecord>, StoreError> {
        let rows =
            Entity::find().order_by_asc(Column::CreatedAt).order_by_asc(Column::Id).all(access_connection(&self.0));
        let records = self.0.with_timeout(rows).await?.into_iter().map(|row| {
            let id = row.id.clone();
            ApiKeyRecord::try_from(row).inspect_err(|error| tracing::error!(id, %error, "API key ignored"))
        });
        Ok(records.filter_map(Result::ok).collect())
    }

    /// Whether a key was ever created.
    pub async fn any(&self) -> Result<bool, StoreError> {
        let id = Entity::find()
            .select_only()
            .column(Column::Id)
            .limit(1)
            .into_tuple::<String>()
            .one(access_connection(&self.0));
        Ok(self.0.with_timeout(id).await?.is_some())
    }

    /// Stores a new key.
    pub async fn create(&self, key: ApiKey, created_by: &str, now: DateTime<Utc>) -> Result<ApiKeyRecord, StoreError> {
        let change = self.begin().await?;
        let record = change.insert(key, created_by, now).await?;
        change.commit().await?;
        Ok(record)
    }

    /// Replaces a key by a new one with the same name, scopes and sources. A key that is not within the view does not exist.
    ///
    /// # Errors
    /// If there is no such key, or it is not valid any more.
    pub async fn rotate(
        &self,
        id: ApiKeyId,
        within: &View,
        rotation: KeyRotation,
        now: DateTime<Utc>,
    ) -> Result<RotatedKey, ApiKeyError> {
        let change = self.begin().await?;
        let mut old = change.find(id, within).await?;
        if old.revoked_at.is_some() {
            return Err(ApiKeyError::Revoked(id));
        }
        if old.key.is_expired(now) {
            return Err(ApiKeyError::Expired(id));
        }
        // A time beyond the calendar is none.
        let same_lifetime =
            || old.key.expires_at.and_then(|expires_at| now.checked_add_signed(expires_at - old.created_at));
        let expires_at = earlier(rotation.expires_at.or_else(same_lifetime), rotation.expires_by);
        let (key, token) = ApiKey::generate(old.key.name.clone(), old.key.view.clone(), expires_at)?;
        old.key.expires_at = earlier(old.key.expires_at, now.checked_add_signed(rotation.overlap));
        let expires_at = Set(micros(old.key.expires_at));
        change.update(id, ActiveModel { expires_at, ..ActiveModel::default() }).await?;
        let new = change.insert(key, &rotation.created_by, now).await?;
        change.commit().await?;
        Ok(RotatedKey { old, new, token })
    }

    /// Revokes a key, from now on and for good. One that is revoked already stays as it is. A key that is not within the view
    /// does not exist.
    ///
    /// # Errors
    /// If there is no such key.
    pub async fn revoke(&self, id: ApiKeyId, within: &View, now: DateTime<Utc>) -> Result<ApiKeyRecord, ApiKeyError> {
        let change = self.begin().await?;
        let mut record = change.find(id, within).await?;
        if record.revoked_at.is_none() {
            record.revoked_at = Some(now);
            change.update(id, ActiveModel { revoked_at: Set(micros(Some(now))), ..ActiveModel::default() }).await?;
            change.commit().await?;
        }
        Ok(record)
    }

    /// Saves when keys were used, to the minute. It is no change that others must hear of.
    pub async fn mark_used(&self, used: &[(ApiKeyId, DateTime<Utc>)]) -> Result<(), StoreError> {
        for used in used.chunks(KEYS_PER_STATEMENT) {
            let ids = used.iter().map(|(id, _)| id.to_string());
            let at = used.iter().fold(CaseStatement::new(), |case, (id, at)| {
                let minute = at.duration_trunc(TimeDelta::minutes(1)).unwrap_or(*at).timestamp_micros();
                case.case(Expr::col(Column::Id).eq(id.to_string()), minute)
            });
            let at = at.finally(Expr::col(Column::LastUsedAt));
            // Another process may have saved a later time.
            let is_later =
                Condition::any().add(Column::LastUsedAt.is_null()).add(Expr::col(Column::LastUsedAt).lt(at.clone()));
            let update = Entity::update_many()
                .col_expr(Column::LastUsedAt, at.into())
                .filter(Column::Id.is_in(ids))
                .filter(is_later);
            let change = AccessChange::begin_uncounted(&self.0).await?;
            update.exec(&change.txn).await?;
            change.commit().await?;
        }
        Ok(())
    }

    async fn begin(&self) -> Result<KeyChange, StoreError> {
        AccessChange::begin(&self.0, API_KEYS).await.map(KeyChange)
    }
}

/// A change of keys that is not committed.
struct KeyChange(AccessChange);

impl KeyChange {
    async fn find(&self, id: ApiKeyId, within: &View) -> Result<ApiKeyRecord, ApiKeyError> {
        let row = Entity::find_by_id(id.to_string()).one(&self.0.txn).await.map_err(StoreError::from)?;
        let record = row.map(ApiKeyRecord::try_from).transpose()?;
        record.filter(|record| record.key.view.is_within(within)).ok_or(ApiKeyError::NotFound(id))
    }

    async fn insert(&self, key: ApiKey, created_by: &str, now: DateTime<Utc>) -> Result<ApiKeyRecord, StoreError> {
        let record = ApiKeyRecord {
            key,
            created_at: now,
            created_by: created_by.to_owned(),
            last_used_at: None,
            revoked_at: None,
        };
        Entity::insert(Model::from(&record).into_active_model()).exec_without_returning(&self.0.txn).await?;
        Ok(record)
    }

    async fn update(&self, id: ApiKeyId, values: ActiveModel) -> Result<(), StoreError> {
        Entity::update_many().set(values).filter(Column::Id.eq(id.to_string())).exec(&self.0.txn).await?;
        Ok(())
    }

    async fn commit(self) -> Result<(), StoreError> {
        self.0.commit().await
    }
}

fn earlier(one: Option<DateTime<Utc>>, other: Option<DateTime<Utc>>) -> Option<DateTime<Utc>> {
    one.into_iter().chain(other).min()
}

fn micros(at: Option<DateTime<Utc>>) -> Option<i64> {
    at.map(|at| at.timestamp_micros())
}

/// The scopes of a row. A newer version may have further ones, which allow nothing here.
pub fn known_scopes(names: &str) -> Scopes {
    let known = names.split(' ').filter_map(|name| name.parse::<Scopes>().ok());
    known.flat_map(|scopes| scopes.iter().collect::<Vec<_>>()).collect()
}

impl From<&ApiKeyRecord> for Model {
    fn from(record: &ApiKeyRecord) -> Model {
        let ApiKeyRecord { key, created_at, created_by, last_used_at, revoked_at } = record;
        Model {
            id: key.id.to_string(),
            name: key.name.clone(),
            digest: key.digest.to_string(),
            scopes: key.view.scopes().to_string(),
            sources: key.view.sources().map(|sources| serde_json::Value::from(sources.to_vec()).to_string()),
            created_at: created_at.timestamp_micros(),
            created_by: created_by.clone(),
            expires_at: micros(key.expires_at),
            last_used_at: micros(*last_used_at),
            revoked_at: micros(*revoked_at),
        }
    }
}

impl TryFrom<Model> for ApiKeyRecord {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<ApiKeyRecord, StoreError> {
        let corrupt = |what: &str| StoreError::Corrupt(format!("api_key {}: {what}", row.id));
        let at = |micros| DateTime::from_timestamp_micros(micros).ok_or_else(|| corrupt("a time is out of range"));
        let sources = row.sources.as_deref().map(serde_json::from_str).transpose();
        let sources = sources.map_err(|_| corrupt("its sources are no list"))?;
        let scopes = known_scopes(&row.scopes);
        let key = ApiKey {
            id: row.id.parse().map_err(|_| corrupt("its id is invalid"))?,
            name: row.name.clone(),
            digest: row.digest.parse().map_err(|_| corrupt("its digest is invalid"))?,
            view: View::new(scopes, sources),
            expires_at: row.expires_at.map(at).transpose()?,
        };
        Ok(ApiKeyRecord {
            key,
            created_at: at(row.created_at)?,
            created_by: row.created_by.clone(),
            last_used_at: row.last_used_at.map(at).transpose()?,
            revoked_at: row.revoked_at.map(at).transpose()?,
        })
    }
}
