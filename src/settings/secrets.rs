//! The secrets of a scheme: where they stand, and how many may be active.

use super::file::{Section, Value};
use super::loader::{Found, Loader, Noted};
use super::problem::Origin;
use super::scheme::Reader;
use crate::vendor::Secret;
use crate::vendor::verify::RsaKey;

const NO_TOKEN: &str =
    "holds what cannot come in a header, such as a space; write the token alone, without a word before it";
const NO_HEADER: &str = "holds what cannot come in a header: letters beyond ASCII";

/// How many secrets with one id may be active: the new one and the old one.
const ACTIVE: usize = 2;

const SECRETS: &str = "write secrets = [\"env:NAME\"]";
const PUBLIC_KEY: &str = "write public_key = \"file:key.pem\"";

/// The tokens of the API, apart by commas.
pub fn api_tokens(loader: &mut Loader<'_>, file: Option<&Section<'_>>) -> Vec<Secret> {
    let Some(Found { text, key, origin }) = loader.given("api_tokens", file) else { return Vec::new() };
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
    if tokens.len() > ACTIVE {
        loader.problem(origin, &key, "holds more than two; leave the oldest out");
    }
    tokens
}

/// A token for `Authorization: Bearer`, which has neither blanks nor letters beyond ASCII (RFC 6750, section 2.1).
pub fn bearer(loader: &mut Loader<'_>, token: String, key: &str, origin: &Origin) -> Result<String, Noted> {
    if token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(token);
    }
    Err(loader.problem(origin.clone(), key, NO_TOKEN))
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

    /// Tokens for `Authorization: Bearer`.
    pub fn bearer_tokens(&mut self) -> Result<Vec<Secret>, Noted> {
        let given = self.given("secrets", SECRETS, false)?;
        let fits = |(secret, place): Given<'f>| {
            let value = bearer(self.loader, secret.value, &place.key, &place.origin)?;
            Ok(Secret { id: None, value })
        };
        given.into_iter().map(fits).collect()
    }

    /// Secrets that are the whole value of a header: blanks may stand within.
    pub fn header_values(&mut self) -> Result<Vec<Secret>, Noted> {
        let given = self.given("secrets", SECRETS, false)?;
        let fits = |(secret, place): Given<'f>| match secret.value.is_ascii() {
            true => Ok(secret),
            false => Err(self.loader.problem(place.origin, place.key, NO_HEADER)),
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
            let value = match hint {
                PUBLIC_KEY => self.loader.pem(text, &item.key, &item.origin)?,
                _ => self.loader.secret(text, &item.key, &item.origin)?,
            };
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
        let plain = self.loader.check_characters(&id, &section.key("id"), &item.origin);
        let value = self.loader.secret(text, &item.key, &item.origin)?;
        plain.map(|()| (Secret { id: Some(id), value }, item))
    }
}
