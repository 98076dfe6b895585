//! The API keys of the file: `[[api_keys]]`. Only a digest of each secret is there.

use super::error::did_you_mean;
use super::file::FileValue;
use super::loader::{Loader, Reported};
use super::parse_access as parse;
use super::source::source_names;
use super::table::{API_KEY_SETTINGS, Setting};
use crate::access::{ApiKey, ApiKeyDigest, ApiKeyId, ApiKeyToken, Scopes, View};
use chrono::{DateTime, Utc};

const HASH_PREFIX: &str = "sha256:";
/// The command that makes a key for the file.
const HINT: &str = "`inspection-hub keys create --print-settings` prints it";

/// All keys of the file.
pub fn read_api_keys(loader: &mut Loader<'_>, file: &FileValue<'_>) -> Vec<ApiKey> {
    let Some(list) = file.get("api_keys") else { return Vec::new() };
    let Some(tables) = list.items().filter(|items| items.iter().all(FileValue::is_table)) else {
        loader.report(&list.at, "must be a list of tables; write [[api_keys]]");
        return Vec::new();
    };
    let sources = source_names(file);
    let mut keys: Vec<ApiKey> = Vec::new();
    for table in tables {
        let Ok(key) = (ApiKeyReader { loader, table: &table, sources: &sources }).key() else { continue };
        if keys.iter().any(|earlier| earlier.id == key.id) {
            loader.report(&table.location_of("id"), "is the id of an earlier key; remove one of them");
        }
        keys.push(key);
    }
    keys
}

struct ApiKeyReader<'l, 'a, 'f> {
    loader: &'l mut Loader<'a>,
    table: &'f FileValue<'f>,
    /// The names of the configured sources.
    sources: &'f [String],
}

impl ApiKeyReader<'_, '_, '_> {
    // Everything is read before the first `?`, so that all mistakes are found.
    fn key(&mut self) -> Result<ApiKey, Reported> {
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

    fn scopes(&mut self) -> Result<Scopes, Reported> {
        let scopes = self.list("scopes", |_, name| parse::scope(name))?;
        let Some(scopes) = scopes.filter(|scopes| !scopes.is_empty()) else {
            return Err(self.report("scopes", "is missing; write scopes = [\"read\"]"));
        };
        Ok(scopes.iter().flat_map(|scopes| scopes.iter()).collect())
    }

    fn sources(&mut self) -> Result<Option<Vec<String>>, Reported> {
        let sources = self.list("sources", |known, name| {
            let is_known = known.iter().any(|known| known == name);
            let message = || format!("{name:?} is not a source of the file{}", did_you_mean(name, known));
            if is_known { Ok(name.to_owned()) } else { Err(message()) }
        })?;
        match sources {
            Some(sources) if sources.is_empty() => {
                Err(self.report("sources", "is empty; name a source, or remove it for all sources"))
            }
            sources => Ok(sources),
        }
    }

    fn expires_at(&mut self) -> Result<Option<DateTime<Utc>>, Reported> {
        let Some(value) = self.table.get("expires") else { return Ok(None) };
        // TOML has times of its own, which need no quotes.
        let text = value.scalar().unwrap_or_default();
        parse::time(&text).map(Some).map_err(|problem| self.loader.report(&value.at, problem))
    }

    /// The values of a list of strings, if the key is present.
    fn list<T>(
        &mut self,
        key: &str,
        read: impl Fn(&[String], &str) -> Result<T, String>,
    ) -> Result<Option<Vec<T>>, Reported> {
        let Some(list) = self.table.get(key) else { return Ok(None) };
        let Some(items) = list.items() else {
            return Err(self.loader.report(&list.at, format!("must be a list; write {key} = [\"…\"]")));
        };
        // All items are read, so that all mistakes are found.
        let mut value = |item: &FileValue<'_>| {
            let text = item.text().ok_or_else(|| self.loader.report(&item.at, "must be a string"))?;
            read(self.sources, text).map_err(|problem| self.loader.report(&item.at, problem))
        };
        let values: Vec<Result<T, Reported>> = items.iter().map(&mut value).collect();
        values.into_iter().collect::<Result<_, _>>().map(Some)
    }

    fn required(&mut self, key: &str, hint: &str) -> Result<String, Reported> {
        let value = self.table.get(key);
        let Some(text) = value.as_ref().and_then(FileValue::text).filter(|text| !text.is_empty()) else {
            return Err(self.report(key, &format!("is missing; {hint}")));
        };
        self.loader.check_characters(text, &self.table.location_of(key))?;
        Ok(text.to_owned())
    }

    fn report(&mut self, key: &str, message: &str) -> Reported {
        let at = self.table.location_of(key);
        self.loader.report(&at, message)
    }
}
