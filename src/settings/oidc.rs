//! The identity provider at which people log in: `[oidc]`.

use super::access_reader::AccessReader;
use super::file::FileValue;
use super::loader::{Loader, Reported};
use super::parse_access;
use super::source::source_names;
use super::table::OIDC_SETTINGS;
use crate::access::{DEFAULT_SUBJECT_CLAIM, LoginProvider};
use crate::vendor::Secret;
use jsonwebtoken::Algorithm;

/// The scope that makes a request one of OpenID Connect.
const OPENID: &str = "openid";

/// The table `[oidc]`. `public_url`: where a login returns to.
pub fn read_oidc(loader: &mut Loader<'_>, file: &FileValue<'_>, public_url: Option<&str>) -> Option<LoginProvider> {
    let table = file.get("oidc")?;
    if !table.is_table() {
        loader.report(&table.at, "must be a table; write [oidc]");
        return None;
    }
    let sources = source_names(file);
    let mut reader = AccessReader { loader, table: &table, sources: &sources };
    let provider = reader.login_provider(public_url);
    if public_url.is_none() {
        // A mistake in it is reported already.
        let is_given = loader.errors.iter().any(|error| error.at.key == "public_url");
        let write = "needs public_url; write where browsers reach this hub, as in public_url = \"https://hub.example\"";
        if !is_given {
            loader.report(&table.at, write);
        }
    }
    provider.ok()
}

impl AccessReader<'_, '_, '_> {
    // Everything is read before the first `?`, so that all mistakes are found.
    fn login_provider(&mut self, public_url: Option<&str>) -> Result<LoginProvider, Reported> {
        self.report_unknown(OIDC_SETTINGS);
        let issuer = self.issuer();
        let client_id = self.required("client_id", "write the name under which this hub is registered");
        let (client_secret, scopes, subject_claim) = (self.client_secret(), self.oidc_scopes(), self.subject_claim());
        let (algorithms, grants) = (self.given_algorithms(), self.claim_grants("oidc.grants"));
        Ok(LoginProvider {
            issuer: issuer?,
            client_id: client_id?,
            client_secret: client_secret?,
            scopes: scopes?,
            subject_claim: subject_claim?,
            algorithms: algorithms?.filter(|given| !given.is_empty()).unwrap_or_else(|| vec![Algorithm::RS256]),
            grants: grants?,
            public_url: public_url.unwrap_or_default().to_owned(),
        })
    }

    fn issuer(&mut self) -> Result<String, Reported> {
        let issuer = self.required("issuer", "write the address of the provider, as in \"https://login.example\"")?;
        let is_plain = parse_access::is_safe_url(&issuer) && !issuer.contains(['?', '#']);
        let write = "must be an https address, or an http address of this machine, without a query";
        if is_plain { Ok(issuer) } else { Err(self.report("issuer", write)) }
    }

    fn client_secret(&mut self) -> Result<Secret, Reported> {
        const WRITE: &str = "is missing; write client_secret = \"env:NAME\" or \"file:PATH\"";
        let value = self.table.get("client_secret");
        let Some((text, at)) = value.as_ref().and_then(|value| Some((value.text()?, &value.at))) else {
            return Err(self.report("client_secret", WRITE));
        };
        Ok(Secret::new(self.loader.secret(text, at)?))
    }

    fn oidc_scopes(&mut self) -> Result<Vec<String>, Reported> {
        let scopes = self.list("scopes", |_, name| {
            let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"');
            if is_name { Ok(name.to_owned()) } else { Err(format!("{name:?} is not the name of a scope")) }
        })?;
        let mut scopes = scopes.unwrap_or_default();
        if !scopes.iter().any(|scope| scope == OPENID) {
            scopes.insert(0, OPENID.to_owned());
        }
        Ok(scopes)
    }

    fn subject_claim(&mut self) -> Result<String, Reported> {
        match self.table.get("subject_claim") {
            Some(_) => self.required("subject_claim", "write the name of a claim"),
            None => Ok(DEFAULT_SUBJECT_CLAIM.to_owned()),
        }
    }
}
