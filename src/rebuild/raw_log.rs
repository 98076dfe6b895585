//! Reads the raw log for a replay: deliveries in the order in which they were first applied.

use crate::ingest::{PreparedDelivery, ReplayContext};
use crate::store::{DictionaryCache, PayloadError, StoreError};
use crate::vendor;
use crate::vendor::verify::{RawDelivery, Verified};
use chrono::DateTime;
use entity::delivery::{Column, Entity, Model};
use entity::{change_row, log_gap, purged_ledger, tombstone};
use sea_orm::entity::prelude::Uuid;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// Keys in one look-up.
const KEYS_PER_STATEMENT: usize = 500;

/// The row id of the newest delivery; 0 if there is none.
pub async fn newest_delivery<C: ConnectionTrait>(db: &C) -> Result<i64, StoreError> {
    let number = Entity::find().select_only().column(Column::RowId).order_by_desc(Column::RowId).limit(1);
    Ok(number.into_tuple().one(db).await?.unwrap_or_default())
}

/// The number of deliveries that were purged.
pub async fn purged_delivery_count<C: ConnectionTrait>(db: &C) -> Result<i64, StoreError> {
    let rows = purged_ledger::Entity::find().all(db).await?;
    Ok(rows.iter().map(|row| row.received - row.duplicates).sum())
}

/// The entities of the changes at these positions.
pub async fn entities_changed_at<C: ConnectionTrait>(db: &C, positions: &[i64]) -> Result<Vec<i64>, StoreError> {
    use change_row::Column::{EntityRowId, Position};
    let mut all = Vec::new();
    for positions in positions.chunks(KEYS_PER_STATEMENT) {
        let entities = change_row::Entity::find().select_only().column(EntityRowId);
        let entities = entities.filter(Position.is_in(positions.iter().copied())).filter(EntityRowId.is_not_null());
        all.extend(entities.into_tuple::<i64>().all(db).await?);
    }
    Ok(all)
}

/// The deliveries after one row id up to another, parsed by today's adapters; at most `limit`, each with its row id. Fails
/// if a delivery is missing that was not purged, or is damaged, or cannot be applied at all.
pub async fn deliveries_after<C: ConnectionTrait>(
    db: &C,
    dictionaries: &DictionaryCache,
    after: i64,
    upto: i64,
    limit: u64,
) -> Result<Vec<(i64, PreparedDelivery)>, StoreError> {
    let rows = Entity::find()
        .filter(Column::RowId.gt(after))
        .filter(Column::RowId.lte(upto))
        .order_by_asc(Column::RowId)
        .limit(limit)
        .all(db)
        .await?;
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return Ok(Vec::new()) };
    let (first, last) = (first.row_id, last.row_id);
    let gaps = log_gap::Entity::find().filter(log_gap::Column::NextDeliveryRowId.between(first, last)).all(db).await?;
    let mut gaps: BTreeMap<i64, log_gap::Model> = gaps.into_iter().map(|gap| (gap.next_delivery_row_id, gap)).collect();
    let gone = purged_originals(db, &rows).await?;
    dictionaries.load(db, rows.iter().filter_map(|row| row.dictionary_id)).await?;
    let mut before = after;
    let mut read = Vec::with_capacity(rows.len());
    for row in rows {
        let (number, log_gap) = (row.row_id, gaps.remove(&row.row_id));
        if number != before + 1 && log_gap.is_none() {
            return Err(StoreError::Corrupt(format!("delivery {} is missing from the raw log", before + 1)));
        }
        before = number;
        let duplicate_of = row.duplicate_of.filter(|original| gone.contains(original));
        let context = ReplayContext { log_gap, duplicate_of, purged_entities: HashSet::new() };
        read.push((number, raw_delivery(row, dictionaries)?, context));
    }
    let buried = tombstones(db, first, read.iter().flat_map(|(_, incoming, _)| incoming.referenced_ids())).await?;
    let with_context = |(number, incoming, mut context): (i64, PreparedDelivery, ReplayContext)| {
        if !buried.is_empty() {
            let is_gone = |id: &Uuid| buried.get(id).is_some_and(|newest| *newest >= number);
            context.purged_entities = incoming.referenced_ids().filter(is_gone).collect();
        }
        (number, incoming.with_replay_context(context))
    };
    Ok(read.into_iter().map(with_context).collect())
}

// Those of the repeated deliveries that are not there any more.
async fn purged_originals<C: ConnectionTrait>(db: &C, rows: &[Model]) -> Result<BTreeSet<i64>, StoreError> {
    let mut originals: BTreeSet<i64> = rows.iter().filter_map(|row| row.duplicate_of).collect();
    for numbers in originals.clone().into_iter().collect::<Vec<_>>().chunks(KEYS_PER_STATEMENT) {
        let there = Entity::find().select_only().column(Column::RowId);
        let there: Vec<i64> = there.filter(Column::RowId.is_in(numbers.iter().copied())).into_tuple().all(db).await?;
        there.iter().for_each(|number| _ = originals.remove(number));
    }
    Ok(originals)
}

// Those of the named entities that were purged after these deliveries arrived, each with the newest delivery at that time.
async fn tombstones<C: ConnectionTrait>(
    db: &C,
    first: i64,
    named: impl Iterator<Item = Uuid>,
) -> Result<HashMap<Uuid, i64>, StoreError> {
    use tombstone::Column::{Id, LastDeliveryRowId};
    let mut buried = HashMap::new();
    if tombstone::Entity::find().limit(1).one(db).await?.is_none() {
        return Ok(buried);
    }
    let named: Vec<Uuid> = named.collect::<BTreeSet<Uuid>>().into_iter().collect();
    for ids in named.chunks(KEYS_PER_STATEMENT) {
        let rows = tombstone::Entity::find().filter(Id.is_in(ids.iter().copied())).filter(LastDeliveryRowId.gte(first));
        buried.extend(rows.all(db).await?.into_iter().map(|row| (row.id, row.last_delivery_row_id)));
    }
    Ok(buried)
}

fn raw_delivery(row: Model, dictionaries: &DictionaryCache) -> Result<PreparedDelivery, StoreError> {
    let corrupt = |what: &str| StoreError::Corrupt(format!("delivery {} has {what}", row.row_id));
    let damaged = |error: PayloadError| corrupt(&error.to_string());
    let headers = dictionaries.decode_headers(row.dictionary_id, row.headers).map_err(damaged)?;
    let body = dictionaries.decode_body(row.dictionary_id, row.body, row.body_size).map_err(damaged)?;
    let named: BTreeMap<String, serde_json::Value> =
        serde_json::from_str(&headers).map_err(|_| corrupt("headers that are no JSON object"))?;
    let stored = RawDelivery {
        vendor: vendor::by_name(&row.vendor).ok_or_else(|| corrupt("a vendor that this version does not know"))?,
        received_at: DateTime::from_timestamp_micros(row.received_at).ok_or_else(|| corrupt("an impossible time"))?,
        method: if row.method == "PUT" { "PUT" } else { "POST" },
        content_type: named.get("content-type").and_then(|value| value.as_str()).map(str::to_owned),
        source: row.source.into(),
        headers,
        body: body.into(),
    };
    Ok(PreparedDelivery::prepare_without_payload(Verified::from_storage(stored)))
}
