//! The verification schemes of a source: `[[sources.<name>.verify]]`.

use super::error::did_you_mean;
use super::file::FileValue;
use super::loader::{Loader, Reported};
use super::parse;
use super::secrets::SecretUse;
use super::source_table::{SCHEMES, VERIFY_SETTINGS};
use crate::vendor::Vendor;
use crate::vendor::verify::{Jwt, JwtKeys, Scheme};
use axum::http::HeaderName;
use axum::http::header::AUTHORIZATION;
use chrono::TimeDelta;

const UNDERSCORE_WARNING: &str = "has `_` in its name, and nginx drops such headers unless it has \
                                  `underscores_in_headers on`; choose one with `-` if a proxy is in front of the hub";

/// The vendor and the public URL of the source, which a scheme may depend on.
pub type SourceContext<'s> = (Result<&'static Vendor, Reported>, Result<Option<&'s str>, Reported>);

pub struct SchemeReader<'l, 'a, 'f> {
    pub loader: &'l mut Loader<'a>,
    /// The table of this scheme.
    pub table: FileValue<'f>,
}

/// All schemes of a source.
pub fn read_schemes(
    loader: &mut Loader<'_>,
    list: &FileValue<'_>,
    source: SourceContext<'_>,
) -> Result<Vec<Scheme>, Reported> {
    let Some(tables) = list.items().filter(|items| items.iter().all(FileValue::is_table)) else {
        return Err(loader.report(&list.at, format!("must be a list of tables; write [[{}]]", list.at.key)));
    };
    let read = |table: &FileValue<'_>| SchemeReader { loader, table: table.clone() }.scheme(source);
    let schemes: Vec<Result<Scheme, Reported>> = tables.iter().map(read).collect();
    let schemes: Vec<Scheme> = schemes.into_iter().collect::<Result<_, _>>()?;
    for (index, (scheme, table)) in schemes.iter().zip(tables).enumerate() {
        let location = scheme.location();
        if schemes.iter().take(index).any(|earlier| earlier.location() == location) {
            let mut at = table.at;
            at.key.clone_from(&list.at.key);
            let message = format!("has two schemes for {location}, and all schemes must pass; remove one");
            return Err(loader.report(&at, message));
        }
    }
    Ok(schemes)
}

impl SchemeReader<'_, '_, '_> {
    fn scheme(&mut self, source: SourceContext<'_>) -> Result<Scheme, Reported> {
        let name = self.required("scheme", &format!("write one of {}", SCHEMES.join(", ")))?;
        let keys = self.check_keys(&name);
        let scheme = match name.as_str() {
            "signature" => self.signature(source),
            "url_token" => self.url_token(),
            "basic" => self.basic(),
            "bearer" => self.secrets(SecretUse::Bearer).map(|tokens| Scheme::Bearer { tokens }),
            "api_key" => self.api_key(),
            "jwt" => self.jwt().map(Scheme::Jwt),
            other => {
                let one_of = format!("write one of {}{}", SCHEMES.join(", "), did_you_mean(other, SCHEMES));
                Err(self.report("scheme", &format!("is not a scheme; {one_of}")))
            }
        };
        keys.and(scheme)
    }

    /// Reports unknown keys, and keys of other schemes.
    fn check_keys(&mut self, scheme: &str) -> Result<(), Reported> {
        let known: Vec<&str> = VERIFY_SETTINGS.iter().map(|setting| setting.key).collect();
        self.loader.report_unknown_keys(&self.table, &known);
        let mut checked = Ok(());
        for setting in VERIFY_SETTINGS.iter().filter(|setting| !setting.applies_to(scheme)) {
            if SCHEMES.contains(&scheme) && self.table.get(setting.key).is_some() {
                let schemes = setting.schemes.join(" and ");
                checked = Err(self.report(setting.key, &format!("is for {schemes}, not for {scheme}; remove it")));
            }
        }
        checked
    }

    fn signature(&mut self, (vendor, public_url): SourceContext<'_>) -> Result<Scheme, Reported> {
        let (secrets, leeway) = (self.secrets(SecretUse::Signature), self.leeway());
        let (vendor, public_url) = (vendor?, public_url?);
        let Some(signature) = &vendor.signature else {
            let message = format!("{} does not sign its webhooks; use another scheme", vendor.title);
            return Err(self.report("scheme", &message));
        };
        if signature.signs_url && public_url.is_none() {
            let title = vendor.title;
            let message = format!("{title} signs the URL that is registered with it; add public_url to the source");
            return Err(self.report("scheme", &message));
        }
        let public_url = public_url.unwrap_or_default().to_owned();
        Ok(Scheme::Signature { signature, public_url, secrets: secrets?, leeway: leeway? })
    }

    fn url_token(&mut self) -> Result<Scheme, Reported> {
        let tokens = self.secrets(SecretUse::Any);
        let parameter = self.text("parameter")?.unwrap_or_else(|| "token".to_owned());
        Ok(Scheme::UrlToken { parameter, tokens: tokens? })
    }

    fn basic(&mut self) -> Result<Scheme, Reported> {
        let passwords = self.secrets(SecretUse::Any);
        let username = self.required("username", "write the name that the vendor sends")?;
        if username.contains(':') {
            return Err(self.report("username", "must not contain a colon, which ends the name (RFC 7617)"));
        }
        Ok(Scheme::Basic { username, passwords: passwords? })
    }

    fn api_key(&mut self) -> Result<Scheme, Reported> {
        let keys = self.secrets(SecretUse::Header);
        let header = self.header(HeaderName::from_static("x-api-key"))?;
        Ok(Scheme::ApiKey { header, keys: keys? })
    }

    fn jwt(&mut self) -> Result<Jwt, Reported> {
        let (keys, header) = (self.jwt_keys(), self.header(AUTHORIZATION));
        let (issuer, audience) = (self.text("issuer"), self.text("audience"));
        let leeway = self.leeway()?.unwrap_or(TimeDelta::minutes(1));
        Ok(Jwt { keys: keys?, header: header?, issuer: issuer?, audience: audience?, leeway })
    }

    fn jwt_keys(&mut self) -> Result<JwtKeys, Reported> {
        let algorithm = self.required("algorithm", "write HS256 or RS256")?;
        let other = match algorithm.as_str() {
            "HS256" => "public_key",
            "RS256" => "secrets",
            _ => return Err(self.report("algorithm", "is not a supported algorithm; write HS256 or RS256")),
        };
        if self.table.get(other).is_some() {
            return Err(self.report(other, &format!("is not for {algorithm}; remove it")));
        }
        match other {
            "secrets" => self.public_keys().map(JwtKeys::Rs256),
            _ => self.secrets(SecretUse::Any).map(JwtKeys::Hs256),
        }
    }

    fn leeway(&mut self) -> Result<Option<TimeDelta>, Reported> {
        let Some(text) = self.text("leeway")? else { return Ok(None) };
        let duration = parse::duration(&text).map_err(|problem| self.report("leeway", &problem))?;
        Ok(TimeDelta::from_std(duration).ok())
    }

    fn header(&mut self, default: HeaderName) -> Result<HeaderName, Reported> {
        let Some(text) = self.text("header")? else { return Ok(default) };
        let name: HeaderName = text.parse().map_err(|_| self.report("header", "is not a header name"))?;
        if name.as_str().contains('_') {
            self.loader.warn(&self.table.location_of("header"), UNDERSCORE_WARNING);
        }
        Ok(name)
    }

    fn required(&mut self, key: &str, hint: &str) -> Result<String, Reported> {
        self.text(key)?.ok_or_else(|| self.report(key, &format!("is missing; {hint}")))
    }

    /// A string that is not empty, if the key is present.
    fn text(&mut self, key: &str) -> Result<Option<String>, Reported> {
        let Some(value) = self.table.get(key) else { return Ok(None) };
        let Some(text) = value.text().filter(|text| !text.is_empty()) else {
            return Err(self.loader.report(&value.at, "must be a string that is not empty"));
        };
        self.loader.check_characters(text, &value.at)?;
        Ok(Some(text.to_owned()))
    }

    pub fn report(&mut self, key: &str, message: &str) -> Reported {
        let at = self.table.location_of(key);
        self.loader.report(&at, message)
    }
}
