//! The sources: one per `[sources.<name>]`, or one open source per vendor if the file has none.

use super::error::{Location, ValueOrigin, did_you_mean};
use super::file::FileValue;
use super::loader::{GivenValue, Loader, Reported};
use super::source_table::SOURCE_SETTINGS;
use super::table::{SETTINGS, setting};
use super::verify_scheme::{SourceContext, read_schemes};
use super::waiting::read_waiting_rules;
use super::{Settings, SourceSettings, parse, secrets};
use crate::ingest::ConfirmationTarget;
use crate::vendor::verify::Verifier;
use crate::vendor::{self, Vendor, VendorLink};
use std::collections::BTreeSet;

/// The vendors that ask for a confirmation of their webhooks by a call of their API.
const HANDSHAKE_VENDORS: &[&str] = &["hover"];

/// A source with its location: that of its table, or `Default` if the file has no sources.
type LocatedSource = (SourceSettings, Location);

struct SourceReader<'l, 'a, 'f> {
    loader: &'l mut Loader<'a>,
    name: &'l str,
    table: Option<FileValue<'f>>,
    at: Location,
}

/// All sources. Adds the variables that set them to the known ones.
pub fn read_sources(
    loader: &mut Loader<'_>,
    file: &FileValue<'_>,
    known_variables: &mut BTreeSet<String>,
) -> Vec<LocatedSource> {
    let mut read = |name: &str, table: Option<FileValue<'_>>| {
        let settings = SOURCE_SETTINGS.iter().filter(|setting| setting.has_source_env_var());
        known_variables.extend(settings.map(|setting| setting.source_env_var(name)));
        let default = || Location { origin: ValueOrigin::Default, key: format!("sources.{name}") };
        let at = table.as_ref().map_or_else(default, |table| table.at.clone());
        SourceReader { loader, name, table, at }.source().ok()
    };
    let Some(tables) = file.get("sources") else {
        return vendor::ALL.iter().filter_map(|vendor| read(vendor.name, None)).collect();
    };
    let sources = tables.entries().filter(|(_, table)| table.is_table());
    let sources = sources.filter_map(|(name, table)| read(name, Some(table))).collect();
    for (_, value) in tables.entries().filter(|(_, value)| !value.is_table()) {
        loader.report(&value.at, "must be a table; write [sources.<name>]");
    }
    if !tables.is_table() {
        loader.report(&tables.at, "must be a table; write [sources.<name>]");
    } else if tables.entries().next().is_none() {
        loader.report(&tables.at, "has no source; add [sources.<name>], or remove it to have open sources");
    }
    sources
}

/// The names of the sources, also of those with mistakes.
pub fn source_names(file: &FileValue<'_>) -> Vec<String> {
    match file.get("sources") {
        Some(tables) => tables.entries().map(|(name, _)| name.to_owned()).collect(),
        None => vendor::names().map(str::to_owned).collect(),
    }
}

/// Open sources are for one machine: on other addresses they must be allowed. They always cause a warning.
pub fn check_open_sources(
    loader: &mut Loader<'_>,
    sources: &[LocatedSource],
    settings: &Settings,
    file: &FileValue<'_>,
) {
    let open: Vec<&LocatedSource> = sources.iter().filter(|(source, _)| source.verifier.is_open()).collect();
    let names = open.iter().map(|(source, _)| source.name.as_str()).collect::<Vec<_>>().join(", ");
    let listen = settings.listen;
    if open.is_empty() {
        return;
    }
    if listen.ip().to_canonical().is_loopback() || settings.allow_open_sources {
        loader.warnings.push(format!(
            "anyone who can reach {listen} can post to the open sources {names}; add [[sources.<name>.verify]]"
        ));
    } else if open.iter().any(|(_, at)| at.origin == ValueOrigin::Default) {
        let message = format!(
            "{listen} is not loopback, and without [sources] in the file there are open ones ({names}); \
             add [sources.<name>] with [[sources.<name>.verify]], or allow_open_sources = true"
        );
        if let Some(given) = loader.lookup(setting(SETTINGS, "listen"), Some(file)) {
            loader.report(&given.at, message);
        }
    } else {
        for (source, at) in open {
            let add = format!("add [[sources.{}.verify]], or allow_open_sources = true", source.name);
            loader.report(at, format!("is open, and {listen} is not loopback; {add}"));
        }
    }
}

impl SourceReader<'_, '_, '_> {
    fn source(mut self) -> Result<LocatedSource, Reported> {
        let is_allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if !(1..=64).contains(&self.name.len()) || !self.name.chars().all(is_allowed) {
            self.report("the name must be 1 to 64 of a-z, 0-9 and -; it is the end of the URL");
        }
        if let Some(table) = &self.table {
            let keys: Vec<&str> = SOURCE_SETTINGS.iter().map(|setting| setting.key).chain(["verify"]).collect();
            self.loader.report_unknown_keys(table, &keys);
        }
        // Everything is read before the first `?`, so that all mistakes are found.
        let public_url = self.optional_value("public_url", parse::public_url);
        let rate_limit = self.optional_value("rate_limit", parse::count);
        let expect_every = self.optional_value("expect_every", parse::duration);
        let vendor = self.vendor();
        let url = public_url.as_ref().map(Option::as_deref).map_err(|reported| *reported);
        let verifier = self.verifier((vendor, url));
        let handshake = self.handshake(vendor);
        let vendor_link = self.optional_value("vendor_link", VendorLink::parse);
        let waits_for = self.table.as_ref().and_then(|table| table.get("waits_for"));
        let waiting_rules = vendor.and_then(|vendor| read_waiting_rules(self.loader, vendor, waits_for));
        let source = SourceSettings {
            name: self.name.to_owned(),
            vendor: vendor?,
            verifier: verifier?,
            public_url: public_url?,
            rate_limit: rate_limit?,
            expect_every: expect_every?,
            handshake: handshake?,
            vendor_link: vendor_link?,
            waiting_rules: waiting_rules?,
        };
        Ok((source, self.at))
    }

    fn vendor(&mut self) -> Result<&'static Vendor, Reported> {
        let value = self.table.as_ref().and_then(|table| table.get("vendor"));
        let name = value.as_ref().and_then(FileValue::text).unwrap_or(self.name);
        vendor::by_name(name).ok_or_else(|| {
            let names: Vec<&str> = vendor::ALL.iter().map(|vendor| vendor.name).collect();
            let one_of = format!("write one of {}{}", names.join(", "), did_you_mean(name, &names));
            match &value {
                Some(value) => self.loader.report(&value.at, format!("is not a supported vendor; {one_of}")),
                None => self.report(&format!("has no vendor; {one_of}")),
            }
        })
    }

    fn verifier(&mut self, context: SourceContext<'_>) -> Result<Verifier, Reported> {
        let open = self.optional_value("open", parse::boolean);
        let list = self.table.as_ref().and_then(|table| table.get("verify"));
        let schemes = list.map_or(Ok(Vec::new()), |list| read_schemes(self.loader, &list, context))?;
        // Without sources in the file, all are open; in the file, each must say so.
        let open = open?.unwrap_or(self.table.is_none());
        let mut schemes = schemes.into_iter();
        match (schemes.next(), open) {
            (Some(first), false) => Ok(Verifier::new(first, schemes)),
            (None, true) => Ok(Verifier::open()),
            (Some(_), true) => Err(self.report("has both open and verify; remove one of them")),
            (None, false) => {
                let add = format!("add [[sources.{}.verify]]", self.name);
                Err(self.report(&format!("has no verify; {add}, or open = true to accept deliveries from anyone")))
            }
        }
    }

    fn handshake(&mut self, vendor: Result<&'static Vendor, Reported>) -> Result<Option<ConfirmationTarget>, Reported> {
        let (api_url, api_token) = (self.lookup("api_url"), self.lookup("api_token"));
        let vendor = vendor?;
        if !HANDSHAKE_VENDORS.contains(&vendor.name) {
            for given in [api_url, api_token].into_iter().flatten() {
                let message = format!("has no effect: {} does not ask for a confirmation; remove it", vendor.title);
                self.loader.report(&given.at, message);
            }
            return Ok(None);
        }
        let Some(token) = api_token else {
            if let Some(given) = api_url {
                self.loader.report(&given.at, "has no effect without api_token; add that, or remove this");
            }
            return Ok(None);
        };
        let api_token = secrets::bearer_token(self.loader, &token.text, &token.at);
        let api_url = match api_url {
            Some(given) => self.loader.parse(given, parse::api_url)?,
            None => setting(SOURCE_SETTINGS, "api_url").default.to_owned(),
        };
        Ok(Some(ConfirmationTarget { api_url, api_token: api_token? }))
    }

    fn optional_value<T>(
        &mut self,
        key: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, Reported> {
        self.lookup(key).map(|given| self.loader.parse(given, parse)).transpose()
    }

    fn lookup(&mut self, key: &str) -> Option<GivenValue> {
        let variable = setting(SOURCE_SETTINGS, key).source_env_var(self.name);
        self.loader.lookup_env_or_file(variable, key, self.table.as_ref())
    }

    /// Reports a mistake of the source as a whole.
    fn report(&mut self, message: &str) -> Reported {
        self.loader.report(&self.at, message)
    }
}
