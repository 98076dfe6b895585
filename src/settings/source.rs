//! The sources: one per `[sources.<name>]`, or one open one per vendor where the file names none.

use super::file::{Section, Value};
use super::loader::{Found, Loader, Noted};
use super::problem::{Origin, did_you_mean};
use super::table::{SOURCE, Setting};
use super::{Handshake, Settings, Source, Warning, forms, scheme, secrets};
use crate::vendor::verify::Verifier;
use crate::vendor::{self, Secret, Vendor};
use std::collections::BTreeSet;

/// The vendors whose webhooks the hub confirms by calling them.
const CONFIRMED: &[&str] = &["hover"];

/// A source's part of the file, if it has one, and what it is read with.
struct Reader<'l, 'a, 'f> {
    loader: &'l mut Loader<'a>,
    name: String,
    section: Option<Section<'f>>,
}

/// All sources, each with the place where it begins. Their variables are added to the known ones.
pub fn sources(loader: &mut Loader<'_>, file: &Section<'_>, known: &mut BTreeSet<String>) -> Vec<(Source, Origin)> {
    let Some(value) = file.get("sources") else {
        let vendors = vendor::ALL.iter().map(|vendor| vendor.name.to_owned());
        return vendors.filter_map(|name| Reader { loader, name, section: None }.source(known).ok()).collect();
    };
    let Some(section) = value.section() else {
        loader.problem(value.origin, value.key, "must be tables; write [sources.<name>]");
        return Vec::new();
    };
    if section.entries().next().is_none() {
        loader.problem(value.origin, value.key, "has no source; add [sources.<name>], or leave it out for open ones");
    }
    let read = |(name, value): (&str, Value<'_>)| {
        let Some(section) = value.section() else {
            loader.problem(value.origin, value.key, "must be a table; write [sources.<name>]");
            return None;
        };
        Reader { loader, name: name.to_owned(), section: Some(section) }.source(known).ok()
    };
    section.entries().filter_map(read).collect()
}

/// Open sources are for one machine: elsewhere they must be allowed, and always they are worth a warning.
pub fn judge_open(
    loader: &mut Loader<'_>,
    sources: &[(Source, Origin)],
    settings: &Settings,
    file: &Section<'_>,
) -> Vec<Warning> {
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
        return vec![Warning(text)];
    }
    for (source, origin) in open.iter().filter(|(_, origin)| *origin != Origin::Default) {
        let text = format!(
            "is open, and {listen} is not loopback; add [[sources.{}.verify]], or allow_open_sources = true",
            source.name
        );
        loader.problem(origin.clone(), format!("sources.{}", source.name), text);
    }
    if open.iter().any(|(_, origin)| *origin == Origin::Default) {
        let text = format!(
            "{listen} is not loopback, and without [sources] in the file there are open ones ({names}); \
             add [sources.<name>] with [[sources.<name>.verify]], or allow_open_sources = true"
        );
        loader.problem(loader.origin("listen", file), "listen", text);
    }
    Vec::new()
}

/// `[a-z0-9-]{1,64}`
fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=64).contains(&name.len()) && name.chars().all(plain)
}

#[expect(clippy::expect_used, reason = "a test takes every key")]
fn row(key: &'static str) -> &'static Setting {
    SOURCE.iter().find(|row| row.key == key).expect("a row of the table")
}

impl Reader<'_, '_, '_> {
    /// The source, unless it cannot be said what it would be.
    fn source(mut self, known: &mut BTreeSet<String>) -> Result<(Source, Origin), Noted> {
        known.extend(SOURCE.iter().filter(|row| row.has_variable_of_source()).map(|row| row.variable_of(&self.name)));
        if !is_name(&self.name) {
            self.problem("must be a name of a-z, 0-9 and -, at most 64 long; it is the end of the URL");
        }
        if let Some(section) = &self.section {
            let keys: Vec<&str> = SOURCE.iter().map(|row| row.key).chain(["verify"]).collect();
            self.loader.unknown_keys(section, &keys);
        }
        // Everything is read before anything is given up, so that all mistakes are found.
        let public_url = self.take("public_url", forms::public_url);
        let rate_limit = self.take("rate_limit", forms::count);
        let vendor = self.vendor();
        let verifier = self.verifier(vendor, &public_url);
        let handshake = self.handshake(vendor);
        let origin = self.origin();
        let source = Source {
            name: self.name,
            vendor: vendor?,
            verifier: verifier?,
            public_url: public_url?,
            rate_limit: rate_limit?,
            handshake: handshake?,
        };
        Ok((source, origin))
    }

    fn vendor(&mut self) -> Result<&'static Vendor, Noted> {
        let value = self.section.as_ref().and_then(|section| section.get("vendor"));
        let found = value.as_ref().and_then(Value::text).unwrap_or(&self.name).to_owned();
        vendor::by_name(&found).ok_or_else(|| {
            let names: Vec<&str> = vendor::ALL.iter().map(|vendor| vendor.name).collect();
            let one_of = format!("write one of {}{}", names.join(", "), did_you_mean(&found, &names));
            match value {
                Some(value) => {
                    self.loader.problem(value.origin, value.key, format!("is no vendor that we know; {one_of}"))
                }
                None => self.problem(&format!("has no vendor; {one_of}")),
            }
        })
    }

    fn verifier(
        &mut self,
        vendor: Result<&'static Vendor, Noted>,
        public_url: &Result<Option<String>, Noted>,
    ) -> Result<Verifier, Noted> {
        let open = self.take("open", forms::switch);
        let tables = self.section.as_ref().and_then(|section| section.get("verify"));
        let schemes = match &tables {
            Some(tables) => scheme::schemes(self.loader, tables, vendor, public_url)?,
            None => Vec::new(),
        };
        // Without a file, the sources are open; in a file, each must say so.
        let open = open?.unwrap_or(self.section.is_none());
        let mut schemes = schemes.into_iter();
        match (schemes.next(), open) {
            (Some(first), false) => Ok(Verifier::new(first, schemes)),
            (None, true) => Ok(Verifier::open()),
            (Some(_), true) => Err(self.problem("is open and has verify; leave one of them out")),
            (None, false) => {
                let add = format!("add [[sources.{}.verify]]", self.name);
                Err(self.problem(&format!("has no verify; {add}, or open = true to take deliveries from anybody")))
            }
        }
    }

    fn handshake(&mut self, vendor: Result<&'static Vendor, Noted>) -> Result<Option<Handshake>, Noted> {
        let (api_url, api_token) = (self.found("api_url"), self.found("api_token"));
        let vendor = vendor?;
        if !CONFIRMED.contains(&vendor.name) {
            for found in [api_url, api_token].into_iter().flatten() {
                let text = format!("does nothing: {} does not ask for a confirmation; leave it out", vendor.title);
                self.loader.problem(found.origin, found.key, text);
            }
            return Ok(None);
        }
        let Some(token) = api_token else {
            if let Some(found) = api_url {
                self.loader.problem(
                    found.origin,
                    found.key,
                    "does nothing without api_token; add it or leave this out",
                );
            }
            return Ok(None);
        };
        let value = self.loader.secret(&token.text, &token.key, &token.origin);
        let value = value.and_then(|value| secrets::bearer(self.loader, value, &token.key, &token.origin));
        let api_url = match api_url {
            Some(found) => self.loader.parse(found, forms::api_url)?,
            None => row("api_url").default.to_owned(),
        };
        Ok(Some(Handshake { api_url, api_token: Secret { id: None, value: value? } }))
    }

    fn take<T>(&mut self, key: &'static str, parse: impl Fn(&str) -> Result<T, String>) -> Result<Option<T>, Noted> {
        self.found(key).map(|found| self.loader.parse(found, parse)).transpose()
    }

    fn found(&mut self, key: &'static str) -> Option<Found> {
        let variable = row(key).variable_of(&self.name);
        self.loader.found_in(variable, key, self.section.as_ref())
    }

    fn origin(&self) -> Origin {
        self.section.as_ref().map_or(Origin::Default, |section| section.origin.clone())
    }

    /// Notes what is wrong with the source as a whole.
    fn problem(&mut self, text: &str) -> Noted {
        self.loader.problem(self.origin(), format!("sources.{}", self.name), text)
    }
}
