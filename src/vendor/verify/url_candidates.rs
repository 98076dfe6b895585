//! The URLs that a vendor may have signed. Truepic signs the registered URL and Hover its path. A trailing or a double slash
//! may have been added or removed when the URL was registered, or by a proxy. The hub accepts all of these spellings for the
//! same source, so a signature may cover any of them.

use super::WebhookRequest;
use crate::vendor::signature::UrlCandidates;
use std::borrow::Cow;

/// The path without double slashes and without a trailing slash.
pub fn normalize_path(path: &str) -> Cow<'_, str> {
    let end = path.len() > 1 && path.ends_with('/');
    if !end && !path.contains("//") {
        return Cow::Borrowed(path);
    }
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    Cow::Owned(format!("/{}", parts.join("/")))
}

/// The candidates for one request, the most likely first. The path of the public URL goes first, because a proxy may have
/// changed the path of the request. The latter counts only if both are equal when normalized.
pub fn url_candidates(public_url: &str, request: &WebhookRequest<'_>) -> UrlCandidates {
    let (origin, public_path) = split_origin(public_url);
    let same = |path: &str| normalize_path(path) == normalize_path(request.path);
    let as_it_came = public_path.is_none_or(same).then_some(request.path);
    let mut paths: Vec<String> = Vec::new();
    for path in public_path.into_iter().chain(as_it_came).flat_map(with_and_without_slash) {
        if !paths.contains(&path) {
            paths.push(path);
        }
    }
    if origin.is_empty() {
        return UrlCandidates { paths, urls: Vec::new() };
    }
    let url = |path: &str| match request.query {
        Some(query) => format!("{origin}{path}?{query}"),
        None => format!("{origin}{path}"),
    };
    let mut urls: Vec<String> = paths.iter().map(|path| url(path)).collect();
    if public_path.is_none() {
        urls.insert(0, url(""));
    }
    UrlCandidates { paths, urls }
}

/// `https://hub.example` and `/webhooks/hover`, if there is a path.
pub(super) fn split_origin(url: &str) -> (&str, Option<&str>) {
    let host = url.find("://").map(|scheme| scheme + 3);
    let slash = host.and_then(|host| Some(host + url.get(host..)?.find('/')?));
    match slash.and_then(|slash| url.split_at_checked(slash)) {
        Some((origin, path)) => (origin, Some(path)),
        None => (url, None),
    }
}

pub(super) fn with_and_without_slash(path: &str) -> [String; 2] {
    let other = match path.strip_suffix('/') {
        Some(without) => without.to_owned(),
        None => format!("{path}/"),
    };
    [path.to_owned(), other]
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderMap;
    use chrono::DateTime;

    fn called_at(public_url: &str, path: &str, query: Option<&str>) -> UrlCandidates {
        let headers = HeaderMap::new();
        url_candidates(
            public_url,
            &WebhookRequest { headers: &headers, path, query, body: b"", now: DateTime::UNIX_EPOCH },
        )
    }

    #[test]
    fn paths_are_plain() {
        for (path, plain) in [
            ("/", "/"),
            ("//", "/"),
            ("/a", "/a"),
            ("/a/", "/a"),
            ("//a///b//", "/a/b"),
            ("/a/b", "/a/b"),
            ("/a%2f/", "/a%2f"),
        ] {
            assert_eq!(normalize_path(path), plain, "{path}");
        }
    }

    #[test]
    fn without_a_public_url_the_path_is_the_received_one() {
        let called = called_at("", "/webhooks/hover/", None);
        assert_eq!(called.paths, ["/webhooks/hover/", "/webhooks/hover"]);
        assert!(called.urls.is_empty());
    }

    #[test]
    fn a_public_url_goes_first_with_its_slash_or_without() {
        let called = called_at("https://hub.example/in/hover", "/webhooks/hover", Some("token=1"));
        assert_eq!(called.paths, ["/in/hover", "/in/hover/"]);
        assert_eq!(called.urls, ["https://hub.example/in/hover?token=1", "https://hub.example/in/hover/?token=1"]);
        let called = called_at("https://hub.example/webhooks/hover", "//webhooks/hover", None);
        assert_eq!(called.paths, ["/webhooks/hover", "/webhooks/hover/", "//webhooks/hover", "//webhooks/hover/"]);
        assert_eq!(called.urls[2], "https://hub.example//webhooks/hover");
    }

    #[test]
    fn a_public_url_without_a_path_has_that_of_the_request() {
        let called = called_at("https://hub.example", "/webhooks/hover", None);
        assert_eq!(called.paths[0], "/webhooks/hover");
        assert_eq!(called.urls[..2], ["https://hub.example", "https://hub.example/webhooks/hover"]);
    }
}
