//! The verification schemes of a source: `[[sources.<name>.verify]]`.

use super::file::{Section, Value};
use super::forms;
use super::loader::{Loader, Noted};
use super::problem::did_you_mean;
use super::table::{SCHEMES, VERIFY};
use crate::vendor::Vendor;
use crate::vendor::verify::{Jwt, JwtKeys, Scheme};
use axum::http::HeaderName;
use axum::http::header::AUTHORIZATION;
use chrono::TimeDelta;

const UNDERSCORE: &str = "has `_` in its name, and nginx drops such headers unless it has `underscores_in_headers on`; \
                          choose one with `-` if a proxy stands before the hub";

/// One table and what it is read with.
pub struct Reader<'l, 'a, 'f> {
    pub loader: &'l mut Loader<'a>,
    pub section: Section<'f>,
}

/// The schemes of a source, unless any of them is wrong.
pub fn schemes(
    loader: &mut Loader<'_>,
    tables: &Value<'_>,
    vendor: Result<&'static Vendor, Noted>,
    public_url: &Result<Option<String>, Noted>,
) -> Result<Vec<Scheme>, Noted> {
    let sections: Option<Vec<_>> = tables.items().and_then(|items| items.iter().map(Value::section).collect());
    let Some(sections) = sections else {
        let text = format!("must be tables; write [[{}]]", tables.key);
        return Err(loader.problem(tables.origin.clone(), &tables.key, text));
    };
    let read = |section| Reader { loader, section }.scheme(vendor, public_url);
    let schemes: Vec<Result<(Scheme, Section<'_>), Noted>> = sections.into_iter().map(read).collect();
    let schemes: Vec<(Scheme, Section<'_>)> = schemes.into_iter().collect::<Result<_, _>>()?;
    for (index, (scheme, section)) in schemes.iter().enumerate() {
        let place = scheme.place();
        if schemes.iter().take(index).any(|(earlier, _)| earlier.place() == place) {
            let text = format!("has two schemes for {place}, and all must pass; leave one out");
            return Err(loader.problem(section.origin.clone(), &tables.key, text));
        }
    }
    Ok(schemes.into_iter().map(|(scheme, _)| scheme).collect())
}

impl<'f> Reader<'_, '_, 'f> {
    fn scheme(
        mut self,
        vendor: Result<&'static Vendor, Noted>,
        public_url: &Result<Option<String>, Noted>,
    ) -> Result<(Scheme, Section<'f>), Noted> {
        let name = self.required("scheme", &format!("write one of {}", SCHEMES.join(", ")))?;
        let fitting = self.only_fitting_keys(&name);
        let scheme = match name.as_str() {
            "signature" => self.signature(vendor, public_url),
            "url_token" => self.url_token(),
            "basic" => self.basic(),
            "bearer" => self.bearer_tokens().map(|tokens| Scheme::Bearer { tokens }),
            "api_key" => self.api_key(),
            "jwt" => self.jwt().map(Scheme::Jwt),
            other => {
                let one_of = format!("write one of {}{}", SCHEMES.join(", "), did_you_mean(other, SCHEMES));
                Err(self.problem_of("scheme", &format!("is no scheme; {one_of}")))
            }
        };
        fitting.and(scheme).map(|scheme| (scheme, self.section))
    }

    /// Notes the keys that the scheme does not have.
    fn only_fitting_keys(&mut self, scheme: &str) -> Result<(), Noted> {
        let known: Vec<&str> = VERIFY.iter().map(|row| row.key).collect();
        self.loader.unknown_keys(&self.section, &known);
        let mut fitting = Ok(());
        for row in VERIFY.iter().filter(|row| SCHEMES.contains(&scheme) && !row.schemes.contains(&scheme)) {
            if self.section.get(row.key).is_some() {
                let text = format!("is not for {scheme}, but for {}; leave it out", row.schemes.join(" and "));
                fitting = Err(self.problem_of(row.key, &text));
            }
        }
        fitting
    }

    fn signature(
        &mut self,
        vendor: Result<&'static Vendor, Noted>,
        public_url: &Result<Option<String>, Noted>,
    ) -> Result<Scheme, Noted> {
        let secrets = self.secrets_with_ids();
        let leeway = self.leeway();
        let (vendor, public_url) = (vendor?, public_url.as_ref().map_err(|noted| *noted)?);
        let Some(signature) = &vendor.signature else {
            let text = format!("{} does not sign its webhooks; use another scheme", vendor.title);
            return Err(self.problem_of("scheme", &text));
        };
        if signature.signs_url && public_url.is_none() {
            let title = vendor.title;
            let text = format!("{title} signs the URL that is registered with it; add public_url to the source");
            return Err(self.problem_of("scheme", &text));
        }
        let public_url = public_url.clone().unwrap_or_default();
        Ok(Scheme::Signature { signature, public_url, secrets: secrets?, leeway: leeway? })
    }

    fn url_token(&mut self) -> Result<Scheme, Noted> {
        let tokens = self.secrets();
        let parameter = self.text("parameter")?.unwrap_or_else(|| "token".to_owned());
        Ok(Scheme::UrlToken { parameter, tokens: tokens? })
    }

    fn basic(&mut self) -> Result<Scheme, Noted> {
        let passwords = self.secrets();
        let username = self.required("username", "write the name that the vendor sends")?;
        if username.contains(':') {
            return Err(self.problem_of("username", "must not hold a colon, which would end it (RFC 7617)"));
        }
        Ok(Scheme::Basic { username, passwords: passwords? })
    }

    fn api_key(&mut self) -> Result<Scheme, Noted> {
        let keys = self.header_values();
        let header = self.header(HeaderName::from_static("x-api-key"))?;
        Ok(Scheme::ApiKey { header, keys: keys? })
    }

    fn jwt(&mut self) -> Result<Jwt, Noted> {
        let keys = self.jwt_keys();
        let header = self.header(AUTHORIZATION);
        let (issuer, audience) = (self.text("issuer"), self.text("audience"));
        let leeway = self.leeway()?.unwrap_or(TimeDelta::minutes(1));
        Ok(Jwt { keys: keys?, header: header?, issuer: issuer?, audience: audience?, leeway })
    }

    fn jwt_keys(&mut self) -> Result<JwtKeys, Noted> {
        let algorithm = self.required("algorithm", "write HS256 or RS256")?;
        let other = match algorithm.as_str() {
            "HS256" => "public_key",
            "RS256" => "secrets",
            _ => return Err(self.problem_of("algorithm", "is no algorithm that we know; write HS256 or RS256")),
        };
        if self.section.get(other).is_some() {
            return Err(self.problem_of(other, &format!("is not for {algorithm}; leave it out")));
        }
        match other {
            "secrets" => self.public_keys().map(JwtKeys::Rs256),
            _ => self.secrets().map(JwtKeys::Hs256),
        }
    }

    fn leeway(&mut self) -> Result<Option<TimeDelta>, Noted> {
        let Some(text) = self.text("leeway")? else { return Ok(None) };
        let duration = forms::duration(&text).map_err(|text| self.problem_of("leeway", &text))?;
        Ok(TimeDelta::from_std(duration).ok())
    }

    fn header(&mut self, default: HeaderName) -> Result<HeaderName, Noted> {
        let Some(text) = self.text("header")? else { return Ok(default) };
        let name: HeaderName = text.parse().map_err(|_| self.problem_of("header", "is not the name of a header"))?;
        if name.as_str().contains('_') {
            let origin = self.section.get("header").map(|value| value.origin).unwrap_or(self.section.origin.clone());
            self.loader.warn(origin, self.section.key("header"), UNDERSCORE);
        }
        Ok(name)
    }

    fn required(&mut self, key: &str, hint: &str) -> Result<String, Noted> {
        self.text(key)?.ok_or_else(|| {
            let (origin, key) = (self.section.origin.clone(), self.section.key(key));
            self.loader.problem(origin, key, format!("is missing; {hint}"))
        })
    }

    /// Text that is not empty, if it is there.
    fn text(&mut self, key: &str) -> Result<Option<String>, Noted> {
        let Some(value) = self.section.get(key) else { return Ok(None) };
        match value.text() {
            Some(text) if !text.is_empty() => {
                self.loader.check_characters(text, &value.key, &value.origin)?;
                Ok(Some(text.to_owned()))
            }
            _ => Err(self.loader.problem(value.origin, value.key, "must be text in quotes")),
        }
    }

    /// Notes what is wrong with the value of a key.
    pub fn problem_of(&mut self, key: &str, text: &str) -> Noted {
        let value = self.section.get(key).map(|value| value.origin);
        let origin = value.unwrap_or_else(|| self.section.origin.clone());
        self.loader.problem(origin, self.section.key(key), text)
    }
}
