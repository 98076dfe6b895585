//! The raw log, to be applied anew: deliveries in the order in which they were first applied.

use super::{Incoming, Post, StoreError};
use crate::vendor;
use crate::vendor::verify::Verified;
use chrono::DateTime;
use entity::delivery::{Column, Entity, Model};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use std::collections::BTreeMap;

/// The number of the newest delivery; 0 if there is none.
///
/// # Errors
/// If the database does not answer.
pub async fn newest<C: ConnectionTrait>(db: &C) -> Result<i64, StoreError> {
    let number = Entity::find().select_only().column(Column::Number).order_by_desc(Column::Number).limit(1);
    Ok(number.into_tuple().one(db).await?.unwrap_or_default())
}

/// The deliveries after a number, up to another, read anew; at most `limit`.
///
/// # Errors
/// If the database does not answer, or one of them is missing or cannot be applied at all.
pub async fn after<C: ConnectionTrait>(db: &C, after: i64, upto: i64, limit: u64) -> Result<Vec<Incoming>, StoreError> {
    let rows = Entity::find()
        .filter(Column::Number.gt(after))
        .filter(Column::Number.lte(upto))
        .order_by_asc(Column::Number)
        .limit(limit)
        .all(db)
        .await?;
    let numbered = rows.into_iter().zip(after + 1..);
    numbered
        .map(|(row, number)| match row.number == number {
            true => incoming(row),
            false => Err(StoreError::Corrupt(format!("delivery {number} is missing from the raw log"))),
        })
        .collect()
}

fn incoming(row: Model) -> Result<Incoming, StoreError> {
    let corrupt = |what: &str| StoreError::Corrupt(format!("delivery {} has {what}", row.number));
    let named: BTreeMap<String, serde_json::Value> =
        serde_json::from_str(&row.headers).map_err(|_| corrupt("headers that are no JSON object"))?;
    let post = Post {
        vendor: vendor::by_name(&row.vendor).ok_or_else(|| corrupt("a vendor that this version does not know"))?,
        received_at: DateTime::from_timestamp_micros(row.received_at).ok_or_else(|| corrupt("an impossible time"))?,
        method: if row.method == "PUT" { "PUT" } else { "POST" },
        content_type: named.get("content-type").and_then(|value| value.as_str()).map(str::to_owned),
        source: row.source.into(),
        headers: row.headers,
        body: row.body.into(),
    };
    let body = post.body.clone();
    Ok(Incoming::read(&Verified::before(&body), post).without_bytes())
}
