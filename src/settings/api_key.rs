//! The API keys of the file: `[[api_keys]]`. Only a digest of each secret is there.

use super::access_reader::{self, AccessReader};
use super::file::FileValue;
use super::loader::{Loader, Reported};
use super::parse_access;
use super::source::source_names;
use super::table::{API_KEY_SETTINGS, Setting};
use crate::access::{ApiKey, ApiKeyDigest, ApiKeyId, ApiKeyToken, View};
use chrono::{DateTime, Utc};

const HASH_PREFIX: &str = "sha256:";
/// The command that makes a key for the file.
const HINT: &str = "`inspection-hub keys create --print-settings` prints it";

/// All keys of the file.
pub fn read_api_keys(loader: &mut Loader<'_>, file: &FileValue<'_>) -> Vec<ApiKey> {
    let tables = access_reader::tables(loader, file, "api_keys");
    let sources = source_names(file);
    let mut keys: Vec<ApiKey> = Vec::new();
    for table in tables {
        let Ok(key) = (AccessReader { loader, table: &table, sources: &sources }).api_key() else { continue };
        if keys.iter().any(|earlier| earlier.id == key.id) {
            loader.report(&table.location_of("id"), "is the id of an earlier key; remove one of them");
        }
        keys.push(key);
    }
    keys
}

impl AccessReader<'_, '_, '_> {
    // Everything is read before the first `?`, so that all mistakes are found.
    fn api_key(&mut self) -> Result<ApiKey, Reported> {
        let known: Vec<&str> = API_KEY_SETTINGS.iter().map(|setting: &Setting| setting.key).collect();
        self.loader.report_unknown_keys(self.table, &known);
        let (id, name, digest) = (self.id(), self.name(), self.digest());
        let (scopes, sources, expires_at) = (self.scopes(), self.sources(), self.expires_at());
        let view = View::new(scopes?, sources?);
        Ok(ApiKey { id: id?, name: name?, digest: digest?, view, expires_at: expires_at? })
    }

    fn id(&mut self) -> Result<ApiKeyId, Reported> {
        let id = self.required("id", HINT)?;
        id.parse().map_err(|_| self.report("id", &format!("must be the 12 digits after `ihub_`; {HINT}")))
    }

    fn name(&mut self) -> Result<String, Reported> {
        let name = self.required("name", "write what the key is for")?;
        ApiKey::check_name(&name).map_err(|problem| self.report("name", &format!("is not a name: {problem}")))?;
        Ok(name)
    }

    // The value is not quoted: it may be the key itself.
    fn digest(&mut self) -> Result<ApiKeyDigest, Reported> {
        let hash = self.required("hash", HINT)?;
        if hash.parse::<ApiKeyToken>().is_ok() {
            let message = format!("is the key itself, which must not be in the file; {HINT} for a new key");
            return Err(self.report("hash", &message));
        }
        let digest = hash.strip_prefix(HASH_PREFIX).and_then(|digest| digest.parse().ok());
        let write = format!("must be {HASH_PREFIX} and 64 hexadecimal digits in lower case; {HINT}");
        digest.ok_or_else(|| self.report("hash", &write))
    }

    fn expires_at(&mut self) -> Result<Option<DateTime<Utc>>, Reported> {
        let Some(value) = self.table.get("expires") else { return Ok(None) };
        // TOML has times of its own, which need no quotes.
        let text = value.scalar().unwrap_or_default();
        parse_access::time(&text).map(Some).map_err(|problem| self.loader.report(&value.at, problem))
    }
}
