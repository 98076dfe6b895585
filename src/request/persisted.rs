//! Documents that are known by a hash or an id: those that clients have taught the hub (Apollo's automatic persisted
//! queries), and those that it was configured with (trusted documents).

use super::document::{Document, DocumentCache};
use super::params::DocumentRef;
use crate::graphql::ApiError;
use hashlink::LruCache;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Documents that clients may teach, and their bytes together. The one not asked for for longest is forgotten.
const MAX_REGISTERED: usize = 1_000;
const MAX_REGISTERED_BYTES: usize = 4 << 20;

/// The documents that a hub was configured with.
#[derive(Debug, Default)]
pub struct TrustedDocuments {
    by_id: HashMap<Box<str>, Arc<str>>,
    /// Whether all others are refused.
    trusted_only: bool,
}

/// Why a file of trusted documents cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TrustedDocumentsError {
    #[error("it must be a JSON object of ids and documents: {0}")]
    Json(#[from] serde_json::Error),
    #[error("the document \"{id}\": {why}")]
    Document { id: String, why: String },
}

impl TrustedDocuments {
    /// Reads a JSON object: an id or hash, and its document. Each document is known by its SHA-256 too.
    ///
    /// # Errors
    /// If it is no such object, or a document in it is not one that would be executed.
    pub fn from_json(json: &str, only: bool) -> Result<TrustedDocuments, TrustedDocumentsError> {
        let documents: HashMap<String, Arc<str>> = serde_json::from_str(json)?;
        let mut by_name = HashMap::new();
        for (id, text) in documents {
            if let Err(fault) = Document::parse(&text) {
                return Err(TrustedDocumentsError::Document { id, why: fault.into_server_error().message });
            }
            by_name.insert(sha256_hex(&text).into(), text.clone());
            by_name.insert(strip_hash_prefix(&id).into(), text);
        }
        Ok(TrustedDocuments { by_id: by_name, trusted_only: only })
    }
}

/// All documents that can be asked for by name.
#[derive(Debug)]
pub struct PersistedQueries {
    trusted: TrustedDocuments,
    registered: Mutex<RegisteredQueries>,
}

#[derive(Debug)]
struct RegisteredQueries {
    by_hash: LruCache<Box<str>, Arc<str>>,
    bytes: usize,
}

/// The text that a request means, and the hash to keep it by once it has proved good.
#[derive(Debug, PartialEq, Eq)]
pub struct ResolvedDocument {
    pub text: Arc<str>,
    pub hash_to_register: Option<Box<str>>,
}

impl PersistedQueries {
    pub fn new(trusted: TrustedDocuments) -> PersistedQueries {
        PersistedQueries {
            trusted,
            registered: Mutex::new(RegisteredQueries { by_hash: LruCache::new_unbounded(), bytes: 0 }),
        }
    }

    /// Which document a request means.
    ///
    /// # Errors
    /// If no document is known by this name, its text is another one's, or it is not trusted where only those are taken.
    pub fn resolve(&self, names: DocumentRef<'_>) -> Result<ResolvedDocument, ApiError> {
        let name = names.id.or(names.hash).map(strip_hash_prefix);
        let Some(text) = names.text else {
            let name = name.unwrap_or_default();
            let text = self.trusted.by_id.get(name).cloned().or_else(|| self.registered(name));
            return text
                .map(|text| ResolvedDocument { text, hash_to_register: None })
                .ok_or(ApiError::PersistedQueryNotFound);
        };
        let actual = (names.hash.is_some() || self.trusted.trusted_only).then(|| sha256_hex(text));
        if let Some(claimed) = names.hash.map(strip_hash_prefix)
            && actual.as_deref().is_none_or(|actual| !actual.eq_ignore_ascii_case(claimed))
        {
            return Err(ApiError::bad_request(
                "`extensions.persistedQuery.sha256Hash` is not the hash of `query`",
                "It is the SHA-256 of the document's UTF-8 bytes, in hex.",
            ));
        }
        if self.trusted.trusted_only && !actual.as_deref().is_some_and(|actual| self.trusted.by_id.contains_key(actual))
        {
            return Err(ApiError::Forbidden);
        }
        let teaches = names.hash.and(actual).filter(|hash| self.registered(hash).is_none()).map(String::into_boxed_str);
        Ok(ResolvedDocument { text: text.clone(), hash_to_register: teaches })
    }

    /// Keeps a document that has proved good.
    pub fn register(&self, hash: Box<str>, text: &Arc<str>) {
        let mut taught = self.registered.lock().unwrap_or_else(PoisonError::into_inner);
        taught.bytes += text.len();
        if let Some(same) = taught.by_hash.insert(hash, text.clone()) {
            taught.bytes -= same.len();
        }
        while taught.bytes > MAX_REGISTERED_BYTES || taught.by_hash.len() > MAX_REGISTERED {
            let Some((_, text)) = taught.by_hash.remove_lru() else { return };
            taught.bytes -= text.len();
        }
    }

    fn registered(&self, hash: &str) -> Option<Arc<str>> {
        let mut taught = self.registered.lock().unwrap_or_else(PoisonError::into_inner);
        let lower = hash.to_ascii_lowercase();
        taught.by_hash.get(lower.as_str()).cloned()
    }

    /// Reads all trusted documents into the cache.
    pub fn warm(&self, documents: &DocumentCache) {
        for text in self.trusted.by_id.values() {
            // They were read once already.
            let _ = documents.get(text);
        }
    }
}

/// Ids may say which hash they are, as in the appendix "Persisted Documents" of GraphQL over HTTP.
fn strip_hash_prefix(name: &str) -> &str {
    name.strip_prefix("sha256:").unwrap_or(name)
}

fn sha256_hex(text: &str) -> String {
    hex::encode(Sha256::digest(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    // printf '{ head { position } }' | sha256sum
    const TEXT: &str = "{ head { position } }";
    const HASH: &str = "f6cae3d864104c07012185b070c6891d6e4fa425db6cf3fc17d2d8d9f490171d";

    fn by_hash<'a>(hash: &'a str, text: Option<&'a Arc<str>>) -> DocumentRef<'a> {
        DocumentRef { text, hash: Some(hash), id: None }
    }

    #[test]
    fn a_document_is_taught_with_its_hash_and_asked_for_by_it() {
        let known = PersistedQueries::new(TrustedDocuments::default());
        assert_eq!(known.resolve(by_hash(HASH, None)), Err(ApiError::PersistedQueryNotFound));
        let text = TEXT.into();
        let meant = known.resolve(by_hash(HASH, Some(&text))).expect("meant");
        assert_eq!(meant.hash_to_register.as_deref(), Some(HASH));
        assert_eq!(
            known.resolve(by_hash(HASH, None)),
            Err(ApiError::PersistedQueryNotFound),
            "not before it has proved good"
        );
        known.register(HASH.into(), &meant.text);
        assert_eq!(known.resolve(by_hash(HASH, None)).expect("known").text, text);
        assert_eq!(known.resolve(by_hash(&HASH.to_uppercase(), None)).expect("known").text, text);
        assert_eq!(known.resolve(by_hash(HASH, Some(&text))).expect("known").hash_to_register, None);
        assert!(matches!(known.resolve(by_hash("ab", Some(&text))), Err(ApiError::BadRequest { .. })));
    }

    #[test]
    fn what_is_taught_is_bounded() {
        let known = PersistedQueries::new(TrustedDocuments::default());
        for number in 0..MAX_REGISTERED + 10 {
            known.register(number.to_string().into(), &TEXT.into());
        }
        assert!(known.registered("0").is_none() && known.registered("1009").is_some());
        known.register("large".into(), &" ".repeat(MAX_REGISTERED_BYTES).into());
        assert!(known.registered("1009").is_none() && known.registered("large").is_some());
    }

    #[test]
    fn trusted_documents_have_ids_and_may_be_the_only_ones() {
        let json = format!("{{\"Head\": \"{TEXT}\"}}");
        let (text, other): (Arc<str>, Arc<str>) = (TEXT.into(), "{ head { time } }".into());
        let open = PersistedQueries::new(TrustedDocuments::from_json(&json, false).expect("trusted"));
        let id = |id| DocumentRef { text: None, hash: None, id: Some(id) };
        let hashed = format!("sha256:{HASH}");
        for names in [id("Head"), id(&hashed), by_hash(HASH, None)] {
            assert_eq!(open.resolve(names).expect("known").text, text);
        }
        assert_eq!(open.resolve(id("Tail")), Err(ApiError::PersistedQueryNotFound));
        let plain = |text| DocumentRef { text: Some(text), hash: None, id: None };
        assert!(open.resolve(plain(&other)).is_ok());
        let strict = PersistedQueries::new(TrustedDocuments::from_json(&json, true).expect("trusted"));
        assert!(strict.resolve(plain(&text)).is_ok());
        assert_eq!(strict.resolve(plain(&other)), Err(ApiError::Forbidden));
        assert!(TrustedDocuments::from_json("{\"Bad\": \"{\"}", false).is_err());
        assert!(TrustedDocuments::from_json("[]", false).is_err());
    }
}
