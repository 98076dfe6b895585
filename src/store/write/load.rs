//! What a batch must know before it can be folded: plain look-ups by key.

use super::bulk::select_in;
use super::rows::{entity_of, step_of};
use crate::event::Entity;
use crate::machine::Machine;
use crate::machine::fold::Step;
use crate::store::StoreError;
use entity::{Verdict, log_head, step};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder};
use std::collections::HashMap;
use uuid::Uuid;

/// The counters.
pub async fn head<C: ConnectionTrait>(db: &C) -> Result<log_head::Model, StoreError> {
    crate::store::read::head(db).await
}

/// The entities with these ids, as far as they are stored.
pub async fn entities<C: ConnectionTrait>(db: &C, ids: Vec<Uuid>) -> Result<Vec<Entity>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows = select_in(db, "SELECT * FROM entity WHERE id", ids.into_iter().map(Into::into).collect()).await?;
    rows.iter().map(|row| entity_of(entity::entity::Model::from_query_result(row, "")?)).collect()
}

/// The ids of the entities that hang on this one and have no inspection yet.
pub async fn unlinked_children<C: ConnectionTrait>(db: &C, parent: i64) -> Result<Vec<Uuid>, StoreError> {
    use entity::entity::{Column, Entity};
    let children = Entity::find().filter(Column::Parent.eq(parent)).filter(Column::Inspection.is_null());
    Ok(children.all(db).await?.into_iter().map(|child| child.id).collect())
}

/// All steps of an entity, in the order of the fold.
pub async fn steps<C: ConnectionTrait>(db: &C, machine: &Machine, entity: i64) -> Result<Vec<Step>, StoreError> {
    let rows =
        step::Entity::find().filter(step::Column::Entity.eq(entity)).order_by_asc(step::Column::Seq).all(db).await?;
    rows.into_iter().map(|row| step_of(row, machine)).collect()
}

/// A delivery that has brought some news before.
#[derive(Clone, Debug)]
pub struct First {
    pub number: i64,
    pub verdict: Verdict,
    pub reason: String,
}

/// The deliveries that brought this news, by digest and cycle.
pub async fn firsts<C: ConnectionTrait>(
    db: &C,
    digests: Vec<[u8; 16]>,
) -> Result<HashMap<([u8; 16], i32), First>, StoreError> {
    let query = "SELECT digest, digest_cycle, number, verdict, reason FROM delivery WHERE digest";
    let keys = digests.into_iter().map(|digest| digest.to_vec().into()).collect();
    let mut firsts = HashMap::new();
    for row in select_in(db, query, keys).await? {
        let digest: Vec<u8> = row.try_get_by_index(0)?;
        let digest = digest.try_into().map_err(|_| StoreError::Corrupt("a digest is not 16 bytes long".into()))?;
        let cycle: i32 = row.try_get_by_index(1)?;
        let first = First {
            number: row.try_get_by_index(2)?,
            verdict: row.try_get_by_index(3)?,
            reason: row.try_get_by_index(4)?,
        };
        firsts.insert((digest, cycle), first);
    }
    Ok(firsts)
}
