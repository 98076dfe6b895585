//! The page that a person sees instead of being logged in. It loads nothing.

use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};

const CONTENT_SECURITY_POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// A page with a message, and a link to log in.
pub fn page(status: StatusCode, message: &str, login: &str) -> Response {
    let mut letters = message.chars();
    let message: String = letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default();
    let end = if message.ends_with('.') { "" } else { "." };
    let html = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><title>Inspection Hub</title>\
         <meta name=viewport content=\"width=device-width\">\
         <style>body{{font:16px/1.5 system-ui;max-width:40rem;margin:4rem auto;padding:0 1rem;color-scheme:light dark}}</style>\
         <h1>Inspection Hub</h1><p>{}{end}</p><p><a href=\"{login}\">Log in</a></p></html>",
        escape(&message)
    );
    let headers = [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (status, headers, Html(html)).into_response()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_text() {
        assert_eq!(escape("<script>\"&\""), "&lt;script&gt;&quot;&amp;&quot;");
    }
}
