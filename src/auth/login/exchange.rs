//! From the code of a login to what the provider says of the person: the request of the tokens, the checks of the ID token (OpenID
//! Connect Core, section 3.1.3.7), and the claims that are at the UserInfo endpoint alone.

use super::metadata::ProviderMetadata;
use super::{LoginError, ProviderClient};
use crate::auth::jwt::{ExpectedToken, NotVerified, VerifiedClaims, read_body};
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use chrono::{DateTime, Utc};
use reqwest::{RequestBuilder, Url};
use serde::Deserialize;
use serde_json::Value;

/// A code, and what redeems it.
pub struct LoginCode<'a> {
    pub code: &'a str,
    pub code_verifier: String,
    /// What the ID token must contain.
    pub nonce: String,
}

#[derive(Deserialize)]
struct Tokens {
    id_token: String,
    access_token: String,
}

impl ProviderClient {
    /// What the provider says of the person.
    ///
    /// # Errors
    /// If it does not answer, refuses the code, or its answer is not verified.
    pub async fn redeem(
        &self,
        metadata: &ProviderMetadata,
        code: LoginCode<'_>,
        now: DateTime<Utc>,
    ) -> Result<VerifiedClaims, LoginError> {
        let tokens = self.tokens(metadata, &code).await?;
        let mut claims = self.verified(&tokens.id_token, &code.nonce, now).await?;
        let is_missing = self.settings.needed_claims().any(|claim| claims.get(claim).is_none());
        if let Some(userinfo) = metadata.userinfo.as_ref().filter(|_| is_missing) {
            claims.add_missing(self.user_info(userinfo, &tokens.access_token, &claims).await?);
        }
        Ok(claims)
    }

    async fn tokens(&self, metadata: &ProviderMetadata, code: &LoginCode<'_>) -> Result<Tokens, LoginError> {
        let request = self.token_request(metadata, code);
        let body = send(request, LoginError::CodeRefused, "tokens").await?;
        serde_json::from_slice(&body).map_err(|_| not_verified("the answer with the tokens cannot be read"))
    }

    fn token_request(&self, metadata: &ProviderMetadata, code: &LoginCode<'_>) -> RequestBuilder {
        let (client_id, secret) = (self.settings.client_id.as_str(), self.settings.client_secret.value.as_str());
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "authorization_code")
            .append_pair("code", code.code)
            .append_pair("redirect_uri", &self.settings.redirect_uri())
            .append_pair("code_verifier", &code.code_verifier);
        let mut request = self.http.post(metadata.token.clone());
        if metadata.takes_basic {
            // Encoded as in a form (RFC 6749, section 2.3.1).
            let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
            request = request.basic_auth(encoded(client_id), Some(encoded(secret)));
        } else {
            form.append_pair("client_id", client_id).append_pair("client_secret", secret);
        }
        request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form.finish())
    }

    async fn verified(&self, token: &str, nonce: &str, now: DateTime<Utc>) -> Result<VerifiedClaims, LoginError> {
        let expected = ExpectedToken {
            issuer: &self.settings.issuer,
            audience: &self.settings.client_id,
            algorithms: &self.settings.algorithms,
        };
        let verify = || self.keys.current().0.verify(token, &expected);
        let mut verified = verify();
        if verified.as_ref().is_err_and(|refused| *refused == NotVerified::UnknownKey) {
            self.keys.refetch().await;
            verified = verify();
        }
        let claims = verified.map_err(|refused| {
            not_verified(match refused {
                NotVerified::Invalid => {
                    "the signature, the algorithm, the issuer or the audience of the ID token is wrong"
                }
                NotVerified::UnknownKey => "the ID token is signed with an unknown key",
            })
        })?;
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        let has_other_audiences =
            claims.get("aud").and_then(Value::as_array).is_some_and(|audiences| audiences.len() > 1);
        // The party that it was issued to. Required if it is for several.
        let is_for_us = match claims.get("azp") {
            Some(_) => text("azp") == Some(&self.settings.client_id),
            None => !has_other_audiences,
        };
        if claims.check_times(now).is_none() {
            return Err(not_verified("the ID token has expired, or is not valid yet"));
        }
        if !is_for_us {
            return Err(not_verified("the ID token was issued to another client"));
        }
        if text("nonce") != Some(nonce) {
            return Err(not_verified("the ID token is from another login"));
        }
        Ok(claims)
    }

    async fn user_info(
        &self,
        address: &Url,
        access_token: &str,
        token: &VerifiedClaims,
    ) -> Result<VerifiedClaims, LoginError> {
        let request = self.http.get(address.clone()).bearer_auth(access_token);
        let body = send(request, LoginError::NotVerified, "claims").await?;
        let claims: VerifiedClaims =
            serde_json::from_slice(&body).map_err(|_| not_verified("the claims of the person cannot be read"))?;
        // Else they may be those of somebody else (section 5.3.2).
        match claims.get("sub") == token.get("sub") {
            true => Ok(claims),
            false => Err(not_verified("the claims are of another person than the ID token")),
        }
    }
}

/// Sends a request to the provider. If it refuses that, the login fails with `refused`.
async fn send(request: RequestBuilder, refused: LoginError, what: &str) -> Result<Vec<u8>, LoginError> {
    let unavailable = |why: String| {
        tracing::warn!(why, "a login failed: the identity provider did not answer with the {what}");
        LoginError::ProviderUnavailable
    };
    let response = request.header(ACCEPT, "application/json").send().await;
    let response = response.map_err(|error| unavailable(error.without_url().to_string()))?;
    let status = response.status();
    if status.is_server_error() {
        return Err(unavailable(format!("status {}", status.as_u16())));
    }
    if !status.is_success() {
        tracing::warn!(status = status.as_u16(), "a login failed: the identity provider refused the {what}");
        return Err(refused);
    }
    read_body(response).await.map_err(unavailable)
}

// The log says what is wrong, never a value.
fn not_verified(why: &str) -> LoginError {
    tracing::warn!(why, "a login failed: the answer of the identity provider is not valid");
    LoginError::NotVerified
}
