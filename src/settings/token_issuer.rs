//! The issuers of JSON Web Tokens: `[[token_issuers]]`.

use super::access_reader::{self, AccessReader};
use super::file::FileValue;
use super::loader::{Loader, Reported};
use super::parse_access;
use super::source::source_names;
use super::table::{Setting, TOKEN_GRANT_SETTINGS, TOKEN_ISSUER_SETTINGS};
use crate::access::{ClaimGrant, KeySetSource, TokenIssuer};
use jsonwebtoken::Algorithm;

/// Algorithms with a public key.
const ALGORITHMS: &[(&str, Algorithm)] = &[
    ("RS256", Algorithm::RS256),
    ("RS384", Algorithm::RS384),
    ("RS512", Algorithm::RS512),
    ("PS256", Algorithm::PS256),
    ("PS384", Algorithm::PS384),
    ("PS512", Algorithm::PS512),
    ("ES256", Algorithm::ES256),
    ("ES384", Algorithm::ES384),
    ("EdDSA", Algorithm::EdDSA),
];

/// All issuers of the file.
pub fn read_token_issuers(loader: &mut Loader<'_>, file: &FileValue<'_>) -> Vec<TokenIssuer> {
    let sources = source_names(file);
    let mut issuers: Vec<TokenIssuer> = Vec::new();
    for table in access_reader::tables(loader, file, "token_issuers") {
        let Ok(issuer) = (AccessReader { loader, table: &table, sources: &sources }).token_issuer() else { continue };
        if issuers.iter().any(|earlier| earlier.issuer == issuer.issuer) {
            loader
                .report(&table.location_of("issuer"), "is the issuer of an earlier table; put all its grants into one");
        }
        issuers.push(issuer);
    }
    issuers
}

impl AccessReader<'_, '_, '_> {
    // Everything is read before the first `?`, so that all mistakes are found.
    fn token_issuer(&mut self) -> Result<TokenIssuer, Reported> {
        self.report_unknown(TOKEN_ISSUER_SETTINGS);
        let issuer = self.required("issuer", "write the claim `iss` of its tokens, as in \"https://login.example\"");
        let audience = self.required("audience", "write what the claim `aud` of tokens for this hub contains");
        let (key_set, algorithms, grants) = (self.key_set(), self.algorithms(), self.grants());
        Ok(TokenIssuer {
            issuer: issuer?,
            audience: audience?,
            key_set: key_set?,
            algorithms: algorithms?,
            grants: grants?,
        })
    }

    fn key_set(&mut self) -> Result<KeySetSource, Reported> {
        let text = self.required("jwks", "write the address of its key set, or \"file:PATH\"")?;
        if let Some(path) = text.strip_prefix("file:").filter(|path| !path.is_empty()) {
            return Ok(KeySetSource::File(path.into()));
        }
        // An attacker that can change the keys on the way could sign tokens.
        let write = "must be an https address, an http address of this machine, or file:PATH";
        if parse_access::is_safe_url(&text) { Ok(KeySetSource::Url(text)) } else { Err(self.report("jwks", write)) }
    }

    fn algorithms(&mut self) -> Result<Vec<Algorithm>, Reported> {
        let algorithms = self.given_algorithms()?.filter(|algorithms| !algorithms.is_empty());
        algorithms.ok_or_else(|| self.report("algorithms", "is missing; write those it signs with, as in [\"RS256\"]"))
    }

    /// The algorithms of the list, if the key is present.
    pub fn given_algorithms(&mut self) -> Result<Option<Vec<Algorithm>>, Reported> {
        let known = || ALGORITHMS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        self.list("algorithms", |_, name| {
            let found = ALGORITHMS.iter().find(|(known, _)| *known == name).map(|(_, algorithm)| *algorithm);
            found.ok_or_else(|| format!("{name:?} is not an algorithm with a public key; write some of {}", known()))
        })
    }

    fn grants(&mut self) -> Result<Vec<ClaimGrant>, Reported> {
        self.claim_grants("token_issuers.grants")
    }

    /// What claims allow: the tables `grants`, whose name in the file is `full_name`.
    pub fn claim_grants(&mut self, full_name: &str) -> Result<Vec<ClaimGrant>, Reported> {
        let tables = access_reader::tables(self.loader, self.table, "grants");
        if tables.is_empty() {
            let missing = format!("is missing; write [[{full_name}]] with claim, value and scopes");
            return Err(self.report("grants", &missing));
        }
        let read = |table: &FileValue<'_>| {
            let mut reader = AccessReader { loader: self.loader, table, sources: self.sources };
            reader.report_unknown(TOKEN_GRANT_SETTINGS);
            let claim = reader.required("claim", "write the name of a claim, as in \"groups\"");
            let value = reader.required("value", "write the value of the claim that has these scopes");
            let view = reader.view();
            Ok(ClaimGrant { claim: claim?, value: value?, view: view? })
        };
        let grants: Vec<Result<ClaimGrant, Reported>> = tables.iter().map(read).collect();
        grants.into_iter().collect()
    }

    /// Reports the keys that the table cannot have.
    pub fn report_unknown(&mut self, settings: &[Setting]) {
        let known: Vec<&str> = settings.iter().map(|setting| setting.key).collect();
        self.loader.report_unknown_keys(self.table, &known);
    }
}
