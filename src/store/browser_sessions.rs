//! The sessions of people that have logged in with a browser, and the key of unfinished logins. As API keys, they are not derived
//! from the raw log.

use super::access_version::{AccessChange, access_connection, access_version};
use super::api_keys::known_scopes;
use super::{Database, StoreError};
use crate::access::{BrowserSession, SessionDigest, View};
use chrono::{DateTime, Utc};
use entity::access_version::BROWSER_SESSIONS;
use entity::browser_session::{ActiveModel, Column, Entity, Model};
use entity::login_key;
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ColumnTrait, EntityTrait, ExprTrait, IntoActiveModel, PaginatorTrait, QueryFilter};
use std::collections::BTreeMap;

/// Sessions of one statement that saves when they were used.
const SESSIONS_PER_STATEMENT: usize = 500;
/// The row of the key.
const LOGIN_KEY_ID: i64 = 1;

/// The sessions in this database of hubs with the same settings about rights.
#[derive(Clone, Debug)]
pub struct BrowserSessionStore {
    db: Database,
    grants_digest: String,
}

/// The SHA-256 that recognizes a login: it makes one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoginDigest(pub [u8; 32]);

impl BrowserSessionStore {
    /// `grants_digest`: of the settings that decide about rights. Sessions of other settings do not exist for this store.
    pub fn new(db: Database, grants_digest: String) -> Self {
        BrowserSessionStore { db, grants_digest }
    }

    /// The number of changes so far. Read it before the sessions.
    pub async fn version(&self) -> Result<i64, StoreError> {
        access_version(&self.db, BROWSER_SESSIONS).await
    }

    /// All sessions that have not ended. A row that cannot be read is logged and left out.
    pub async fn open(&self, now: DateTime<Utc>) -> Result<Vec<BrowserSession>, StoreError> {
        let rows = Entity::find()
            .filter(Column::GrantsDigest.eq(&self.grants_digest))
            .filter(Column::EndedAt.is_null())
            .filter(Column::ExpiresAt.gt(now.timestamp_micros()))
            .all(access_connection(&self.db));
        let rows = self.db.with_timeout(rows).await?.into_iter();
        let sessions = rows.map(|row| {
            BrowserSession::try_from(row).inspect_err(|error| tracing::error!(%error, "browser session ignored"))
        });
        Ok(sessions.filter_map(Result::ok).collect())
    }

    /// Stores the session of a login, and deletes rows that have expired. False if the login has made one already.
    pub async fn create(&self, session: &BrowserSession, login: LoginDigest) -> Result<bool, StoreError> {
        let change = AccessChange::begin(&self.db, BROWSER_SESSIONS).await?;
        let login_digest = hex::encode(login.0);
        let known = Entity::find().filter(Column::LoginDigest.eq(&login_digest)).count(&change.txn).await?;
        if known > 0 {
            return Ok(false);
        }
        let now = session.created_at.timestamp_micros();
        Entity::delete_many().filter(Column::ExpiresAt.lte(now)).exec(&change.txn).await?;
        let row = Model {
            digest: session.digest.to_string(),
            login_digest,
            subject: session.subject.clone(),
            scopes: session.view.scopes().to_string(),
            sources: session.view.sources().map(|sources| serde_json::Value::from(sources.to_vec()).to_string()),
            grants_digest: self.grants_digest.clone(),
            created_at: now,
            last_used_at: session.last_used_at.timestamp_micros(),
            expires_at: session.expires_at.timestamp_micros(),
            ended_at: None,
        };
        Entity::insert(row.into_active_model()).exec_without_returning(&change.txn).await?;
        change.commit().await?;
        Ok(true)
    }

    /// Ends a session, for good. Its row stays until it would have expired, without the person, so that its login makes no other.
    pub async fn end(&self, digest: SessionDigest, now: DateTime<Utc>) -> Result<(), StoreError> {
        let change = AccessChange::begin(&self.db, BROWSER_SESSIONS).await?;
        let ended = ActiveModel {
            ended_at: Set(Some(now.timestamp_micros())),
            subject: Set(String::new()),
            ..ActiveModel::default()
        };
        let is_open = Column::Digest.eq(digest.to_string()).and(Column::EndedAt.is_null());
        Entity::update_many().set(ended).filter(is_open).exec(&change.txn).await?;
        change.commit().await
    }

    /// Saves when sessions were used. Another process may have saved a later time.
    pub async fn mark_used(&self, used: &[(SessionDigest, DateTime<Utc>)]) -> Result<(), StoreError> {
        let mut by_time: BTreeMap<i64, Vec<String>> = BTreeMap::new();
        for (digest, at) in used {
            by_time.entry(at.timestamp_micros()).or_default().push(digest.to_string());
        }
        let change = AccessChange::begin_uncounted(&self.db).await?;
        for (at, digests) in &by_time {
            for digests in digests.chunks(SESSIONS_PER_STATEMENT) {
                let is_earlier = Column::Digest.is_in(digests).and(Column::LastUsedAt.lt(*at));
                let update = Entity::update_many().col_expr(Column::LastUsedAt, Expr::value(*at));
                update.filter(is_earlier).exec(&change.txn).await?;
            }
        }
        change.commit().await
    }

    /// The key of unfinished logins: this one, unless another process was first.
    pub async fn login_key(&self, new: [u8; 32]) -> Result<[u8; 32], StoreError> {
        let change = AccessChange::begin_uncounted(&self.db).await?;
        let row = login_key::Model { id: LOGIN_KEY_ID, key: hex::encode(new) };
        let is_known = OnConflict::column(login_key::Column::Id).do_nothing().to_owned();
        login_key::Entity::insert(row.into_active_model())
            .on_conflict(is_known)
            .exec_without_returning(&change.txn)
            .await?;
        let row = login_key::Entity::find_by_id(LOGIN_KEY_ID).one(&change.txn).await?;
        change.commit().await?;
        let mut key = [0; 32];
        let is_read = row.is_some_and(|row| hex::decode_to_slice(row.key, &mut key).is_ok());
        if is_read { Ok(key) } else { Err(StoreError::Corrupt("login_key is not 64 hexadecimal digits".to_owned())) }
    }
}

impl TryFrom<Model> for BrowserSession {
    type Error = StoreError;

    // The digest is in no error: the row is personal.
    fn try_from(row: Model) -> Result<BrowserSession, StoreError> {
        let corrupt = |what: &str| StoreError::Corrupt(format!("browser_session: {what}"));
        let at = |micros| DateTime::from_timestamp_micros(micros).ok_or_else(|| corrupt("a time is out of range"));
        let sources = row.sources.as_deref().map(serde_json::from_str).transpose();
        let sources = sources.map_err(|_| corrupt("its sources are no list"))?;
        Ok(BrowserSession {
            digest: row.digest.parse().map_err(|_| corrupt("its digest is invalid"))?,
            subject: row.subject,
            view: View::new(known_scopes(&row.scopes), sources),
            created_at: at(row.created_at)?,
            last_used_at: at(row.last_used_at)?,
            expires_at: at(row.expires_at)?,
        })
    }
}
