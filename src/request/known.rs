//! Documents that are known by a hash or an id: those that clients have taught the hub (Apollo's automatic persisted
//! queries), and those that it was configured with (trusted documents).

use super::document::{Document, Documents};
use super::params::Names;
use crate::graphql::Fault;
use hashlink::LruCache;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Documents that clients may teach, and their bytes together. The one not asked for for longest is forgotten.
const TAUGHT: usize = 1_000;
const BYTES: usize = 4 << 20;

/// The documents that a hub was configured with.
#[derive(Debug, Default)]
pub struct Trusted {
    by_name: HashMap<Box<str>, Arc<str>>,
    /// Whether all others are refused.
    only: bool,
}

/// Why a file of trusted documents cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadTrusted {
    #[error("it must be a JSON object of ids and documents: {0}")]
    Json(#[from] serde_json::Error),
    #[error("the document \"{id}\": {why}")]
    Document { id: String, why: String },
}

impl Trusted {
    /// Reads a JSON object: an id or hash, and its document. Each document is known by its SHA-256 too.
    ///
    /// # Errors
    /// If it is no such object, or a document in it is not one that would be executed.
    pub fn read(json: &str, only: bool) -> Result<Trusted, BadTrusted> {
        let documents: HashMap<String, Arc<str>> = serde_json::from_str(json)?;
        let mut by_name = HashMap::new();
        for (id, text) in documents {
            if let Err(fault) = Document::read(&text) {
                return Err(BadTrusted::Document { id, why: fault.server_error().message });
            }
            by_name.insert(hash(&text).into(), text.clone());
            by_name.insert(bare(&id).into(), text);
        }
        Ok(Trusted { by_name, only })
    }
}

/// All documents that can be asked for by name.
#[derive(Debug)]
pub struct Known {
    trusted: Trusted,
    taught: Mutex<Taught>,
}

#[derive(Debug)]
struct Taught {
    by_hash: LruCache<Box<str>, Arc<str>>,
    bytes: usize,
}

/// The text that a request means, and the hash to keep it by once it has proved good.
#[derive(Debug, PartialEq, Eq)]
pub struct Meant {
    pub text: Arc<str>,
    pub teaches: Option<Box<str>>,
}

impl Known {
    pub fn new(trusted: Trusted) -> Known {
        Known { trusted, taught: Mutex::new(Taught { by_hash: LruCache::new_unbounded(), bytes: 0 }) }
    }

    /// Which document a request means.
    ///
    /// # Errors
    /// If no document is known by this name, its text is another one's, or it is not trusted where only those are taken.
    pub fn meant(&self, names: Names<'_>) -> Result<Meant, Fault> {
        let name = names.id.or(names.hash).map(bare);
        let Some(text) = names.text else {
            let name = name.unwrap_or_default();
            let text = self.trusted.by_name.get(name).cloned().or_else(|| self.taught(name));
            return text.map(|text| Meant { text, teaches: None }).ok_or(Fault::UnknownDocument);
        };
        let actual = (names.hash.is_some() || self.trusted.only).then(|| hash(text));
        if let Some(claimed) = names.hash.map(bare)
            && actual.as_deref().is_none_or(|actual| !actual.eq_ignore_ascii_case(claimed))
        {
            return Err(Fault::request(
                "`extensions.persistedQuery.sha256Hash` is not the hash of `query`",
                "It is the SHA-256 of the document's UTF-8 bytes, in hex.",
            ));
        }
        if self.trusted.only && !actual.as_deref().is_some_and(|actual| self.trusted.by_name.contains_key(actual)) {
            return Err(Fault::Untrusted);
        }
        let teaches = names.hash.and(actual).filter(|hash| self.taught(hash).is_none()).map(String::into_boxed_str);
        Ok(Meant { text: text.clone(), teaches })
    }

    /// Keeps a document that has proved good.
    pub fn learn(&self, hash: Box<str>, text: &Arc<str>) {
        let mut taught = self.taught.lock().unwrap_or_else(PoisonError::into_inner);
        taught.bytes += text.len();
        if let Some(same) = taught.by_hash.insert(hash, text.clone()) {
            taught.bytes -= same.len();
        }
        while taught.bytes > BYTES || taught.by_hash.len() > TAUGHT {
            let Some((_, text)) = taught.by_hash.remove_lru() else { return };
            taught.bytes -= text.len();
        }
    }

    fn taught(&self, hash: &str) -> Option<Arc<str>> {
        let mut taught = self.taught.lock().unwrap_or_else(PoisonError::into_inner);
        let lower = hash.to_ascii_lowercase();
        taught.by_hash.get(lower.as_str()).cloned()
    }

    /// Reads all trusted documents into the cache.
    pub fn warm(&self, documents: &Documents) {
        for text in self.trusted.by_name.values() {
            // They were read once already.
            let _ = documents.get(text);
        }
    }
}

/// Ids may say which hash they are, as in the appendix "Persisted Documents" of GraphQL over HTTP.
fn bare(name: &str) -> &str {
    name.strip_prefix("sha256:").unwrap_or(name)
}

fn hash(text: &str) -> String {
    hex::encode(Sha256::digest(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    // printf '{ head { position } }' | sha256sum
    const TEXT: &str = "{ head { position } }";
    const HASH: &str = "f6cae3d864104c07012185b070c6891d6e4fa425db6cf3fc17d2d8d9f490171d";

    fn by_hash<'a>(hash: &'a str, text: Option<&'a Arc<str>>) -> Names<'a> {
        Names { text, hash: Some(hash), id: None }
    }

    #[test]
    fn a_document_is_taught_with_its_hash_and_asked_for_by_it() {
        let known = Known::new(Trusted::default());
        assert_eq!(known.meant(by_hash(HASH, None)), Err(Fault::UnknownDocument));
        let text = TEXT.into();
        let meant = known.meant(by_hash(HASH, Some(&text))).expect("meant");
        assert_eq!(meant.teaches.as_deref(), Some(HASH));
        assert_eq!(known.meant(by_hash(HASH, None)), Err(Fault::UnknownDocument), "not before it has proved good");
        known.learn(HASH.into(), &meant.text);
        assert_eq!(known.meant(by_hash(HASH, None)).expect("known").text, text);
        assert_eq!(known.meant(by_hash(&HASH.to_uppercase(), None)).expect("known").text, text);
        assert_eq!(known.meant(by_hash(HASH, Some(&text))).expect("known").teaches, None);
        assert!(matches!(known.meant(by_hash("ab", Some(&text))), Err(Fault::Request { .. })));
    }

    #[test]
    fn what_is_taught_is_bounded() {
        let known = Known::new(Trusted::default());
        for number in 0..TAUGHT + 10 {
            known.learn(number.to_string().into(), &TEXT.into());
        }
        assert!(known.taught("0").is_none() && known.taught("1009").is_some());
        known.learn("large".into(), &" ".repeat(BYTES).into());
        assert!(known.taught("1009").is_none() && known.taught("large").is_some());
    }

    #[test]
    fn trusted_documents_have_ids_and_may_be_the_only_ones() {
        let json = format!("{{\"Head\": \"{TEXT}\"}}");
        let (text, other): (Arc<str>, Arc<str>) = (TEXT.into(), "{ head { time } }".into());
        let open = Known::new(Trusted::read(&json, false).expect("trusted"));
        let id = |id| Names { text: None, hash: None, id: Some(id) };
        let hashed = format!("sha256:{HASH}");
        for names in [id("Head"), id(&hashed), by_hash(HASH, None)] {
            assert_eq!(open.meant(names).expect("known").text, text);
        }
        assert_eq!(open.meant(id("Tail")), Err(Fault::UnknownDocument));
        let plain = |text| Names { text: Some(text), hash: None, id: None };
        assert!(open.meant(plain(&other)).is_ok());
        let strict = Known::new(Trusted::read(&json, true).expect("trusted"));
        assert!(strict.meant(plain(&text)).is_ok());
        assert_eq!(strict.meant(plain(&other)), Err(Fault::Untrusted));
        assert!(Trusted::read("{\"Bad\": \"{\"}", false).is_err());
        assert!(Trusted::read("[]", false).is_err());
    }
}
