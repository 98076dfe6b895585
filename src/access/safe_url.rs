//! Addresses that credentials and keys may be sent to.

use reqwest::Url;

/// Whether what is sent to a URL, or comes from it, is encrypted or stays on this machine.
pub fn is_safe_url(url: &Url) -> bool {
    match url.scheme() {
        "https" => url.has_host(),
        "http" => matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]")),
        _ => false,
    }
}
