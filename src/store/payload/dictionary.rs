//! The dictionaries: those that this version compresses with, one for each vendor, and those that a database has.
//!
//! The id of a dictionary is a digest of its content. So every version, and every process, gives the same dictionary the same id
//! without asking another, and a stored dictionary that was damaged is recognized.

use super::PayloadError;
use super::codec::{WRONG_SIZE, decompress};
use crate::store::StoreError;
use crate::sync::lock;
use entity::payload_dictionary::{Column, Entity};
use rust_embed::RustEmbed;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, LazyLock, Mutex};
use zstd_safe::{CDict, DDict};

/// zstd's default. On simulated webhooks, level 9 takes four times as long for 1 % fewer bytes, level 19 thirty times for 6 %.
const COMPRESSION_LEVEL: i32 = 3;
/// More than any request's headers as JSON: hyper accepts less than half a megabyte of them.
const MAX_HEADERS_BYTES: usize = 4 << 20;

/// A file for each vendor, trained by `simulate/tests/dictionaries.rs` from samples and simulated traffic.
#[derive(RustEmbed)]
#[folder = "src/store/payload/dictionaries"]
struct DictionaryFiles;

/// By vendor.
static DICTIONARIES: LazyLock<BTreeMap<String, VendorDictionary>> = LazyLock::new(|| {
    let read = |file: Cow<'static, str>| {
        let vendor = file.strip_suffix(".dict")?.to_owned();
        Some((vendor.clone(), VendorDictionary::new(vendor, DictionaryFiles::get(&file)?.data)?))
    };
    DictionaryFiles::iter().filter_map(read).collect()
});

/// A dictionary that this version compresses with.
pub struct VendorDictionary {
    pub id: i32,
    pub vendor: String,
    pub content: Cow<'static, [u8]>,
    pub(super) encoder: CDict<'static>,
}

impl VendorDictionary {
    /// None if there is no memory.
    pub fn new(vendor: String, content: Cow<'static, [u8]>) -> Option<VendorDictionary> {
        let encoder = CDict::try_create(&content, COMPRESSION_LEVEL)?;
        Some(VendorDictionary { id: id_of(&content), vendor, content, encoder })
    }

    /// The dictionary of a vendor; None if it has none.
    pub fn of(vendor: &str) -> Option<&'static VendorDictionary> {
        DICTIONARIES.get(vendor)
    }

    /// All of this version.
    pub fn all() -> impl Iterator<Item = &'static VendorDictionary> {
        DICTIONARIES.values()
    }
}

fn id_of(content: &[u8]) -> i32 {
    let digest = Sha256::digest(content);
    digest.first_chunk().map_or(0, |bytes| i32::from_be_bytes(*bytes) & i32::MAX)
}

/// Decodes payloads with the dictionaries of a database, which it reads when they are first needed.
#[derive(Clone, Default)]
pub struct DictionaryCache(Arc<Mutex<HashMap<i32, Arc<DDict<'static>>>>>);

impl std::fmt::Debug for DictionaryCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("DictionaryCache").field(&lock(&self.0).keys()).finish()
    }
}

impl DictionaryCache {
    /// Reads those of these dictionaries that it does not have yet. One that is missing or damaged is an error only of the rows
    /// that need it.
    pub async fn load<C: ConnectionTrait>(&self, db: &C, ids: impl IntoIterator<Item = i32>) -> Result<(), StoreError> {
        let missing: BTreeSet<i32> = {
            let known = lock(&self.0);
            ids.into_iter().filter(|id| !known.contains_key(id)).collect()
        };
        if missing.is_empty() {
            return Ok(());
        }
        for row in Entity::find().filter(Column::Id.is_in(missing)).all(db).await? {
            if let Some(dictionary) = DDict::try_create(&row.content).filter(|_| id_of(&row.content) == row.id) {
                lock(&self.0).insert(row.id, Arc::new(dictionary));
            }
        }
        Ok(())
    }

    /// The stored headers as they were received: JSON.
    pub fn decode_headers(&self, dictionary_id: Option<i32>, headers: Vec<u8>) -> Result<String, PayloadError> {
        const PART: &str = "headers";
        let headers = match dictionary_id {
            Some(id) => decompress(PART, &headers, self.get(id)?.as_ref(), |size| size <= MAX_HEADERS_BYTES)?,
            None => headers,
        };
        String::from_utf8(headers).map_err(|_| PayloadError::Damaged { part: PART, reason: "not UTF-8" })
    }

    /// The stored body as it was received. `body_size` is the size that the row declares.
    pub fn decode_body(
        &self,
        dictionary_id: Option<i32>,
        body: Vec<u8>,
        body_size: i64,
    ) -> Result<Vec<u8>, PayloadError> {
        const PART: &str = "body";
        let is_declared = |size: usize| i64::try_from(size) == Ok(body_size);
        match dictionary_id {
            Some(id) => decompress(PART, &body, self.get(id)?.as_ref(), is_declared),
            None if is_declared(body.len()) => Ok(body),
            None => Err(PayloadError::Damaged { part: PART, reason: WRONG_SIZE }),
        }
    }

    fn get(&self, id: i32) -> Result<Arc<DDict<'static>>, PayloadError> {
        lock(&self.0).get(&id).cloned().ok_or(PayloadError::MissingDictionary(id))
    }
}
