//! Logging in for tests: the provider of `tests/oidc`, and a browser as far as a login needs one.

use crate::test_hub::{Socket, TIMEOUT, TestHub};
use reqwest::header::{HeaderMap, LOCATION, SET_COOKIE};
use reqwest::{Method, RequestBuilder, Url};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

/// Where browsers reach the hubs of these tests. Nothing is there: [`Browser`] sends the requests to a hub.
pub const PUBLIC_URL: &str = "http://localhost:1";
pub const SESSION: &str = "__Host-hub_session";
pub const LOGIN: &str = "__Host-hub_login";
const MAX_REDIRECTS: usize = 20;

/// The provider of `tests/oidc`.
pub struct CertifiedProvider {
    process: Child,
    /// Open, because the provider ends if it cannot write.
    _output: BufReader<ChildStdout>,
    pub issuer: String,
}

impl CertifiedProvider {
    /// One that knows a hub at these addresses.
    pub async fn start(hubs: &[&str]) -> CertifiedProvider {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oidc");
        assert!(folder.join("node_modules").exists(), "the provider is not installed: `make test` does it");
        let mut command = Command::new("node");
        command.arg("provider.mjs").args(hubs).current_dir(folder);
        let mut process =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("node");
        let mut output = BufReader::new(process.stdout.take().expect("an output"));
        let read = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            output.read_line(&mut line).map(|_| (line, output))
        });
        let read = tokio::time::timeout(TIMEOUT, read).await.expect("in time").expect("no panic");
        let (line, output) = read.expect("a line");
        CertifiedProvider { process, _output: output, issuer: line.trim_end().to_owned() }
    }

    /// The settings of a hub at this address.
    pub fn settings(&self, public_url: &str) -> String {
        format!(
            "public_url = '{public_url}'\n[oidc]\nissuer = '{}'\nclient_id = 'inspection-hub'\n\
             client_secret = 'a secret: with / and %'\nscopes = ['openid', 'groups']\n\
             [[oidc.grants]]\nclaim = 'groups'\nvalue = 'readers'\nscopes = ['read', 'read:personal']\n\
             [[oidc.grants]]\nclaim = 'groups'\nvalue = 'operators'\nscopes = ['operate', 'admin']\n",
            self.issuer
        )
    }
}

impl Drop for CertifiedProvider {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A browser: keeps cookies, and follows redirects.
pub struct Browser {
    client: reqwest::Client,
    /// By origin.
    cookies: BTreeMap<String, BTreeMap<String, String>>,
    /// The hub at [`PUBLIC_URL`].
    hub: String,
}

/// What a browser has received.
#[derive(Debug)]
pub struct WebPage {
    pub status: u16,
    pub address: String,
    pub headers: HeaderMap,
    pub body: String,
}

impl WebPage {
    pub fn location(&self) -> Option<&str> {
        self.headers.get(LOCATION).map(|location| location.to_str().expect("text"))
    }

    /// The headers that set cookies.
    pub fn cookies(&self) -> Vec<&str> {
        self.headers.get_all(SET_COOKIE).iter().map(|cookie| cookie.to_str().expect("text")).collect()
    }

    /// Whether it begins a session.
    pub fn begins_session(&self) -> bool {
        self.cookies().iter().any(|cookie| cookie.starts_with(SESSION) && !cookie.contains("Max-Age=0"))
    }
}

impl Browser {
    pub fn new(app: &TestHub) -> Browser {
        inspection_hub::server::install_tls();
        let none = reqwest::redirect::Policy::none();
        let client = reqwest::Client::builder().no_proxy().timeout(TIMEOUT).redirect(none).build().expect("a client");
        Browser { client, cookies: BTreeMap::new(), hub: app.url("") }
    }

    /// Reaches another hub from now on.
    pub fn reach(&mut self, app: &TestHub) {
        self.hub = app.url("");
    }

    /// The hub's cookie.
    pub fn cookie(&self, name: &str) -> Option<String> {
        self.cookies.get(PUBLIC_URL)?.get(name).cloned()
    }

    pub fn set_cookie(&mut self, name: &str, value: &str) {
        self.cookies.entry(PUBLIC_URL.into()).or_default().insert(name.to_owned(), value.to_owned());
    }

    /// All cookies of the hub, as a header.
    pub fn cookie_header(&self) -> String {
        header_of(self.cookies.get(PUBLIC_URL))
    }

    pub fn request(&self, method: Method, address: &str) -> RequestBuilder {
        let actual = match address.strip_prefix(PUBLIC_URL) {
            Some(path) => format!("{}{path}", self.hub),
            None => address.to_owned(),
        };
        let cookies = header_of(self.cookies.get(&origin(address)));
        self.client.request(method, actual).header("cookie", cookies).header("accept", "text/html,*/*;q=0.8")
    }

    pub async fn send(&mut self, address: &str, request: RequestBuilder) -> WebPage {
        let response = request.send().await.expect("an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let page = WebPage { status, address: address.to_owned(), headers, body: response.text().await.expect("text") };
        let known = self.cookies.entry(origin(address)).or_default();
        for cookie in page.cookies() {
            let (name, rest) = cookie.split_once('=').expect("a cookie");
            let value = rest.split(';').next().unwrap_or_default();
            if value.is_empty() {
                known.remove(name);
            } else {
                known.insert(name.to_owned(), value.to_owned());
            }
        }
        page
    }

    pub async fn get(&mut self, address: &str) -> WebPage {
        let request = self.request(Method::GET, address);
        self.send(address, request).await
    }

    async fn submit(&mut self, page: &WebPage, fields: &[(&str, &str)]) -> WebPage {
        let action = page.body.split("action=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a form");
        let address = Url::parse(&page.address).and_then(|base| base.join(action)).expect("an address").to_string();
        let form = fields.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&");
        let request = self.request(Method::POST, &address).body(form);
        self.send(&address, request.header("content-type", "application/x-www-form-urlencoded")).await
    }

    /// Follows redirects to a page that is none, or to one that `is_there`, which is not asked for.
    async fn follow(&mut self, mut page: WebPage, is_there: impl Fn(&str) -> bool) -> Result<String, WebPage> {
        for _ in 0..MAX_REDIRECTS {
            let Some(location) = page.location() else { return Err(page) };
            let next = Url::parse(&page.address).and_then(|base| base.join(location)).expect("an address").to_string();
            if is_there(&next) {
                return Ok(next);
            }
            page = self.get(&next).await;
        }
        panic!("more than {MAX_REDIRECTS} redirects: {page:?}");
    }

    /// Logs a person in at the provider, up to the address with the answer for the hub.
    pub async fn log_in_at_provider(&mut self, login: &str, person: &str) -> String {
        let is_answer = |address: &str| address.starts_with(&format!("{PUBLIC_URL}/login/callback?"));
        let mut page = self.get(login).await;
        for _ in 0..3 {
            let form = match self.follow(page, is_answer).await {
                Ok(answer) => return answer,
                Err(page) => page,
            };
            assert_eq!(form.status, 200, "{form:?}");
            page = match form.body.contains("value=\"login\"") {
                true => self.submit(&form, &[("prompt", "login"), ("login", person), ("password", "any")]).await,
                false => self.submit(&form, &[("prompt", "consent")]).await,
            };
        }
        panic!("no answer: {page:?}");
    }

    /// Logs a person in.
    pub async fn log_in(&mut self, person: &str) -> WebPage {
        let answer = self.log_in_at_provider(&format!("{PUBLIC_URL}/login?return_to=/graphiql?a=b"), person).await;
        self.get(&answer).await
    }

    /// A query with the cookies.
    pub async fn query(&mut self, query: &str) -> (u16, serde_json::Value) {
        let address = format!("{PUBLIC_URL}/graphql");
        let request = self.request(Method::POST, &address).header("origin", PUBLIC_URL);
        let page = self.send(&address, request.json(&serde_json::json!({ "query": query }))).await;
        (page.status, serde_json::from_str(&page.body).expect("JSON"))
    }
}

pub async fn hub_with_logins() -> (TestHub, CertifiedProvider) {
    let provider = CertifiedProvider::start(&[PUBLIC_URL]).await;
    (TestHub::with(&provider.settings(PUBLIC_URL)).await, provider)
}

/// A hub, and the browser of a reader that is logged in.
pub async fn logged_in() -> (TestHub, CertifiedProvider, Browser) {
    let (app, provider) = hub_with_logins().await;
    let mut browser = Browser::new(&app);
    assert_eq!(browser.log_in("ada").await.status, 303);
    (app, provider, browser)
}

fn header_of(cookies: Option<&BTreeMap<String, String>>) -> String {
    let cookies = cookies.into_iter().flatten().map(|(name, value)| format!("{name}={value}"));
    cookies.collect::<Vec<_>>().join("; ")
}

fn origin(address: &str) -> String {
    Url::parse(address).expect("an address").origin().ascii_serialization()
}

/// Opens a socket with these headers.
pub async fn socket_with(app: &TestHub, headers: &[(&'static str, &str)]) -> Socket {
    let mut request = app.url("/graphql").replace("http://", "ws://").into_client_request().expect("a request");
    for (name, value) in [("sec-websocket-protocol", "graphql-transport-ws")].iter().chain(headers) {
        request.headers_mut().insert(*name, value.parse().expect("a value"));
    }
    tokio_tungstenite::connect_async(request).await.expect("a socket").0
}
