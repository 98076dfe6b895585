//! Splits rows of history into what differs and what repeats (`change_row` and `change_type`).
//!
//! The number of a type is a digest of its columns, not a sequence: writers need not agree on numbers, and a rebuild yields the
//! same rows. It is 64 bits, as a dedup key is.

#[cfg(test)]
mod tests;

use entity::{ReasonCode, Status, change, change_row, change_type};
use hashlink::LruCache;
use sha2::{Digest, Sha256};
use std::collections::HashMap;

/// Types that a writer knows to be stored. A simulation of all vendors has some hundreds.
const KNOWN_TYPES: usize = 4096;
/// The longest name of an event that a type can have, in bytes.
const MAX_NAME: usize = 64;

/// The types that are stored, as far as one writing connection knows: their numbers by their content, so that a known one costs
/// no digest and no statement. A type that it does not know is written again, which changes nothing.
#[derive(Debug)]
pub struct KnownTypes {
    committed: LruCache<Box<[u8]>, i64>,
    /// Those of the open transaction.
    pending: HashMap<Box<[u8]>, i64>,
    /// The content of one type at a time.
    content: Vec<u8>,
}

/// What is stored of some rows of history.
#[derive(Debug)]
pub struct SplitChanges {
    pub rows: Vec<change_row::Model>,
    /// The types that are not known to be stored, each once.
    pub new_types: Vec<change_type::Model>,
}

impl Default for KnownTypes {
    fn default() -> Self {
        KnownTypes { committed: LruCache::new(KNOWN_TYPES), pending: HashMap::new(), content: Vec::new() }
    }
}

impl KnownTypes {
    /// Splits the changes of a transaction.
    pub fn split(&mut self, changes: &[change::Model]) -> SplitChanges {
        let mut split = SplitChanges { rows: Vec::with_capacity(changes.len()), new_types: Vec::new() };
        for change in changes {
            self.content.clear();
            write_content(change, &mut self.content);
            let known =
                self.committed.get(self.content.as_slice()).or_else(|| self.pending.get(self.content.as_slice()));
            let id = known.copied().unwrap_or_else(|| {
                let id = digest(&self.content);
                self.pending.insert(self.content.as_slice().into(), id);
                split.new_types.push(type_of(change, id));
                id
            });
            split.rows.push(row_of(change, id));
        }
        split
    }

    /// The transaction was committed.
    pub fn commit(&mut self) {
        for (content, id) in self.pending.drain() {
            self.committed.insert(content, id);
        }
    }

    /// The transaction was rolled back, or its fate is unknown.
    pub fn rollback(&mut self) {
        self.pending.clear();
    }
}

/// Whether a row has the event and the parameters of its reason itself: a text of a vendor's or an adapter's, which hardly
/// repeats and can contain anything, or the number of a delivery.
fn has_own_words(code: ReasonCode) -> bool {
    use ReasonCode::{Duplicate, NotApplicable, UnknownState, UnreadableBody, UnrecognizedEvent};
    matches!(code, Duplicate | NotApplicable | UnknownState | UnreadableBody | UnrecognizedEvent)
}

/// Whether a row has its event itself. A type has only names: letters and `_:.-`. Types are never deleted, so no other text
/// may get into them.
fn has_own_event(change: &change::Model) -> bool {
    let is_in_name = |byte: u8| byte.is_ascii_alphabetic() || b"_:.-".contains(&byte);
    let is_name = (1..=MAX_NAME).contains(&change.event.len()) && change.event.bytes().all(is_in_name);
    has_own_words(change.reason_code) || !is_name
}

fn row_of(change: &change::Model, type_id: i64) -> change_row::Model {
    change_row::Model {
        position: change.position,
        type_id,
        entity_row_id: change.entity_row_id,
        inspection_row_id: change.inspection_row_id,
        delivery_row_id: change.delivery_row_id,
        command_row_id: change.command_row_id,
        received_at: change.received_at,
        occurred_at: change.occurred_at,
        dedup_key: change.dedup_key,
        previous_step: change.previous_step,
        cycle: change.cycle,
        order_cycle: change.order_cycle,
        event: has_own_event(change).then(|| change.event.clone()),
        reason_params: change.reason_params.clone().filter(|_| has_own_words(change.reason_code)),
    }
}

fn type_of(change: &change::Model, id: i64) -> change_type::Model {
    change_type::Model {
        id,
        kind: change.kind,
        source: change.source.clone(),
        vendor: change.vendor.clone(),
        event: if has_own_event(change) { String::new() } else { change.event.clone() },
        verdict: change.verdict,
        reason_code: change.reason_code,
        reason_params: change.reason_params.clone().filter(|_| !has_own_words(change.reason_code)),
        warnings: change.warnings.clone(),
        from_state: change.from_state.clone(),
        to_state: change.to_state.clone(),
        from_status: change.from_status,
        to_status: change.to_status,
        target_state: change.target_state.clone(),
        at_least: change.at_least,
        order_rank: change.order_rank,
    }
}

/// All columns of the type, with fixed widths and length prefixes. **Never changed**: databases have digests of it.
fn write_content(change: &change::Model, content: &mut Vec<u8>) {
    let status = |status: Option<Status>| status.map_or(0, Status::number);
    for number in [
        change.kind.number(),
        change.verdict.number(),
        change.reason_code.number(),
        status(change.from_status),
        status(change.to_status),
        change.at_least.into(),
    ] {
        content.extend(number.to_be_bytes());
    }
    content.extend(change.order_rank.to_be_bytes());
    for text in [
        change.source.as_deref(),
        change.vendor.as_deref(),
        Some(if has_own_event(change) { "" } else { change.event.as_str() }),
        change.reason_params.as_deref().filter(|_| !has_own_words(change.reason_code)),
        change.warnings.as_deref(),
        change.from_state.as_deref(),
        change.to_state.as_deref(),
        change.target_state.as_deref(),
    ] {
        // Null is the length 0; a text of n bytes the length n + 1.
        content.extend(text.map_or(0, |text| text.len() as u64 + 1).to_be_bytes());
        content.extend(text.map(str::as_bytes).unwrap_or_default());
    }
}

/// The first 64 bits of SHA-256. **Never changed**: databases have these numbers.
fn digest(content: &[u8]) -> i64 {
    let mut bits = [0; 8];
    bits.iter_mut().zip(Sha256::digest(content)).for_each(|(byte, hashed)| *byte = hashed);
    i64::from_be_bytes(bits)
}

#[cfg(test)]
fn type_id(change: &change::Model) -> i64 {
    let mut content = Vec::new();
    write_content(change, &mut content);
    digest(&content)
}

/// Inserts one row of history, as the writer would.
#[cfg(test)]
pub async fn insert_change(db: &sea_orm::DatabaseConnection, change: &change::Model) {
    use sea_orm::{ActiveModelTrait, EntityTrait, IntoActiveModel, sea_query::OnConflict};
    let id = type_id(change);
    let (row, kind) = (row_of(change, id), type_of(change, id));
    let unless_stored = OnConflict::column(change_type::Column::Id).do_nothing().to_owned();
    let kind = change_type::Entity::insert(kind.into_active_model().reset_all()).on_conflict(unless_stored);
    kind.exec_without_returning(db).await.expect("its type");
    change_row::Entity::insert(row.into_active_model().reset_all()).exec_without_returning(db).await.expect("inserted");
}
