//! What the tables of the file about access have in common: names, scopes, sources.

use super::error::did_you_mean;
use super::file::FileValue;
use super::loader::{Loader, Reported};
use super::parse_access;
use crate::access::{Scopes, View};

/// Reads one table.
pub struct AccessReader<'l, 'a, 'f> {
    pub loader: &'l mut Loader<'a>,
    pub table: &'f FileValue<'f>,
    /// The names of the configured sources.
    pub sources: &'f [String],
}

/// The tables of a list of tables of the file, `[[key]]`; empty if there is none.
pub fn tables<'f>(loader: &mut Loader<'_>, parent: &FileValue<'f>, key: &str) -> Vec<FileValue<'f>> {
    let Some(list) = parent.get(key) else { return Vec::new() };
    let tables = list.items().filter(|items| items.iter().all(FileValue::is_table));
    tables.unwrap_or_else(|| {
        loader.report(&list.at, format!("must be a list of tables; write [[{}]]", list.at.key));
        Vec::new()
    })
}

impl AccessReader<'_, '_, '_> {
    /// The keys `scopes` and `sources`.
    pub fn view(&mut self) -> Result<View, Reported> {
        let (scopes, sources) = (self.scopes(), self.sources());
        Ok(View::new(scopes?, sources?))
    }

    pub fn scopes(&mut self) -> Result<Scopes, Reported> {
        let scopes = self.list("scopes", |_, name| parse_access::scope(name))?;
        let Some(scopes) = scopes.filter(|scopes| !scopes.is_empty()) else {
            return Err(self.report("scopes", "is missing; write scopes = [\"read\"]"));
        };
        Ok(scopes.iter().flat_map(|scopes| scopes.iter()).collect())
    }

    pub fn sources(&mut self) -> Result<Option<Vec<String>>, Reported> {
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

    /// The values of a list of strings, if the key is present.
    pub fn list<T>(
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

    pub fn required(&mut self, key: &str, hint: &str) -> Result<String, Reported> {
        let value = self.table.get(key);
        let Some(text) = value.as_ref().and_then(FileValue::text).filter(|text| !text.is_empty()) else {
            return Err(self.report(key, &format!("is missing; {hint}")));
        };
        self.loader.check_characters(text, &self.table.location_of(key))?;
        Ok(text.to_owned())
    }

    pub fn report(&mut self, key: &str, message: &str) -> Reported {
        let at = self.table.location_of(key);
        self.loader.report(&at, message)
    }
}
