//! The verification schemes of a source: `[[sources.<name>.verify]]`.

use super::error::did_you_mean;
use super::file::{FileSection, FileValue};
use super::loader::{Reported, SettingsLoader};
use super::parse;
use super::table::{SCHEMES, VERIFY_KEYS};
use crate::vendor::Vendor;
use crate::vendor::verify::{Jwt, JwtKeys, Scheme};
use axum::http::HeaderName;
use axum::http::header::AUTHORIZATION;
use chrono::TimeDelta;

const UNDERSCORE: &str = "has `_` in its name, and nginx drops such headers unless it has `underscores_in_headers on`; \
                          choose one with `-` if a proxy stands before the hub";

/// One table and what it is read with.
pub struct SchemeReader<'l, 'a, 'f> {
    pub loader: &'l mut SettingsLoader<'a>,
    pub section: FileSection<'f>,
}

/// The schemes of a source, unless any of them is wrong.
pub fn read_schemes(
    loader: &mut SettingsLoader<'_>,
    tables: &FileValue<'_>,
    vendor: Result<&'static Vendor, Reported>,
    public_url: &Result<Option<String>, Reported>,
) -> Result<Vec<Scheme>, Reported> {
    let sections: Option<Vec<_>> = tables.items().and_then(|items| items.iter().map(FileValue::section).collect());
    let Some(sections) = sections else {
        let text = format!("must be tables; write [[{}]]", tables.key);
        return Err(loader.report(tables.origin.clone(), &tables.key, text));
    };
    let read = |section| SchemeReader { loader, section }.scheme(vendor, public_url);
    let schemes: Vec<Result<(Scheme, FileSection<'_>), Reported>> = sections.into_iter().map(read).collect();
    let schemes: Vec<(Scheme, FileSection<'_>)> = schemes.into_iter().collect::<Result<_, _>>()?;
    for (index, (scheme, section)) in schemes.iter().enumerate() {
        let place = scheme.location();
        if schemes.iter().take(index).any(|(earlier, _)| earlier.location() == place) {
            let text = format!("has two schemes for {place}, and all must pass; leave one out");
            return Err(loader.report(section.origin.clone(), &tables.key, text));
        }
    }
    Ok(schemes.into_iter().map(|(scheme, _)| scheme).collect())
}

impl<'f> SchemeReader<'_, '_, 'f> {
    fn scheme(
        mut self,
        vendor: Result<&'static Vendor, Reported>,
        public_url: &Result<Option<String>, Reported>,
    ) -> Result<(Scheme, FileSection<'f>), Reported> {
        let name = self.required("scheme", &format!("write one of {}", SCHEMES.join(", ")))?;
        let fitting = self.report_keys_of_other_schemes(&name);
        let scheme = match name.as_str() {
            "signature" => self.signature(vendor, public_url),
            "url_token" => self.url_token(),
            "basic" => self.basic(),
            "bearer" => self.bearer_tokens().map(|tokens| Scheme::Bearer { tokens }),
            "api_key" => self.api_key(),
            "jwt" => self.jwt().map(Scheme::Jwt),
            other => {
                let one_of = format!("write one of {}{}", SCHEMES.join(", "), did_you_mean(other, SCHEMES));
                Err(self.report_key("scheme", &format!("is no scheme; {one_of}")))
            }
        };
        fitting.and(scheme).map(|scheme| (scheme, self.section))
    }

    /// Notes the keys that the scheme does not have.
    fn report_keys_of_other_schemes(&mut self, scheme: &str) -> Result<(), Reported> {
        let known: Vec<&str> = VERIFY_KEYS.iter().map(|row| row.key).collect();
        self.loader.report_unknown_keys(&self.section, &known);
        let mut fitting = Ok(());
        for row in VERIFY_KEYS.iter().filter(|row| SCHEMES.contains(&scheme) && !row.schemes.contains(&scheme)) {
            if self.section.get(row.key).is_some() {
                let text = format!("is not for {scheme}, but for {}; leave it out", row.schemes.join(" and "));
                fitting = Err(self.report_key(row.key, &text));
            }
        }
        fitting
    }

    fn signature(
        &mut self,
        vendor: Result<&'static Vendor, Reported>,
        public_url: &Result<Option<String>, Reported>,
    ) -> Result<Scheme, Reported> {
        let secrets = self.secrets_with_ids();
        let leeway = self.leeway();
        let (vendor, public_url) = (vendor?, public_url.as_ref().map_err(|noted| *noted)?);
        let Some(signature) = &vendor.signature else {
            let text = format!("{} does not sign its webhooks; use another scheme", vendor.title);
            return Err(self.report_key("scheme", &text));
        };
        if signature.signs_url && public_url.is_none() {
            let title = vendor.title;
            let text = format!("{title} signs the URL that is registered with it; add public_url to the source");
            return Err(self.report_key("scheme", &text));
        }
        let public_url = public_url.clone().unwrap_or_default();
        Ok(Scheme::Signature { signature, public_url, secrets: secrets?, leeway: leeway? })
    }

    fn url_token(&mut self) -> Result<Scheme, Reported> {
        let tokens = self.secrets();
        let parameter = self.text("parameter")?.unwrap_or_else(|| "token".to_owned());
        Ok(Scheme::UrlToken { parameter, tokens: tokens? })
    }

    fn basic(&mut self) -> Result<Scheme, Reported> {
        let passwords = self.secrets();
        let username = self.required("username", "write the name that the vendor sends")?;
        if username.contains(':') {
            return Err(self.report_key("username", "must not hold a colon, which would end it (RFC 7617)"));
        }
        Ok(Scheme::Basic { username, passwords: passwords? })
    }

    fn api_key(&mut self) -> Result<Scheme, Reported> {
        let keys = self.header_values();
        let header = self.header(HeaderName::from_static("x-api-key"))?;
        Ok(Scheme::ApiKey { header, keys: keys? })
    }

    fn jwt(&mut self) -> Result<Jwt, Reported> {
        let keys = self.jwt_keys();
        let header = self.header(AUTHORIZATION);
        let (issuer, audience) = (self.text("issuer"), self.text("audience"));
        let leeway = self.leeway()?.unwrap_or(TimeDelta::minutes(1));
        Ok(Jwt { keys: keys?, header: header?, issuer: issuer?, audience: audience?, leeway })
    }

    fn jwt_keys(&mut self) -> Result<JwtKeys, Reported> {
        let algorithm = self.required("algorithm", "write HS256 or RS256")?;
        let other = match algorithm.as_str() {
            "HS256" => "public_key",
            "RS256" => "secrets",
            _ => return Err(self.report_key("algorithm", "is no algorithm that we know; write HS256 or RS256")),
        };
        if self.section.get(other).is_some() {
            return Err(self.report_key(other, &format!("is not for {algorithm}; leave it out")));
        }
        match other {
            "secrets" => self.public_keys().map(JwtKeys::Rs256),
            _ => self.secrets().map(JwtKeys::Hs256),
        }
    }

    fn leeway(&mut self) -> Result<Option<TimeDelta>, Reported> {
        let Some(text) = self.text("leeway")? else { return Ok(None) };
        let duration = parse::duration(&text).map_err(|text| self.report_key("leeway", &text))?;
        Ok(TimeDelta::from_std(duration).ok())
    }

    fn header(&mut self, default: HeaderName) -> Result<HeaderName, Reported> {
        let Some(text) = self.text("header")? else { return Ok(default) };
        let name: HeaderName = text.parse().map_err(|_| self.report_key("header", "is not the name of a header"))?;
        if name.as_str().contains('_') {
            let origin = self.section.get("header").map(|value| value.origin).unwrap_or(self.section.origin.clone());
            self.loader.warn(origin, self.section.full_key("header"), UNDERSCORE);
        }
        Ok(name)
    }

    fn required(&mut self, key: &str, hint: &str) -> Result<String, Reported> {
        self.text(key)?.ok_or_else(|| {
            let (origin, key) = (self.section.origin.clone(), self.section.full_key(key));
            self.loader.report(origin, key, format!("is missing; {hint}"))
        })
    }

    /// Text that is not empty, if it is there.
    fn text(&mut self, key: &str) -> Result<Option<String>, Reported> {
        let Some(value) = self.section.get(key) else { return Ok(None) };
        match value.text() {
            Some(text) if !text.is_empty() => {
                self.loader.check_characters(text, &value.key, &value.origin)?;
                Ok(Some(text.to_owned()))
            }
            _ => Err(self.loader.report(value.origin, value.key, "must be text in quotes")),
        }
    }

    /// Notes what is wrong with the value of a key.
    pub fn report_key(&mut self, key: &str, text: &str) -> Reported {
        let value = self.section.get(key).map(|value| value.origin);
        let origin = value.unwrap_or_else(|| self.section.origin.clone());
        self.loader.report(origin, self.section.full_key(key), text)
    }
}
