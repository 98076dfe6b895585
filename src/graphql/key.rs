//! Keys of one entity: the hub's id or the vendor's. Both result in the same id, because the hub's is derived from the
//! vendor's.

use super::error::ApiError;
use super::node::parse_id;
use crate::event::EntityRef;
use crate::machine::{EntityType, JobKind};
use async_graphql::{ID, InputObject, OneofObject};
use uuid::Uuid;

/// The key of an inspection or session: exactly one of these, e.g. `{ externalId: { source: "pave", externalId:
/// "SWP-7L" } }`.
#[derive(Debug, OneofObject)]
pub enum EntityKey {
    /// The hub's id, e.g. `018f3c5e-7a10-5b8c-9d21-4f6e8a0b2c3d`.
    Id(ID),
    /// The vendor's id.
    ExternalId(ExternalKey),
}

/// The vendor's id of an inspection or session.
#[derive(Debug, InputObject)]
pub struct ExternalKey {
    /// The source that receives it, e.g. `hover`: see `Source.name`.
    source: String,
    /// The vendor's id as text, e.g. `8471920`.
    external_id: String,
}

/// The key of a job: exactly one of these.
#[derive(Debug, OneofObject)]
pub enum JobKey {
    /// The hub's id, e.g. `018f3c5e-7a10-5b8c-9d21-4f6e8a0b2c3d`.
    Id(ID),
    /// The vendor's id.
    ExternalId(JobExternalKey),
}

/// The vendor's id of a job. Vendors number each kind of job separately.
#[derive(Debug, InputObject)]
pub struct JobExternalKey {
    /// The source that receives it, e.g. `hover`: see `Source.name`.
    source: String,
    /// The kind of work.
    kind: JobKind,
    /// The vendor's id as text, e.g. `8471920`.
    external_id: String,
}

impl EntityKey {
    pub fn id(self, subject: EntityType) -> Result<Uuid, ApiError> {
        match self {
            EntityKey::Id(id) => parse_id(&id),
            EntityKey::ExternalId(key) => Ok(EntityRef::new(subject, key.external_id).id(&key.source)),
        }
    }
}

impl JobKey {
    pub fn id(self) -> Result<Uuid, ApiError> {
        match self {
            JobKey::Id(id) => parse_id(&id),
            JobKey::ExternalId(key) => Ok(EntityRef::new(EntityType::Job(key.kind), key.external_id).id(&key.source)),
        }
    }
}
