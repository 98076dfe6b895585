//! The secrets of a scheme: where they stand, and how many may be active.

use super::error::ValueOrigin;
use super::file::{FileSection, FileValue};
use super::loader::{GivenValue, Reported, SettingsLoader};
use super::verify_scheme::SchemeReader;
use crate::vendor::Secret;
use crate::vendor::verify::RsaKey;

const NOT_A_BEARER_TOKEN: &str =
    "holds what cannot come in a header, such as a space; write the token alone, without a word before it";
const NOT_A_HEADER_VALUE: &str = "holds what cannot come in a header: letters beyond ASCII";

/// How many secrets with one id may be active: the new one and the old one.
const MAX_ACTIVE_SECRETS: usize = 2;

const SECRETS: &str = "write secrets = [\"env:NAME\"]";
const PUBLIC_KEY: &str = "write public_key = \"file:key.pem\"";

/// The tokens of the API, apart by commas.
pub fn api_tokens(loader: &mut SettingsLoader<'_>, file: Option<&FileSection<'_>>) -> Vec<Secret> {
    let Some(GivenValue { text, key, origin }) = loader.lookup_key("api_tokens", file) else { return Vec::new() };
    // Blanks beside the comma are only for reading. At the ends of the whole they are a mistake, as they are of one token.
    let several = text.contains(',');
    if several && loader.check_characters(&text, &key, &origin).is_err() {
        return Vec::new();
    }
    let mut tokens = Vec::new();
    for token in text.split(',') {
        let token = if several { token.trim() } else { token };
        let value = loader.secret(token, &key, &origin);
        let Ok(value) = value.and_then(|value| bearer(loader, value, &key, &origin)) else { continue };
        tokens.push(Secret { id: None, value });
    }
    if tokens.len() > MAX_ACTIVE_SECRETS {
        loader.report(origin, &key, "holds more than two; leave the oldest out");
    }
    tokens
}

/// A token for `Authorization: Bearer`, which has neither blanks nor letters beyond ASCII (RFC 6750, section 2.1).
pub fn bearer(
    loader: &mut SettingsLoader<'_>,
    token: String,
    key: &str,
    origin: &ValueOrigin,
) -> Result<String, Reported> {
    if token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(token);
    }
    Err(loader.report(origin.clone(), key, NOT_A_BEARER_TOKEN))
}

/// A secret as it was given, and where.
type LocatedSecret<'f> = (Secret, FileValue<'f>);

impl<'f> SchemeReader<'_, '_, 'f> {
    /// Secrets of any kind.
    pub fn secrets(&mut self) -> Result<Vec<Secret>, Reported> {
        let given = self.read_secrets("secrets", SECRETS, false)?;
        Ok(given.into_iter().map(|(secret, _)| secret).collect())
    }

    /// Secrets of which the vendor may say which one it used.
    pub fn secrets_with_ids(&mut self) -> Result<Vec<Secret>, Reported> {
        let given = self.read_secrets("secrets", SECRETS, true)?;
        Ok(given.into_iter().map(|(secret, _)| secret).collect())
    }

    /// Tokens for `Authorization: Bearer`.
    pub fn bearer_tokens(&mut self) -> Result<Vec<Secret>, Reported> {
        let given = self.read_secrets("secrets", SECRETS, false)?;
        let fits = |(secret, place): LocatedSecret<'f>| {
            let value = bearer(self.loader, secret.value, &place.key, &place.origin)?;
            Ok(Secret { id: None, value })
        };
        given.into_iter().map(fits).collect()
    }

    /// Secrets that are the whole value of a header: blanks may stand within.
    pub fn header_values(&mut self) -> Result<Vec<Secret>, Reported> {
        let given = self.read_secrets("secrets", SECRETS, false)?;
        let fits = |(secret, place): LocatedSecret<'f>| match secret.value.is_ascii() {
            true => Ok(secret),
            false => Err(self.loader.report(place.origin, place.key, NOT_A_HEADER_VALUE)),
        };
        given.into_iter().map(fits).collect()
    }

    pub fn public_keys(&mut self) -> Result<Vec<RsaKey>, Reported> {
        let given = self.read_secrets("public_key", PUBLIC_KEY, false)?;
        let key = |(pem, value): LocatedSecret<'f>| {
            RsaKey::from_pem(&pem.value).map_err(|bad| self.loader.report(value.origin, value.key, bad.to_string()))
        };
        given.into_iter().map(key).collect()
    }

    /// The secrets of this key, at least one.
    fn read_secrets(&mut self, key: &str, hint: &str, with_ids: bool) -> Result<Vec<LocatedSecret<'f>>, Reported> {
        let value = self.section.get(key);
        // A single one needs no list.
        let items = value.as_ref().map(|value| value.items().unwrap_or_else(|| vec![value.clone()]));
        let Some(items) = items.filter(|items| !items.is_empty()) else {
            let origin = value.map_or_else(|| self.section.origin.clone(), |value| value.origin);
            return Err(self.loader.report(origin, self.section.full_key(key), format!("is missing; {hint}")));
        };
        let all: Vec<_> = items.into_iter().map(|item| self.secret(item, hint, with_ids)).collect();
        let given: Vec<LocatedSecret<'f>> = all.into_iter().collect::<Result<_, _>>()?;
        let too_many = |(secret, _): &LocatedSecret<'f>| {
            given.iter().filter(|(other, _)| other.id == secret.id).count() > MAX_ACTIVE_SECRETS
        };
        if given.iter().any(too_many) {
            return Err(self.report_key(key, "holds more than two with the same id; leave the oldest out"));
        }
        Ok(given)
    }

    /// `"env:NAME"`, or `{ id = "…", value = "env:NAME" }`.
    fn secret(&mut self, item: FileValue<'f>, hint: &str, with_ids: bool) -> Result<LocatedSecret<'f>, Reported> {
        if let Some(text) = item.text() {
            let value = match hint {
                PUBLIC_KEY => self.loader.pem(text, &item.key, &item.origin)?,
                _ => self.loader.secret(text, &item.key, &item.origin)?,
            };
            return Ok((Secret { id: None, value }, item));
        }
        let Some(section) = item.section().filter(|_| with_ids) else {
            return Err(self.loader.report(item.origin, item.key, format!("must be text; {hint}")));
        };
        self.loader.report_unknown_keys(&section, &["id", "value"]);
        let id = section.get("id").and_then(|id| id.scalar()).filter(|id| !id.is_empty());
        let (Some(id), Some(text)) = (id, section.get("value").and_then(|value| value.text())) else {
            let text = "must have both as text; write { id = \"…\", value = \"env:NAME\" }";
            return Err(self.loader.report(item.origin, item.key, text));
        };
        let plain = self.loader.check_characters(&id, &section.full_key("id"), &item.origin);
        let value = self.loader.secret(text, &item.key, &item.origin)?;
        plain.map(|()| (Secret { id: Some(id), value }, item))
    }
}
