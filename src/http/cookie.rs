//! The hub's cookies. Their prefix `__Host-` has browsers refuse them unless they are secure, for the whole host, and set by the
//! host itself, so no other site can plant one (RFC 6265bis, section 4.1.3.2). Browsers take `http://localhost` for secure.

use axum::http::{HeaderMap, HeaderValue, header};

/// The session of a person that has logged in.
pub const SESSION: &str = "__Host-hub_session";
/// A login that is not finished.
pub const LOGIN: &str = "__Host-hub_login";
/// The header `Set-Cookie` that removes the session.
pub const REMOVE_SESSION: &str = "__Host-hub_session=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax";
/// The same for the unfinished login.
pub const REMOVE_LOGIN: &str = "__Host-hub_login=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax";

/// The value of a cookie of a request.
pub fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(known, _)| *known == name).map(|(_, value)| value)
}

/// The header `Set-Cookie` of a cookie. The value has only characters that cookies can have.
pub fn set_cookie(name: &str, value: &str, max_age_seconds: i64) -> Option<HeaderValue> {
    let text = format!("{name}={value}; Path=/; Max-Age={max_age_seconds}; Secure; HttpOnly; SameSite=Lax");
    let mut header = HeaderValue::from_str(&text).ok()?;
    header.set_sensitive(true);
    Some(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_among_others() {
        for (headers, expected) in [
            (&[][..], None),
            (&["__Host-hub_session=a"], Some("a")),
            (&["x=1; __Host-hub_session=a=b; y"], Some("a=b")),
            (&["x=1", "y=2;__Host-hub_session=a"], Some("a")),
            (&["x__Host-hub_session=a; __host-hub_session=b; hub_session=c"], None),
            (&["__Host-hub_session"], None),
            (&["__Host-hub_session=; x"], Some("")),
        ] {
            let mut map = HeaderMap::new();
            headers.iter().for_each(|header| _ = map.append(header::COOKIE, header.parse().expect("a header")));
            assert_eq!(cookie(&map, SESSION), expected, "{headers:?}");
        }
    }
}
