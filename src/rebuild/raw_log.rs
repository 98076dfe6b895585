//! Reads the raw log for a replay: deliveries and commands in the order in which they were first applied.

use crate::command::{Act, NewCommand};
use crate::ingest::{LogRecord, ReplayContext};
use crate::store::{DictionaryCache, PayloadError, StoreError};
use crate::vendor;
use crate::vendor::verify::{RawDelivery, Verified};
use chrono::DateTime;
use entity::delivery::{Column, Entity, Model};
use entity::{change_row, command, ledger, log_gap, purged_ledger, tombstone};
use sea_orm::entity::prelude::Uuid;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// Keys in one look-up.
const KEYS_PER_STATEMENT: usize = 500;

/// The row id of the newest record, a delivery or a command; 0 if there is none.
pub async fn newest_record<C: ConnectionTrait>(db: &C) -> Result<i64, StoreError> {
    let delivery = Entity::find().select_only().column(Column::RowId).order_by_desc(Column::RowId).limit(1);
    let command = command::Entity::find().select_only().column(command::Column::RowId);
    let command = command.order_by_desc(command::Column::RowId).limit(1);
    let delivery: Option<i64> = delivery.into_tuple().one(db).await?;
    let command: Option<i64> = command.into_tuple().one(db).await?;
    Ok(delivery.max(command).unwrap_or_default())
}

/// The row id of the oldest record; none if there is none.
pub async fn oldest_record<C: ConnectionTrait>(db: &C) -> Result<Option<i64>, StoreError> {
    let delivery = Entity::find().select_only().column(Column::RowId).order_by_asc(Column::RowId).limit(1);
    let command = command::Entity::find().select_only().column(command::Column::RowId);
    let command = command.order_by_asc(command::Column::RowId).limit(1);
    let delivery: Option<i64> = delivery.into_tuple().one(db).await?;
    let command: Option<i64> = command.into_tuple().one(db).await?;
    Ok(delivery.into_iter().chain(command).min())
}

/// The number of stored deliveries, by the ledger.
pub async fn delivery_count<C: ConnectionTrait>(db: &C) -> Result<i64, StoreError> {
    let rows = ledger::Entity::find().all(db).await?;
    let received: i64 = rows.iter().map(|row| row.received - row.duplicates).sum();
    Ok(received - purged_delivery_count(db).await?)
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

/// The records after one row id up to another, deliveries parsed by today's adapters; at most `limit`, each with its row id. Fails
/// if a record is missing that was not purged, or is damaged, or cannot be applied at all.
pub async fn records_after<C: ConnectionTrait>(
    db: &C,
    dictionaries: &DictionaryCache,
    after: i64,
    upto: i64,
    limit: u64,
) -> Result<Vec<(i64, LogRecord)>, StoreError> {
    let number = Column::RowId;
    let deliveries = Entity::find().filter(number.gt(after)).filter(number.lte(upto)).order_by_asc(number).limit(limit);
    let mut deliveries = deliveries.all(db).await?;
    let number = command::Column::RowId;
    let commands = command::Entity::find().filter(number.gt(after)).filter(number.lte(upto)).order_by_asc(number);
    let mut commands = commands.limit(limit).all(db).await?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut numbers: Vec<i64> = deliveries.iter().map(|row| row.row_id).collect();
    numbers.extend(commands.iter().map(|row| row.row_id));
    numbers.sort_unstable();
    numbers.truncate(limit);
    let (Some(first), Some(last)) = (numbers.first().copied(), numbers.last().copied()) else { return Ok(Vec::new()) };
    deliveries.retain(|row| row.row_id <= last);
    commands.retain(|row| row.row_id <= last);
    let gaps = log_gap::Entity::find().filter(log_gap::Column::NextDeliveryRowId.between(first, last)).all(db).await?;
    let mut gaps: BTreeMap<i64, log_gap::Model> = gaps.into_iter().map(|gap| (gap.next_delivery_row_id, gap)).collect();
    let gone = purged_originals(db, &deliveries).await?;
    dictionaries.load(db, deliveries.iter().filter_map(|row| row.dictionary_id)).await?;
    let originals: HashMap<i64, i64> = deliveries
        .iter()
        .filter_map(|row| Some((row.row_id, row.duplicate_of.filter(|original| gone.contains(original))?)))
        .collect();
    let mut records: Vec<(i64, LogRecord)> = Vec::with_capacity(numbers.len());
    for row in deliveries {
        records.push((row.row_id, raw_delivery(row, dictionaries)?));
    }
    for row in commands {
        records.push((row.row_id, raw_command(row)?));
    }
    records.sort_unstable_by_key(|(number, _)| *number);
    let buried = tombstones(db, first, records.iter().flat_map(|(_, record)| record.referenced_ids())).await?;
    let mut before = after;
    let mut read = Vec::with_capacity(records.len());
    for (number, record) in records {
        let log_gap = gaps.remove(&number);
        if number != before + 1 && log_gap.is_none() {
            return Err(StoreError::Corrupt(format!("delivery or command {} is missing from the raw log", before + 1)));
        }
        before = number;
        let is_gone = |id: &Uuid| buried.get(id).is_some_and(|newest| *newest >= number);
        let purged_entities = match buried.is_empty() {
            true => HashSet::new(),
            false => record.referenced_ids().filter(is_gone).collect(),
        };
        let context = ReplayContext { log_gap, duplicate_of: originals.get(&number).copied(), purged_entities };
        read.push((number, record.with_replay_context(context)));
    }
    Ok(read)
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

fn raw_command(row: command::Model) -> Result<LogRecord, StoreError> {
    let corrupt = |what: &str| StoreError::Corrupt(format!("command {} has {what}", row.row_id));
    Ok(LogRecord::command(NewCommand {
        act: Act::from_stored(row.kind, &row.input).map_err(|_| corrupt("an input that this version does not know"))?,
        vendor: vendor::by_name(&row.vendor).ok_or_else(|| corrupt("a vendor that this version does not know"))?,
        received_at: DateTime::from_timestamp_micros(row.received_at).ok_or_else(|| corrupt("an impossible time"))?,
        source: row.source,
        actor: row.actor,
        reason: row.reason,
        idempotency: None,
    }))
}

fn raw_delivery(row: Model, dictionaries: &DictionaryCache) -> Result<LogRecord, StoreError> {
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
    Ok(LogRecord::prepare_without_payload(Verified::from_storage(stored)))
}
