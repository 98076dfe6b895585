//! Persisted queries: documents found by a hash or an id. Clients register some (Apollo's automatic persisted queries); others
//! come with the configuration (trusted documents).

use super::document::{Document, DocumentCache};
use super::params::DocumentRef;
use super::text_cache::TextCache;
use crate::graphql::{ApiError, ApiErrorCode};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::Arc;

/// Documents that clients may register, and their bytes together.
const MAX_REGISTERED: usize = 1_000;
const MAX_REGISTERED_BYTES: usize = 4 << 20;

/// The documents of the configuration.
#[derive(Debug, Default)]
pub struct TrustedDocuments {
    by_id: HashMap<Box<str>, Arc<str>>,
    /// Whether all others are refused.
    trusted_only: bool,
}

/// Why a file of trusted documents is invalid.
#[derive(Debug, thiserror::Error)]
pub enum TrustedDocumentsError {
    #[error("it must be a JSON object of ids and documents: {0}")]
    Json(#[from] serde_json::Error),
    #[error("the document \"{id}\": {why}")]
    Document { id: String, why: String },
}

impl TrustedDocuments {
    /// Parses a JSON object from ids or hashes to documents. Each document is also found by its SHA-256.
    ///
    /// # Errors
    /// If it is not such an object, or a request would be refused for one of the documents.
    pub fn from_json(json: &str, trusted_only: bool) -> Result<TrustedDocuments, TrustedDocumentsError> {
        let documents: HashMap<String, Arc<str>> = serde_json::from_str(json)?;
        let mut by_id = HashMap::new();
        for (id, text) in documents {
            if let Err(error) = Document::parse(&text) {
                return Err(TrustedDocumentsError::Document { id, why: error.message });
            }
            by_id.insert(sha256_hex(&text).into(), text.clone());
            by_id.insert(strip_hash_prefix(&id).into(), text);
        }
        Ok(TrustedDocuments { by_id, trusted_only })
    }
}

#[derive(Debug)]
pub struct PersistedQueries {
    trusted: TrustedDocuments,
    /// By hash, in lower case.
    registered: TextCache<Box<str>, Arc<str>>,
}

/// The text that a request refers to, and the hash to register it by once it is known to be valid.
#[derive(Debug, PartialEq, Eq)]
pub struct ResolvedDocument {
    pub text: Arc<str>,
    pub hash_to_register: Option<Box<str>>,
}

impl PersistedQueries {
    pub fn new(trusted: TrustedDocuments) -> PersistedQueries {
        PersistedQueries { trusted, registered: TextCache::new(MAX_REGISTERED, MAX_REGISTERED_BYTES) }
    }

    /// Finds the document that a request refers to.
    ///
    /// # Errors
    /// If no document has this hash or id, the hash is not that of the text, or only trusted documents are allowed and it is
    /// not one.
    pub fn resolve(&self, requested: DocumentRef<'_>) -> Result<ResolvedDocument, ApiError> {
        let name = requested.id.or(requested.hash).map(strip_hash_prefix);
        let Some(text) = requested.text else {
            let name = name.unwrap_or_default();
            let text = self.trusted.by_id.get(name).cloned().or_else(|| self.registered(name));
            return text.map(|text| ResolvedDocument { text, hash_to_register: None }).ok_or_else(not_found);
        };
        let actual = (requested.hash.is_some() || self.trusted.trusted_only).then(|| sha256_hex(text));
        if let Some(claimed) = requested.hash.map(strip_hash_prefix)
            && actual.as_deref().is_none_or(|actual| !actual.eq_ignore_ascii_case(claimed))
        {
            return Err(ApiError::bad_request(
                "`extensions.persistedQuery.sha256Hash` is not the hash of `query`",
                "It is the SHA-256 of the document's UTF-8 bytes, in hex.",
            ));
        }
        if self.trusted.trusted_only && !actual.as_deref().is_some_and(|actual| self.trusted.by_id.contains_key(actual))
        {
            return Err(ApiError::new(
                ApiErrorCode::Forbidden,
                "this hub accepts only the operations that it was configured with",
                "Send the hash or id of one of them, or ask the operator to add yours.",
            ));
        }
        let new_hash = requested.hash.and(actual).filter(|hash| self.registered(hash).is_none());
        Ok(ResolvedDocument { text: text.clone(), hash_to_register: new_hash.map(String::into_boxed_str) })
    }

    pub fn register(&self, hash: Box<str>, text: &Arc<str>) {
        self.registered.insert(hash, text.clone(), text.len());
    }

    fn registered(&self, hash: &str) -> Option<Arc<str>> {
        self.registered.get(hash.to_ascii_lowercase().as_str())
    }

    /// Parses all trusted documents into the cache.
    pub fn warm(&self, documents: &DocumentCache) {
        for text in self.trusted.by_id.values() {
            // It was parsed when the configuration was read.
            let _ = documents.get(text);
        }
    }
}

/// An id may name its hash function, as in the appendix "Persisted Documents" of GraphQL over HTTP.
fn strip_hash_prefix(name: &str) -> &str {
    name.strip_prefix("sha256:").unwrap_or(name)
}

fn not_found() -> ApiError {
    // The text that Apollo's clients recognise.
    let message = "PersistedQueryNotFound";
    ApiError::new(ApiErrorCode::PersistedQueryNotFound, message, "Send the document together with its hash.")
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
    fn a_document_is_registered_with_its_hash_and_found_by_it() {
        let queries = PersistedQueries::new(TrustedDocuments::default());
        assert_eq!(queries.resolve(by_hash(HASH, None)), Err(not_found()));
        let text = TEXT.into();
        let resolved = queries.resolve(by_hash(HASH, Some(&text))).expect("resolved");
        assert_eq!(resolved.hash_to_register.as_deref(), Some(HASH));
        assert_eq!(queries.resolve(by_hash(HASH, None)), Err(not_found()), "not before it is known to be valid");
        queries.register(HASH.into(), &resolved.text);
        assert_eq!(queries.resolve(by_hash(HASH, None)).expect("known").text, text);
        assert_eq!(queries.resolve(by_hash(&HASH.to_uppercase(), None)).expect("known").text, text);
        assert_eq!(queries.resolve(by_hash(HASH, Some(&text))).expect("known").hash_to_register, None);
        assert_eq!(
            queries.resolve(by_hash("ab", Some(&text))).map_err(|error| error.code),
            Err(ApiErrorCode::BadRequest)
        );
    }

    #[test]
    fn registered_documents_are_bounded() {
        let queries = PersistedQueries::new(TrustedDocuments::default());
        for number in 0..MAX_REGISTERED + 10 {
            queries.register(number.to_string().into(), &TEXT.into());
        }
        assert!(queries.registered("0").is_none() && queries.registered("1009").is_some());
        queries.register("large".into(), &" ".repeat(MAX_REGISTERED_BYTES).into());
        assert!(queries.registered("1009").is_none() && queries.registered("large").is_some());
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
        assert_eq!(open.resolve(id("Tail")), Err(not_found()));
        let plain = |text| DocumentRef { text: Some(text), hash: None, id: None };
        assert!(open.resolve(plain(&other)).is_ok());
        let strict = PersistedQueries::new(TrustedDocuments::from_json(&json, true).expect("trusted"));
        assert!(strict.resolve(plain(&text)).is_ok());
        assert_eq!(strict.resolve(plain(&other)).map_err(|error| error.code), Err(ApiErrorCode::Forbidden));
        assert!(TrustedDocuments::from_json("{\"Bad\": \"{\"}", false).is_err());
        assert!(TrustedDocuments::from_json("[]", false).is_err());
    }
}
