//! What the API reads, one file per question. A question about many rows takes many keys and answers with one statement.

mod age_counts;
mod as_of;
mod as_of_join;
mod as_of_list;
mod changes;
mod children;
mod commands;
mod daily_counts;
mod deliveries;
mod entities;
mod filter;
mod history;
mod hourly_counts;
mod pagination;
mod projection;
mod public_ids;
mod rejections;
mod replicas;
mod source_rates;
mod sources;
mod status_rates;
mod status_timeline;
mod update_order;

pub use age_counts::counts_by_age;
pub use as_of::{SnapshotRow, TimeAxis, as_of, as_of_by_id};
pub use as_of_join::row_id_as_of;
pub use as_of_list::{AsOfList, EntityAsOf};
pub use changes::{
    ChangeWithEntity, Identity, changes_after, ensure_retained_after, head, identities, with_identities,
};
pub use children::{ChildRelation, ChildrenQuery, children, count_children};
pub use commands::{commands_by_row_id, comments, count_comments};
pub use daily_counts::{UtcOffsets, counts_by_day};
pub use deliveries::{
    DeliveryProjection, DeliveryRow, LogTableName, changes_of_records, count_deliveries, deliveries,
    deliveries_by_row_id,
};
pub use entities::{EntityOrder, count_entities, entities, entities_by_id, entities_by_row_id, status_counts};
pub use filter::{
    ChangeRowFilter, DeliveryRowFilter, EntityFilter, FINAL_STATUSES, GroupSources, LabelFilter, Overdue, StateGroup,
};
pub use history::{changes, changes_by_position, count_changes, count_histories, histories};
pub use hourly_counts::{counts_by_hour, counts_by_quarter};
pub use pagination::{PageRequest, PagingDirection, Slice, SortDirection};
pub use projection::{EntityProjection, EntityRow};
pub use public_ids::{
    api_key_id, api_key_node_id, change_id, change_position, command_id, command_row_id, comment_id, comment_row_id,
    delivery_id, delivery_row_id,
};
pub use rejections::{
    RejectionFilter, RejectionKey, count_rejections, is_rejection_visible, rejections, rejections_by_id,
};
pub use replicas::{DatabaseKind, database_kind, database_size, database_version, replicas};
pub use source_rates::source_rates;
pub use sources::{handshakes, last_verdicts, ledgers};
pub use status_rates::status_rates;
pub use status_timeline::{StatusInterval, StatusTimeline, status_timelines};

use super::{ReadPool, StoreError};
use chrono::{DateTime, Utc};
use sea_orm::sea_query::Expr;
use sea_orm::{EntityTrait, QuerySelect, Select, TryGetable};

/// The moment of a column of microseconds since the Unix epoch.
pub fn datetime_from_micros(micros: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(micros).unwrap_or_default()
}

/// The number of rows in each group.
async fn count_by<E: EntityTrait, K: TryGetable, T: FromIterator<(K, i64)>>(
    db: &ReadPool,
    rows: Select<E>,
    group: E::Column,
) -> Result<T, StoreError> {
    let counts = rows.select_only().column(group).expr_as(Expr::cust("COUNT(*)"), "count").group_by(group);
    Ok(counts.into_tuple::<(K, i64)>().all(db).await?.into_iter().collect())
}
