//! What a provider publishes about itself (OpenID Connect Discovery 1.0, section 3).

use crate::access::is_safe_url;
use reqwest::Url;
use serde::Deserialize;

/// The addresses of a provider. All of them are safe to send credentials to.
#[derive(Clone, Debug)]
pub struct ProviderMetadata {
    pub authorization: Url,
    pub token: Url,
    pub jwks: Url,
    pub userinfo: Option<Url>,
    pub end_session: Option<Url>,
    /// Whether it takes the client's secret in the header `Authorization`, else in the body.
    pub takes_basic: bool,
    /// Whether its answers name it (RFC 9207).
    pub names_itself: bool,
}

#[derive(Deserialize)]
struct Published {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    userinfo_endpoint: Option<String>,
    end_session_endpoint: Option<String>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

impl ProviderMetadata {
    /// Where it is.
    pub fn address(issuer: &str) -> String {
        format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'))
    }

    /// # Errors
    /// If it is not the configuration of this issuer, or has an address that is not safe.
    pub fn parse(json: &[u8], issuer: &str) -> Result<ProviderMetadata, &'static str> {
        let published: Published =
            serde_json::from_slice(json).map_err(|_| "its configuration is not that of an OpenID Connect provider")?;
        if published.issuer != issuer {
            return Err("its configuration is of another issuer");
        }
        let optional = |address: Option<String>| address.as_deref().map(safe_address).transpose();
        Ok(ProviderMetadata {
            authorization: safe_address(&published.authorization_endpoint)?,
            token: safe_address(&published.token_endpoint)?,
            jwks: safe_address(&published.jwks_uri)?,
            userinfo: optional(published.userinfo_endpoint)?,
            end_session: optional(published.end_session_endpoint)?,
            // The default of the specification.
            takes_basic: published
                .token_endpoint_auth_methods_supported
                .is_none_or(|methods| methods.iter().any(|method| method == "client_secret_basic")),
            names_itself: published.authorization_response_iss_parameter_supported,
        })
    }
}

fn safe_address(text: &str) -> Result<Url, &'static str> {
    let address = Url::parse(text).ok().filter(is_safe_url);
    address.ok_or("its configuration has an address that is not https")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const ISSUER: &str = "https://login.example";

    fn published() -> Value {
        json!({
            "issuer": ISSUER,
            "authorization_endpoint": "https://login.example/auth?tenant=1",
            "token_endpoint": "https://login.example/token",
            "jwks_uri": "https://keys.example/jwks",
        })
    }

    #[test]
    fn the_configuration_of_a_provider() {
        let parse = |published: &Value| ProviderMetadata::parse(published.to_string().as_bytes(), ISSUER);
        let metadata = parse(&published()).expect("valid");
        assert!(metadata.takes_basic && !metadata.names_itself && metadata.end_session.is_none());
        let mut other = published();
        other["token_endpoint_auth_methods_supported"] = json!(["client_secret_post", "private_key_jwt"]);
        other["authorization_response_iss_parameter_supported"] = json!(true);
        let metadata = parse(&other).expect("valid");
        assert!(!metadata.takes_basic && metadata.names_itself);
        for (name, value) in [
            ("issuer", json!("https://login.example/")),
            ("issuer", json!("https://evil.example")),
            ("issuer", Value::Null),
            ("authorization_endpoint", json!("http://login.example/auth")),
            ("authorization_endpoint", json!("javascript:alert(1)")),
            ("token_endpoint", json!("http://login.example/token")),
            ("token_endpoint", json!("/token")),
            ("token_endpoint", Value::Null),
            ("jwks_uri", json!("http://keys.example/jwks")),
            ("userinfo_endpoint", json!("http://login.example/me")),
            ("end_session_endpoint", json!("ftp://login.example")),
        ] {
            let mut wrong = published();
            wrong[name] = value;
            assert!(parse(&wrong).is_err(), "{wrong}");
        }
        for text in ["", "[]", "<html>"] {
            assert!(ProviderMetadata::parse(text.as_bytes(), ISSUER).is_err(), "{text}");
        }
        assert_eq!(
            ProviderMetadata::address("https://a.example/t/"),
            "https://a.example/t/.well-known/openid-configuration"
        );
    }
}
