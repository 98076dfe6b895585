//! Proxies in front of the hub. Of those in the configured networks alone it believes whose request it is: the client's address
//! (`Forwarded`, RFC 7239; `X-Forwarded-For`), and the user that the proxy has authenticated. From anybody else, the headers about
//! the user are removed. A proxy is recognized by the address of the connection, never by a header.

use crate::access::{ClientNetwork, Principal, Scopes, View};
use axum::http::{HeaderMap, HeaderName, Request};
use ipnet::IpNet;
use std::net::IpAddr;
use std::sync::Arc;

const FORWARDED: HeaderName = HeaderName::from_static("forwarded");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// The group that every user is in.
const EVERYONE: &str = "*";
/// Bytes of a user's name, and groups of a user.
const MAX_USER_BYTES: usize = 256;
const MAX_GROUPS: usize = 1_000;

/// The settings about proxies.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies {
    pub networks: Vec<IpNet>,
    pub user_header: Option<HeaderName>,
    pub groups_header: Option<HeaderName>,
    /// What each group may do.
    pub grants: Vec<(String, View)>,
}

/// The user whom a trusted proxy has authenticated: an extension of the request.
#[derive(Clone, Debug)]
pub struct ProxyUser(pub Arc<Principal>);

impl TrustedProxies {
    /// Notes whose request it is, and removes the headers about the user. `peer`: the other end of the connection.
    pub fn note<B>(&self, peer: IpAddr, request: &mut Request<B>) {
        let is_trusted = self.is_trusted(peer);
        let client = if is_trusted { self.client_address(peer, request.headers()) } else { peer };
        let user = if is_trusted { self.user(request.headers()) } else { None };
        for header in [&self.user_header, &self.groups_header].into_iter().flatten() {
            request.headers_mut().remove(header);
        }
        request.extensions_mut().insert(ClientNetwork::new(client));
        if let Some(user) = user {
            request.extensions_mut().insert(user);
        }
    }

    fn is_trusted(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.networks.iter().any(|network| network.contains(&address))
    }

    /// The last address on the way that is not a trusted proxy's: what is before it may be made up by the client.
    fn client_address(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let by = |way: Vec<Option<IpAddr>>| self.last_untrusted(peer, way);
        match (headers.contains_key(FORWARDED), headers.contains_key(X_FORWARDED_FOR)) {
            (true, false) => by(forwarded_for(headers)),
            (false, true) => by(x_forwarded_for(headers)),
            (false, false) => peer,
            // A proxy writes one of them. If they disagree, the client has made up the other.
            (true, true) => {
                let client = by(forwarded_for(headers));
                if client == by(x_forwarded_for(headers)) { client } else { peer }
            }
        }
    }

    fn last_untrusted(&self, peer: IpAddr, way: Vec<Option<IpAddr>>) -> IpAddr {
        let mut client = peer;
        for address in way.into_iter().rev() {
            match address {
                Some(address) => client = address,
                // A name, or nothing that can be read: all before it is unknown.
                None => return client,
            }
            if !self.is_trusted(client) {
                return client;
            }
        }
        client
    }

    fn user(&self, headers: &HeaderMap) -> Option<ProxyUser> {
        let mut values = headers.get_all(self.user_header.as_ref()?).iter();
        let name = values.next()?.to_str().ok()?.trim();
        // Two of them: the client may have sent one.
        let is_usable = values.next().is_none() && !name.is_empty() && name.len() <= MAX_USER_BYTES;
        if !is_usable {
            return None;
        }
        let mut groups: Vec<&str> = Vec::new();
        if let Some(header) = &self.groups_header {
            let mut values = headers.get_all(header).iter();
            let value = values.next().map_or(Some(""), |value| value.to_str().ok())?;
            if values.next().is_some() {
                return None;
            }
            groups.extend(value.split(',').map(str::trim).take(MAX_GROUPS));
        }
        let granted = self.grants.iter().filter(|(group, _)| group == EVERYONE || groups.contains(&group.as_str()));
        let view = View::combined(granted.map(|(_, view)| view));
        Some(ProxyUser(Arc::new(Principal {
            subject: format!("proxy:{name}").into(),
            view,
            ..Principal::anyone(Scopes::NONE)
        })))
    }
}

/// The addresses of `X-Forwarded-For`, from the client to the last proxy; `None` for one that cannot be read.
fn x_forwarded_for(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    let values = headers.get_all(X_FORWARDED_FOR).iter().map(|value| value.to_str().unwrap_or_default());
    values.flat_map(|value| value.split(',')).map(|text| parse_node(text.trim())).collect()
}

/// The same of the parameters `for` of `Forwarded` (RFC 7239, section 5.2).
fn forwarded_for(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    let values = headers.get_all(FORWARDED).iter().map(|value| value.to_str().unwrap_or_default());
    let address = |element: &str| {
        let mut pairs = element.split(';').filter_map(|pair| pair.trim().split_once('='));
        let (_, node) = pairs.find(|(name, _)| name.trim().eq_ignore_ascii_case("for"))?;
        parse_node(node.trim().trim_matches('"'))
    };
    values.flat_map(|value| value.split(',')).map(address).collect()
}

/// `192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:4711`.
fn parse_node(text: &str) -> Option<IpAddr> {
    if let Some(rest) = text.strip_prefix('[') {
        return rest.split_once(']').and_then(|(address, _)| address.parse().ok());
    }
    text.parse().ok().or_else(|| text.rsplit_once(':').and_then(|(address, _)| address.parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn proxies() -> TrustedProxies {
        let view = |scopes: &str, sources: Option<&[&str]>| {
            let sources = sources.map(|sources| sources.iter().map(|source| (*source).to_owned()).collect());
            View::new(scopes.parse().expect("scopes"), sources)
        };
        TrustedProxies {
            networks: vec!["10.0.0.0/8".parse().expect("a network"), "fd00::/8".parse().expect("a network")],
            user_header: Some(HeaderName::from_static("x-user")),
            groups_header: Some(HeaderName::from_static("x-groups")),
            grants: vec![
                ("*".to_owned(), view("read", None)),
                ("operators".to_owned(), view("operate", None)),
                ("lot".to_owned(), view("read:personal", Some(&["lot"]))),
            ],
        }
    }

    fn noted(peer: &str, headers: &[(&'static str, &str)]) -> Request<()> {
        let mut request = Request::new(());
        for (name, value) in headers {
            request.headers_mut().append(*name, HeaderValue::from_str(value).expect("a value"));
        }
        proxies().note(peer.parse().expect("an address"), &mut request);
        request
    }

    fn client_of(request: &Request<()>) -> ClientNetwork {
        *request.extensions().get().expect("a client")
    }

    fn network(address: &str) -> ClientNetwork {
        ClientNetwork::new(address.parse().expect("an address"))
    }

    #[test]
    fn the_client_is_the_last_address_that_is_no_proxy() {
        const XFF: &str = "x-forwarded-for";
        for (peer, headers, client) in [
            ("10.1.2.3", vec![], "10.1.2.3"),
            ("10.1.2.3", vec![(XFF, "192.0.2.1")], "192.0.2.1"),
            ("::ffff:10.1.2.3", vec![(XFF, "192.0.2.1")], "192.0.2.1"),
            ("fd00::1", vec![(XFF, "192.0.2.1, 10.9.9.9")], "192.0.2.1"),
            // What the client made up is before its own address.
            ("10.1.2.3", vec![(XFF, "203.0.113.7, 192.0.2.1")], "192.0.2.1"),
            ("10.1.2.3", vec![(XFF, "203.0.113.7"), (XFF, "192.0.2.1, 10.0.0.1")], "192.0.2.1"),
            ("10.1.2.3", vec![(XFF, "192.0.2.1:4711")], "192.0.2.1"),
            ("10.1.2.3", vec![(XFF, "[2001:db8::1]:4711")], "2001:db8::1"),
            ("10.1.2.3", vec![(XFF, "192.0.2.1, unknown, 10.0.0.1")], "10.0.0.1"),
            ("10.1.2.3", vec![(XFF, "")], "10.1.2.3"),
            ("10.1.2.3", vec![("forwarded", "for=192.0.2.1;proto=https, For=\"[2001:db8::2]:1\"")], "2001:db8::2"),
            ("10.1.2.3", vec![("forwarded", "by=10.1.1.1;for=192.0.2.1"), (XFF, "192.0.2.1")], "192.0.2.1"),
            ("10.1.2.3", vec![("forwarded", "for=203.0.113.7"), (XFF, "192.0.2.1")], "10.1.2.3"),
            ("10.1.2.3", vec![("forwarded", "for=_hidden")], "10.1.2.3"),
            // Anybody else is believed nothing.
            ("192.0.2.9", vec![(XFF, "192.0.2.1")], "192.0.2.9"),
            ("192.0.2.9", vec![("forwarded", "for=10.0.0.1")], "192.0.2.9"),
            ("11.0.0.1", vec![(XFF, "192.0.2.1")], "11.0.0.1"),
        ] {
            assert_eq!(client_of(&noted(peer, &headers)), network(client), "{peer} {headers:?}");
        }
    }

    #[test]
    fn the_user_of_a_trusted_proxy_has_what_the_groups_grant() {
        for (headers, expected) in [
            (vec![("x-user", "ada")], Some("read")),
            (vec![("x-user", " ada "), ("x-groups", "operators, other")], Some("read operate")),
            (vec![("x-user", "ada"), ("x-groups", "other"), ("x-groups", "operators")], None),
            (vec![("x-user", "ada"), ("x-groups", "lot")], Some("read")),
            (vec![("x-user", "ada"), ("x-groups", "Operators")], Some("read")),
            (vec![("x-groups", "operators")], None),
            (vec![("x-user", "")], None),
            (vec![("x-user", "ada"), ("x-user", "eve")], None),
        ] {
            let request = noted("10.0.0.1", &headers);
            let user = request.extensions().get::<ProxyUser>();
            let scopes = user.map(|ProxyUser(principal)| principal.view.scopes().to_string());
            assert_eq!(scopes.as_deref(), expected, "{headers:?}");
            assert!(user.is_none_or(|ProxyUser(principal)| &*principal.subject == "proxy:ada"));
            assert!(!request.headers().contains_key("x-user") && !request.headers().contains_key("x-groups"));
        }
    }

    #[test]
    fn from_anybody_else_the_headers_about_the_user_are_removed() {
        for peer in ["192.0.2.9", "127.0.0.1", "::1", "2001:db8::1"] {
            let request = noted(peer, &[("x-user", "ada"), ("x-groups", "operators"), ("x-other", "1")]);
            assert!(request.extensions().get::<ProxyUser>().is_none(), "{peer}");
            assert_eq!(request.headers().keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["x-other"], "{peer}");
        }
    }
}
