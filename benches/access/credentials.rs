//! A hub without rights and one with them, on one database, and what opens the second.

use crate::hub;
use crate::process::Process;
use inspection_hub::access::ApiKeyToken;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;
use std::path::Path;

/// A key for Ed25519 (RFC 8410): the private key in DER, the public one in base64url. For tests only.
const PRIVATE: &str =
    "302e020100300506032b6570042204209d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
const PUBLIC: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
const ISSUER: &str = "https://login.example";

pub struct Credentials {
    pub key: String,
    pub token: String,
}

impl Credentials {
    /// Writes the settings of both hubs into a folder.
    pub fn new(folder: &Path) -> anyhow::Result<Credentials> {
        let key = ApiKeyToken::generate()?;
        let jwks = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "use": "sig", "kid": "0", "x": PUBLIC }] });
        std::fs::write(folder.join("jwks.json"), jwks.to_string())?;
        let jwks = folder.join("jwks.json").display().to_string();
        let secret = folder.join("secret");
        std::fs::write(&secret, "a secret of a benchmark")?;
        let guarded = format!(
            "[[api_keys]]\nid = '{}'\nname = 'bench'\nhash = 'sha256:{}'\nscopes = ['read']\n\
             [[token_issuers]]\nissuer = '{ISSUER}'\naudience = 'hub'\njwks = 'file:{jwks}'\nalgorithms = ['EdDSA']\n\
             [[token_issuers.grants]]\nclaim = 'groups'\nvalue = 'readers'\nscopes = ['read']\n\
             [[sources.truto.verify]]\nscheme = 'signature'\nsecrets = ['file:{}']\n",
            key.id,
            key.digest(),
            secret.display()
        );
        std::fs::write(folder.join("guarded.toml"), guarded)?;
        let claims = json!({ "iss": ISSUER, "aud": "hub", "sub": "bench", "exp": chrono::Utc::now().timestamp() + 3600,
            "groups": ["readers"] });
        let header = Header { kid: Some("0".to_owned()), ..Header::new(Algorithm::EdDSA) };
        let signing = EncodingKey::from_ed_der(&hex::decode(PRIVATE)?);
        let token = jsonwebtoken::encode(&header, &claims, &signing)?;
        Ok(Credentials { key: key.reveal(), token })
    }

    pub fn open_hub(&self, folder: &Path) -> anyhow::Result<Process> {
        hub::start(folder, &[])
    }

    pub fn guarded_hub(&self, folder: &Path) -> anyhow::Result<Process> {
        hub::start(folder, &["--config", "guarded.toml"])
    }
}
