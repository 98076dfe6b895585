//! Secrets: the secrets and keys of a verification scheme, and a token for a vendor's API.

use super::error::Location;
use super::file::FileValue;
use super::loader::{Loader, Reported};
use super::verify_scheme::SchemeReader;
use crate::vendor::Secret;
use crate::vendor::verify::RsaKey;
use chrono::{DateTime, NaiveDate, NaiveTime, Utc};

const NOT_A_BEARER_TOKEN: &str =
    "contains a space or another character that no header can carry; write only the token, without a scheme before it";
const NOT_ASCII: &str = "contains characters beyond ASCII, which no header can carry";

/// While a secret is replaced, the new and the old one are active. Secrets with different ids count separately.
const MAX_ACTIVE_SECRETS: usize = 2;

const SECRETS_HINT: &str = "write secrets = [\"env:NAME\"]";
const PUBLIC_KEY_HINT: &str = "write public_key = \"file:key.pem\"";

/// Where a scheme sends its secrets, which decides what they may contain.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum SecretUse {
    /// Anywhere but a header.
    Any,
    /// In a signature. The vendor may name the secret by its id.
    Signature,
    /// In `Authorization: Bearer`.
    Bearer,
    /// As the whole value of a header, which may contain spaces.
    Header,
}

/// A token for `Authorization: Bearer`, without spaces and characters beyond ASCII (RFC 6750, section 2.1).
pub fn bearer_token(loader: &mut Loader<'_>, text: &str, at: &Location) -> Result<Secret, Reported> {
    let value = loader.secret(text, at)?;
    match value.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(Secret::new(value)),
        false => Err(loader.report(at, NOT_A_BEARER_TOKEN)),
    }
}

impl SchemeReader<'_, '_, '_> {
    pub fn secrets(&mut self, used: SecretUse) -> Result<Vec<Secret>, Reported> {
        let secrets = self.list("secrets", SECRETS_HINT, |reader, item| reader.secret(item, used))?;
        let equal_ids = |secret: &Secret| secrets.iter().filter(|other| other.id == secret.id).count();
        if secrets.iter().any(|secret| equal_ids(secret) > MAX_ACTIVE_SECRETS) {
            return Err(self.report("secrets", "has more than two secrets with the same id; remove the oldest"));
        }
        Ok(secrets)
    }

    pub fn public_keys(&mut self) -> Result<Vec<RsaKey>, Reported> {
        let keys = self.list("public_key", PUBLIC_KEY_HINT, |reader, item| {
            let text = reader.secret_text(item, PUBLIC_KEY_HINT)?;
            let pem = reader.loader.pem(text, &item.at)?;
            RsaKey::from_pem(&pem).map_err(|error| reader.loader.report(&item.at, error.to_string()))
        })?;
        if keys.len() > MAX_ACTIVE_SECRETS {
            return Err(self.report("public_key", "has more than two keys; remove the oldest"));
        }
        Ok(keys)
    }

    /// The values of a list, at least one. A single value needs no list.
    fn list<T>(
        &mut self,
        key: &str,
        hint: &str,
        read: impl Fn(&mut Self, &FileValue<'_>) -> Result<T, Reported>,
    ) -> Result<Vec<T>, Reported> {
        let items = self.table.get(key).map(|value| value.items().unwrap_or_else(|| vec![value]));
        let Some(items) = items.filter(|items| !items.is_empty()) else {
            return Err(self.report(key, &format!("is missing; {hint}")));
        };
        // All items are read, so that all mistakes are found.
        let values: Vec<Result<T, Reported>> = items.iter().map(|item| read(self, item)).collect();
        values.into_iter().collect()
    }

    fn secret(&mut self, item: &FileValue<'_>, used: SecretUse) -> Result<Secret, Reported> {
        if !item.is_table() {
            return self.secret_value(item, used);
        }
        self.loader.report_unknown_keys(item, &["id", "value", "since"]);
        let since = item.get("since").map(|since| self.since(&since)).transpose();
        let id = item.get("id").map(|id| self.secret_id(&id, used)).transpose();
        let Some(value) = item.get("value") else {
            return Err(self
                .loader
                .report(&item.at, "has no value; write { value = \"env:NAME\", since = 2026-01-15 }"));
        };
        let secret = self.secret_value(&value, used);
        Ok(Secret { id: id?, since: since?, ..secret? })
    }

    fn secret_value(&mut self, item: &FileValue<'_>, used: SecretUse) -> Result<Secret, Reported> {
        let text = self.secret_text(item, SECRETS_HINT)?;
        if used == SecretUse::Bearer {
            return bearer_token(self.loader, text, &item.at);
        }
        let value = self.loader.secret(text, &item.at)?;
        if used == SecretUse::Header && !value.is_ascii() {
            return Err(self.loader.report(&item.at, NOT_ASCII));
        }
        Ok(Secret::new(value))
    }

    /// By which a vendor names the secret.
    fn secret_id(&mut self, id: &FileValue<'_>, used: SecretUse) -> Result<String, Reported> {
        if used != SecretUse::Signature {
            return Err(self.loader.report(&id.at, "is for signatures only; remove it"));
        }
        let Some(text) = id.scalar().filter(|id| !id.is_empty()) else {
            return Err(self.loader.report(&id.at, "must be a single value that is not empty"));
        };
        self.loader.check_characters(&text, &id.at)?;
        Ok(text)
    }

    /// A day, or a time with its offset.
    fn since(&mut self, since: &FileValue<'_>) -> Result<DateTime<Utc>, Reported> {
        let text = since.scalar().unwrap_or_default();
        self.loader.check_characters(&text, &since.at)?;
        let day = || Some(text.parse::<NaiveDate>().ok()?.and_time(NaiveTime::MIN).and_utc());
        let time = DateTime::parse_from_rfc3339(&text).map(|time| time.to_utc()).ok().or_else(day);
        time.ok_or_else(|| {
            let message = format!("{text:?} is neither a day nor a time; write 2026-01-15, or 2026-01-15T12:00:00Z");
            self.loader.report(&since.at, message)
        })
    }

    fn secret_text<'v>(&mut self, item: &FileValue<'v>, hint: &str) -> Result<&'v str, Reported> {
        item.text().ok_or_else(|| self.loader.report(&item.at, format!("must be a string; {hint}")))
    }
}
