//! Removes old lives from the database: an inspection with all that hangs on it, or what stands alone with all that hangs on
//! it, if nothing was heard of any of it since a moment and it is at an end; and deliveries about nothing that are as old.
//! With a life go its history and all deliveries that concern it. What is left derives as before.
//!
//! `life.rs` finds out what belongs together and whether it can go, `gaps.rs` where the raw log goes on behind it, and
//! `removal.rs` removes it: a few lives in each transaction, so that nobody who writes waits for long.

mod gaps;
mod life;
mod removal;

use super::alone::Alone;
use super::raw;
use super::{Database, StoreError};
use chrono::{DateTime, Utc};
use entity::entity::{Column, Entity};
use entity::{Kind, delivery};
use life::{Brought, Found, Life};
use removal::Removal;
use sea_orm::sea_query::{Expr, ExprTrait, SimpleExpr};
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect};
use std::collections::HashSet;
use tokio_util::sync::CancellationToken;

/// Rows that are removed in one transaction, about. A life is removed as a whole.
const ROWS: usize = 2_000;
/// Rows of the largest life that is removed: more would keep those who write waiting for too long.
const MOST: usize = 50_000;
/// Lives, or deliveries about nothing, that are looked at together.
const PAGE: u64 = 200;
/// Keys in one statement.
const KEYS: usize = 500;

/// Whether anything is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    Remove,
    OnlyCount,
}

/// What was removed, or would be, and how many old lives are kept and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forgotten {
    pub lives: u64,
    pub entities: u64,
    pub changes: u64,
    pub deliveries: u64,
    /// Old, but not at an end.
    pub open: u64,
    /// Something that belongs to it, or came with it, is newer.
    pub in_use: u64,
    /// Too large to be removed at once.
    pub large: u64,
}

/// The right to remove, held by one at a time for each database.
#[derive(Debug)]
pub struct Forgetting {
    db: Database,
    removal: Removal,
    stop: CancellationToken,
}

impl Forgetting {
    /// Begins.
    ///
    /// # Errors
    /// [`StoreError::Taken`] if somebody else does, or rebuilds; or if the tables are not up to date.
    pub async fn open(db: Database, stop: CancellationToken) -> Result<Forgetting, StoreError> {
        if !db.is_ready().await? {
            let why = "its tables are not up to date: run `inspection-hub migrate` first";
            return Err(StoreError::Address(format!("{}: {why}", db.shown())));
        }
        let alone = Alone::with(&db).await?;
        // It holds the right: if it is lost, so is the transaction on it.
        let connection = alone.connection.clone();
        Ok(Forgetting { removal: Removal { connection, _alone: alone }, db, stop })
    }

    /// How many lives and deliveries there are to look at, about.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn candidates(&self, before: DateTime<Utc>) -> Result<u64, StoreError> {
        let before = before.timestamp_micros();
        let mut all = self.about_nothing(before, None).count(&self.db.readers).await?;
        for kind in KINDS {
            all += roots(kind, before).count(&self.db.readers).await?;
        }
        Ok(all)
    }

    /// Removes what nothing was heard of since a moment, or counts it. Calls `done` with how many were looked at, again and
    /// again.
    ///
    /// # Errors
    /// If the database fails. [`StoreError::Stopped`] if it is told to stop. What was removed until then stays so.
    pub async fn run(
        &self,
        before: DateTime<Utc>,
        doing: Doing,
        forgotten: &mut Forgotten,
        done: impl Fn(u64),
    ) -> Result<(), StoreError> {
        let mut pass =
            Pass { of: self, before: before.timestamp_micros(), doing, forgotten, done, met: HashSet::new() };
        for kind in KINDS {
            pass.lives(kind).await?;
        }
        pass.about_nothing().await?;
        match doing {
            Doing::Remove => self.removal.unbury().await,
            Doing::OnlyCount => Ok(()),
        }
    }

    // By the index of what makes their news the same: others have none on the delivery.
    fn about_nothing(&self, before: i64, after: Option<i64>) -> sea_orm::Select<delivery::Entity> {
        use delivery::Column::{DuplicateAt, News, ReceivedAt};
        delivery::Entity::find()
            .filter(News.is_not_null())
            .filter(News.gt(after.unwrap_or(i64::MIN)))
            .filter(ReceivedAt.lt(before))
            .filter(DuplicateAt.is_null().or(DuplicateAt.lt(before)))
            .order_by_asc(News)
    }
}

/// What others hang on comes first, so that each is found with it.
const KINDS: [Kind; 4] = [Kind::Inspection, Kind::Item, Kind::Session, Kind::Job];

// What a life hangs on, of those of which no news was heard since.
fn roots(kind: Kind, before: i64) -> sea_orm::Select<Entity> {
    let alone = Column::Inspection.is_null();
    let is_root: SimpleExpr = match kind {
        Kind::Inspection => Expr::col(Column::Inspection).eq(Expr::col(Column::Number)),
        Kind::Job => alone.and(Column::Parent.is_null().or(Column::Vendor.is_in(life::without_inspections()))),
        _ => alone.and(Column::Parent.is_null()),
    };
    let index = match kind {
        Kind::Item => "\"entity\".\"kind\" = 'ITEM'",
        _ => "\"entity\".\"kind\" <> 'ITEM'",
    };
    let all = Entity::find().filter(Column::Kind.eq(kind)).filter(Expr::cust(index)).filter(is_root);
    all.filter(Column::UpdatedAt.lt(before))
}

/// One time through all that is old.
struct Pass<'a, F> {
    of: &'a Forgetting,
    before: i64,
    doing: Doing,
    forgotten: &'a mut Forgotten,
    done: F,
    /// Roots that were counted with another one of the same life.
    met: HashSet<i64>,
}

impl<F: Fn(u64)> Pass<'_, F> {
    async fn lives(&mut self, kind: Kind) -> Result<(), StoreError> {
        let db = &self.of.db.readers;
        let (mut updated, mut number) = (i64::MIN, i64::MIN);
        loop {
            let place = Expr::tuple([Expr::col(Column::UpdatedAt), Expr::col(Column::Number)]);
            let page = roots(kind, self.before)
                .select_only()
                .columns([Column::UpdatedAt, Column::Number])
                .filter(place.gt(Expr::tuple([updated.into(), number.into()])))
                .order_by_asc(Column::UpdatedAt)
                .order_by_asc(Column::Number)
                .limit(PAGE);
            let page: Vec<(i64, i64)> = page.into_tuple().all(db).await?;
            let Some(last) = page.last() else { return Ok(()) };
            (updated, number) = *last;
            let looked_at = page.len() as u64;
            let mut batch = Life::default();
            let mut lives = 0;
            let position = super::read::head(db).await?.position;
            for (_, root) in page {
                self.stopped()?;
                if self.met.contains(&root) || batch.entities.contains_key(&root) {
                    continue;
                }
                match life::of(db, root, self.before).await? {
                    Found::AtRest(life) => {
                        self.met.extend(life.roots.iter().filter(|other| **other != root));
                        batch.join(life);
                        lives += 1;
                    }
                    Found::Open => self.forgotten.open += 1,
                    Found::InUse => self.forgotten.in_use += 1,
                    Found::Large => self.forgotten.large += 1,
                    Found::Gone => {}
                }
                if batch.rows() >= ROWS {
                    self.end(std::mem::take(&mut batch), std::mem::take(&mut lives), position).await?;
                }
            }
            self.end(batch, lives, position).await?;
            (self.done)(looked_at);
        }
    }

    async fn about_nothing(&mut self) -> Result<(), StoreError> {
        use delivery::Column::{Changes, FirstPosition, News, Number};
        let db = &self.of.db.readers;
        let newest = raw::newest(db).await?;
        let mut last = None;
        loop {
            self.stopped()?;
            let page = self.of.about_nothing(self.before, last).select_only().columns([News, Number, FirstPosition]);
            let page: Vec<(i64, i64, i64, i32)> = page.column(Changes).limit(PAGE).into_tuple().all(db).await?;
            let Some((news, ..)) = page.last() else { return Ok(()) };
            last = Some(*news);
            let looked_at = page.len() as u64;
            let brought = |(_, number, first, changes): (i64, i64, i64, i32)| (number, Brought { first, changes });
            let deliveries = page.into_iter().map(brought).filter(|(number, _)| *number != newest).collect();
            let position = super::read::head(db).await?.position;
            self.end(Life { deliveries, ..Life::default() }, 0, position).await?;
            (self.done)(looked_at);
        }
    }

    // Removes what was gathered, if nothing happened to it since the history ended with this position.
    async fn end(&mut self, batch: Life, lives: u64, position: i64) -> Result<(), StoreError> {
        if batch.deliveries.is_empty() {
            return Ok(());
        }
        if self.doing == Doing::Remove {
            let gaps = gaps::behind(&self.of.db.readers, &batch.deliveries).await?;
            if !self.of.removal.remove(&batch, &gaps, self.before, position).await? {
                self.forgotten.in_use += lives;
                return Ok(());
            }
        }
        self.forgotten.lives += lives;
        self.forgotten.entities += batch.entities.len() as u64;
        self.forgotten.deliveries += batch.deliveries.len() as u64;
        self.forgotten.changes += batch.changes() as u64;
        Ok(())
    }

    fn stopped(&self) -> Result<(), StoreError> {
        if self.of.stop.is_cancelled() { Err(StoreError::Stopped) } else { Ok(()) }
    }
}
