//! The secrets of a scheme: where they stand, and how many may be active.

use super::file::{Section, Value};
use super::loader::{Found, Loader, Noted};
use super::scheme::Reader;
use crate::vendor::Secret;
use crate::vendor::verify::RsaKey;

const NO_HEADER: &str = "holds what cannot come in a header, such as a space";

/// How many secrets with one id may be active: the new one and the old one.
const ACTIVE: usize = 2;

const SECRETS: &str = "write secrets = [\"env:NAME\"]";
const PUBLIC_KEY: &str = "write public_key = \"file:key.pem\"";

/// The tokens of the API, apart by commas.
pub fn api_tokens(loader: &mut Loader<'_>, file: Option<&Section<'_>>) -> Vec<Secret> {
    let Some(Found { text, key, origin }) = loader.given("api_tokens", file) else { return Vec::new() };
    let mut tokens = Vec::new();
    for token in text.split(',') {
        let Ok(value) = loader.secret(token.trim(), &key, &origin) else { continue };
        if !value.bytes().all(|byte| byte.is_ascii_graphic()) {
            loader.problem(origin.clone(), &key, NO_HEADER);
        }
        tokens.push(Secret { id: None, value });
    }
    if tokens.len() > ACTIVE {
        loader.problem(origin, &key, "holds more than two; leave the oldest out");
    }
    tokens
}

/// A secret as it was given, and where.
type Given<'f> = (Secret, Value<'f>);

impl<'f> Reader<'_, '_, 'f> {
    /// Secrets of any kind.
    pub fn secrets(&mut self) -> Result<Vec<Secret>, Noted> {
        let given = self.given("secrets", SECRETS, false)?;
        Ok(given.into_iter().map(|(secret, _)| secret).collect())
    }

    /// Secrets of which the vendor may say which one it used.
    pub fn secrets_with_ids(&mut self) -> Result<Vec<Secret>, Noted> {
        let given = self.given("secrets", SECRETS, true)?;
        Ok(given.into_iter().map(|(secret, _)| secret).collect())
    }

    /// Secrets that come in a header as they are.
    pub fn header_secrets(&mut self) -> Result<Vec<Secret>, Noted> {
        let given = self.given("secrets", SECRETS, false)?;
        let fits = |(secret, value): Given<'f>| {
            if secret.value.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Ok(secret);
            }
            Err(self.loader.problem(value.origin, value.key, NO_HEADER))
        };
        given.into_iter().map(fits).collect()
    }

    pub fn public_keys(&mut self) -> Result<Vec<RsaKey>, Noted> {
        let given = self.given("public_key", PUBLIC_KEY, false)?;
        let key = |(pem, value): Given<'f>| {
            RsaKey::from_pem(&pem.value).map_err(|bad| self.loader.problem(value.origin, value.key, bad.to_string()))
        };
        given.into_iter().map(key).collect()
    }

    /// The secrets of this key, at least one.
    fn given(&mut self, key: &str, hint: &str, with_ids: bool) -> Result<Vec<Given<'f>>, Noted> {
        let value = self.section.get(key);
        // A single one needs no list.
        let items = value.as_ref().map(|value| value.items().unwrap_or_else(|| vec![value.clone()]));
        let Some(items) = items.filter(|items| !items.is_empty()) else {
            let origin = value.map_or_else(|| self.section.origin.clone(), |value| value.origin);
            return Err(self.loader.problem(origin, self.section.key(key), format!("is missing; {hint}")));
        };
        let all: Vec<_> = items.into_iter().map(|item| self.secret(item, hint, with_ids)).collect();
        let given: Vec<Given<'f>> = all.into_iter().collect::<Result<_, _>>()?;
        let too_many =
            |(secret, _): &Given<'f>| given.iter().filter(|(other, _)| other.id == secret.id).count() > ACTIVE;
        if given.iter().any(too_many) {
            return Err(self.problem_of(key, "holds more than two with the same id; leave the oldest out"));
        }
        Ok(given)
    }

    /// `"env:NAME"`, or `{ id = "…", value = "env:NAME" }`.
    fn secret(&mut self, item: Value<'f>, hint: &str, with_ids: bool) -> Result<Given<'f>, Noted> {
        if let Some(text) = item.text() {
            let value = self.loader.secret(text, &item.key, &item.origin)?;
            return Ok((Secret { id: None, value }, item));
        }
        let Some(section) = item.section().filter(|_| with_ids) else {
            return Err(self.loader.problem(item.origin, item.key, format!("must be text; {hint}")));
        };
        self.loader.unknown_keys(&section, &["id", "value"]);
        let id = section.get("id").and_then(|id| id.scalar()).filter(|id| !id.is_empty());
        let (Some(id), Some(text)) = (id, section.get("value").and_then(|value| value.text())) else {
            let text = "must have both as text; write { id = \"…\", value = \"env:NAME\" }";
            return Err(self.loader.problem(item.origin, item.key, text));
        };
        let value = self.loader.secret(text, &item.key, &item.origin)?;
        Ok((Secret { id: Some(id), value }, item))
    }
}
