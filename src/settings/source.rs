//! The sources: one per `[sources.<name>]`, or one open one per vendor where the file names none.

use super::error::{ValueOrigin, did_you_mean};
use super::file::{FileSection, FileValue};
use super::loader::{GivenValue, Reported, SettingsLoader};
use super::table::{SOURCE_SETTINGS, Setting};
use super::{HandshakeSettings, Settings, SettingsWarning, SourceSettings, parse, secrets, verify_scheme};
use crate::vendor::verify::Verifier;
use crate::vendor::{self, Secret, Vendor};
use std::collections::BTreeSet;

/// The vendors whose webhooks the hub confirms by calling them.
const HANDSHAKE_VENDORS: &[&str] = &["hover"];

/// A source's part of the file, if it has one, and what it is read with.
struct SourceReader<'l, 'a, 'f> {
    loader: &'l mut SettingsLoader<'a>,
    name: String,
    section: Option<FileSection<'f>>,
}

/// All sources, each with the place where it begins. Their variables are added to the known ones.
pub fn read_sources(
    loader: &mut SettingsLoader<'_>,
    file: &FileSection<'_>,
    known: &mut BTreeSet<String>,
) -> Vec<(SourceSettings, ValueOrigin)> {
    let Some(value) = file.get("sources") else {
        let vendors = vendor::ALL.iter().map(|vendor| vendor.name.to_owned());
        return vendors.filter_map(|name| SourceReader { loader, name, section: None }.source(known).ok()).collect();
    };
    let Some(section) = value.section() else {
        loader.report(value.origin, value.key, "must be tables; write [sources.<name>]");
        return Vec::new();
    };
    if section.entries().next().is_none() {
        loader.report(value.origin, value.key, "has no source; add [sources.<name>], or leave it out for open ones");
    }
    let read = |(name, value): (&str, FileValue<'_>)| {
        let Some(section) = value.section() else {
            loader.report(value.origin, value.key, "must be a table; write [sources.<name>]");
            return None;
        };
        SourceReader { loader, name: name.to_owned(), section: Some(section) }.source(known).ok()
    };
    section.entries().filter_map(read).collect()
}

/// Open sources are for one machine: elsewhere they must be allowed, and always they are worth a warning.
pub fn check_open_sources(
    loader: &mut SettingsLoader<'_>,
    sources: &[(SourceSettings, ValueOrigin)],
    settings: &Settings,
    file: &FileSection<'_>,
) -> Vec<SettingsWarning> {
    let open: Vec<_> = sources.iter().filter(|(source, _)| source.verifier.is_open()).collect();
    if open.is_empty() {
        return Vec::new();
    }
    let names: Vec<&str> = open.iter().map(|(source, _)| source.name.as_str()).collect();
    let names = names.join(", ");
    let listen = settings.listen;
    if listen.ip().to_canonical().is_loopback() || settings.allow_open_sources {
        let text =
            format!("whoever reaches {listen} can post to the open sources {names}; add [[sources.<name>.verify]]");
        return vec![SettingsWarning(text)];
    }
    for (source, origin) in open.iter().filter(|(_, origin)| *origin != ValueOrigin::Default) {
        let text = format!(
            "is open, and {listen} is not loopback; add [[sources.{}.verify]], or allow_open_sources = true",
            source.name
        );
        loader.report(origin.clone(), format!("sources.{}", source.name), text);
    }
    if open.iter().any(|(_, origin)| *origin == ValueOrigin::Default) {
        let text = format!(
            "{listen} is not loopback, and without [sources] in the file there are open ones ({names}); \
             add [sources.<name>] with [[sources.<name>.verify]], or allow_open_sources = true"
        );
        loader.report(loader.origin("listen", file), "listen", text);
    }
    Vec::new()
}

/// `[a-z0-9-]{1,64}`
fn is_source_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=64).contains(&name.len()) && name.chars().all(plain)
}

#[expect(clippy::expect_used, reason = "a test takes every key")]
fn setting_for_key(key: &'static str) -> &'static Setting {
    SOURCE_SETTINGS.iter().find(|row| row.key == key).expect("a row of the table")
}

impl SourceReader<'_, '_, '_> {
    /// The source, unless it cannot be said what it would be.
    fn source(mut self, known: &mut BTreeSet<String>) -> Result<(SourceSettings, ValueOrigin), Reported> {
        known.extend(
            SOURCE_SETTINGS.iter().filter(|row| row.has_source_env_var()).map(|row| row.source_env_var(&self.name)),
        );
        if !is_source_name(&self.name) {
            self.report("must be a name of a-z, 0-9 and -, at most 64 long; it is the end of the URL");
        }
        if let Some(section) = &self.section {
            let keys: Vec<&str> = SOURCE_SETTINGS.iter().map(|row| row.key).chain(["verify"]).collect();
            self.loader.report_unknown_keys(section, &keys);
        }
        // Everything is read before anything is given up, so that all mistakes are found.
        let public_url = self.optional_value("public_url", parse::public_url);
        let rate_limit = self.optional_value("rate_limit", parse::count);
        let vendor = self.vendor();
        let verifier = self.verifier(vendor, &public_url);
        let handshake = self.handshake(vendor);
        let origin = self.origin();
        let source = SourceSettings {
            name: self.name,
            vendor: vendor?,
            verifier: verifier?,
            public_url: public_url?,
            rate_limit: rate_limit?,
            handshake: handshake?,
        };
        Ok((source, origin))
    }

    fn vendor(&mut self) -> Result<&'static Vendor, Reported> {
        let value = self.section.as_ref().and_then(|section| section.get("vendor"));
        let found = value.as_ref().and_then(FileValue::text).unwrap_or(&self.name).to_owned();
        vendor::by_name(&found).ok_or_else(|| {
            let names: Vec<&str> = vendor::ALL.iter().map(|vendor| vendor.name).collect();
            let one_of = format!("write one of {}{}", names.join(", "), did_you_mean(&found, &names));
            match value {
                Some(value) => {
                    self.loader.report(value.origin, value.key, format!("is no vendor that we know; {one_of}"))
                }
                None => self.report(&format!("has no vendor; {one_of}")),
            }
        })
    }

    fn verifier(
        &mut self,
        vendor: Result<&'static Vendor, Reported>,
        public_url: &Result<Option<String>, Reported>,
    ) -> Result<Verifier, Reported> {
        let open = self.optional_value("open", parse::boolean);
        let tables = self.section.as_ref().and_then(|section| section.get("verify"));
        let schemes = match &tables {
            Some(tables) => verify_scheme::read_schemes(self.loader, tables, vendor, public_url)?,
            None => Vec::new(),
        };
        // Without a file, the sources are open; in a file, each must say so.
        let open = open?.unwrap_or(self.section.is_none());
        let mut schemes = schemes.into_iter();
        match (schemes.next(), open) {
            (Some(first), false) => Ok(Verifier::new(first, schemes)),
            (None, true) => Ok(Verifier::open()),
            (Some(_), true) => Err(self.report("is open and has verify; leave one of them out")),
            (None, false) => {
                let add = format!("add [[sources.{}.verify]]", self.name);
                Err(self.report(&format!("has no verify; {add}, or open = true to take deliveries from anybody")))
            }
        }
    }

    fn handshake(&mut self, vendor: Result<&'static Vendor, Reported>) -> Result<Option<HandshakeSettings>, Reported> {
        let (api_url, api_token) = (self.lookup("api_url"), self.lookup("api_token"));
        let vendor = vendor?;
        if !HANDSHAKE_VENDORS.contains(&vendor.name) {
            for found in [api_url, api_token].into_iter().flatten() {
                let text = format!("does nothing: {} does not ask for a confirmation; leave it out", vendor.title);
                self.loader.report(found.origin, found.key, text);
            }
            return Ok(None);
        }
        let Some(token) = api_token else {
            if let Some(found) = api_url {
                self.loader.report(found.origin, found.key, "does nothing without api_token; add it or leave this out");
            }
            return Ok(None);
        };
        let value = self.loader.secret(&token.text, &token.key, &token.origin);
        let value = value.and_then(|value| secrets::bearer(self.loader, value, &token.key, &token.origin));
        let api_url = match api_url {
            Some(found) => self.loader.parse(found, parse::api_url)?,
            None => setting_for_key("api_url").default.to_owned(),
        };
        Ok(Some(HandshakeSettings { api_url, api_token: Secret { id: None, value: value? } }))
    }

    fn optional_value<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, Reported> {
        self.lookup(key).map(|found| self.loader.parse(found, parse)).transpose()
    }

    fn lookup(&mut self, key: &'static str) -> Option<GivenValue> {
        let variable = setting_for_key(key).source_env_var(&self.name);
        self.loader.lookup_env_or_file(variable, key, self.section.as_ref())
    }

    fn origin(&self) -> ValueOrigin {
        self.section.as_ref().map_or(ValueOrigin::Default, |section| section.origin.clone())
    }

    /// Notes what is wrong with the source as a whole.
    fn report(&mut self, text: &str) -> Reported {
        self.loader.report(self.origin(), format!("sources.{}", self.name), text)
    }
}
