//! A digest of the settings, by which an operator finds a replica that has others. It is of values that are no secrets: nobody can
//! test a guess of a secret against it.

use super::{Settings, SourceSettings};
use crate::access::ApiKey;
use reqwest::Url;
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// Left out: what replicas on one machine cannot share, and addresses that may contain a password.
const LEFT_OUT: &[&str] = &["listen", "database", "nats"];
/// Bytes of the digest.
const LENGTH: usize = 16;

impl Settings {
    /// The digest in hexadecimal. Replicas of one version with the same settings have the same; secrets make no difference, except
    /// for their number, ids and dates.
    pub fn digest(&self) -> String {
        let mut parts: Vec<String> = Vec::new();
        let plain = self.debug_values().into_iter().filter(|(key, _)| !LEFT_OUT.contains(key));
        parts.extend(plain.map(|(key, value)| format!("{key} = {value}")));
        // The server without user and password.
        let nats = self.nats.as_deref().and_then(|address| Url::parse(address).ok());
        parts.push(format!("{:?}", nats.map(|url| (url.host_str().map(str::to_owned), url.port()))));
        parts.extend(self.sources.iter().map(source));
        parts.extend(
            self.api_keys
                .iter()
                .map(|ApiKey { id, name, view, expires_at, .. }| format!("{id} {name} {view:?} {expires_at:?}")),
        );
        parts.push(format!("{:?} {:?}", self.token_issuers, self.proxy_grants));
        let hash = parts.iter().fold(Sha256::new(), |hash, part| {
            hash.chain_update((part.len() as u64).to_be_bytes()).chain_update(part.as_bytes())
        });
        let bytes = hash.finalize();
        bytes.iter().take(LENGTH).fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

fn source(source: &SourceSettings) -> String {
    let SourceSettings { name, vendor, verifier, public_url, rate_limit, .. } = source;
    let SourceSettings { expect_every, handshake, vendor_link, waiting_rules, .. } = source;
    let api = handshake.as_ref().map(|target| &target.api_url);
    let vendor = vendor.name;
    format!(
        "{name} {vendor} {public_url:?} {rate_limit:?} {expect_every:?} {api:?} {vendor_link:?} {waiting_rules} {}",
        verifier.summary()
    )
}
