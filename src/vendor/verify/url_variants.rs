//! URLs that a vendor may have signed instead of the configured one: the usual mistakes when a URL is registered, or when a proxy
//! changes it.

use super::WebhookRequest;
use super::url_candidates::{split_origin, with_and_without_slash};
use crate::vendor::signature::UrlCandidates;
use axum::http::header::HOST;

/// Changes of a URL at the same time.
const MAX_CHANGES: usize = 2;

/// A part of the URL, with words for what is different about it; none if it is as it was.
type UrlPart = (Option<&'static str>, String);

/// The variants, those with one change first, each with its words: `the URL with http instead of https`. `signs_url`: whether the
/// signature covers more than the path.
pub fn url_variants<'a>(
    public_url: &'a str,
    request: &WebhookRequest<'a>,
    signs_url: bool,
) -> impl Iterator<Item = (String, UrlCandidates)> {
    let (origin, public_path) = split_origin(public_url);
    let (scheme, authority) = origin.split_once("://").unwrap_or(("https", origin));
    let path = public_path.unwrap_or(request.path);
    let unchanged = |text: &str| -> Vec<UrlPart> { vec![(None, text.to_owned())] };
    let (mut schemes, mut authorities, mut queries) = (unchanged(scheme), unchanged(authority), Vec::new());
    queries.push((None, request.query.map(|query| format!("?{query}")).unwrap_or_default()));
    let mut paths = unchanged(path);
    if signs_url {
        schemes.push(match scheme {
            "https" => (Some("with http instead of https"), "http".to_owned()),
            _ => (Some("with https instead of http"), "https".to_owned()),
        });
        authorities.extend(other_authorities(authority, request));
        paths.push((Some("without its path"), String::new()));
    }
    if request.query.is_some() {
        queries.push((Some("without its query"), String::new()));
    }
    if path != request.path {
        paths.push((Some("with the path that the request has"), request.path.to_owned()));
    }
    let mut variants = Vec::new();
    for (of_scheme, scheme) in &schemes {
        for (of_authority, authority) in &authorities {
            for (of_path, path) in &paths {
                for (of_query, query) in &queries {
                    let changes: Vec<&str> =
                        [of_scheme, of_authority, of_path, of_query].into_iter().flatten().copied().collect();
                    if (1..=MAX_CHANGES).contains(&changes.len()) {
                        let paths = if path.is_empty() {
                            vec![String::new(), "/".to_owned()]
                        } else {
                            with_and_without_slash(path).into()
                        };
                        let url = |path: &String| format!("{scheme}://{authority}{path}{query}");
                        let urls = paths.iter().map(url).collect();
                        variants.push((
                            changes.len(),
                            format!("the URL {}", changes.join(", ")),
                            UrlCandidates { paths, urls },
                        ));
                    }
                }
            }
        }
    }
    variants.sort_by_key(|(changes, ..)| *changes);
    variants.into_iter().map(|(_, words, candidates)| (words, candidates))
}

fn other_authorities(authority: &str, request: &WebhookRequest<'_>) -> Vec<UrlPart> {
    let mut others = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
            vec![(Some("without its port"), host.to_owned())]
        }
        _ => vec![
            (Some("with the port 443"), format!("{authority}:443")),
            (Some("with the port 80"), format!("{authority}:80")),
        ],
    };
    let host = request.headers.get(HOST).and_then(|host| host.to_str().ok());
    others.extend(host.map(|host| (Some("with the host that the request names"), host.to_owned())));
    let forwarded = request.headers.get("x-forwarded-host").and_then(|host| host.to_str().ok());
    others.extend(forwarded.map(|host| (Some("with the host that a proxy forwarded"), host.to_owned())));
    others.retain(|(_, other)| other != authority);
    others
}
