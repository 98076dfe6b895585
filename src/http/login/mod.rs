//! The routes by which people log in with a browser, and out: `/login`, `/login/callback` and `/logout`. They exist if a provider is
//! configured.
//!
//! `page` renders what a person sees if there is nothing to redirect to.

mod page;

use super::auth::AccessDenied;
use super::cookie::{self, cookie, set_cookie};
use super::{AppState, Problem};
use crate::access::{ClientNetwork, SESSION_LIMIT, SessionToken};
use crate::auth::{BrowserLogin, LoginError, LoginResponse};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use std::sync::Arc;

/// How long a browser keeps the cookie of an unfinished login.
const LOGIN_SECONDS: i64 = 600;
const LOGGED_OUT: &str = "You are logged out.";

#[derive(Debug, Default, serde::Deserialize)]
pub struct LoginQuery {
    return_to: Option<String>,
}

/// `GET /login?return_to=/…`: sends the browser to the provider; if the person is known already, to the page.
pub async fn begin(
    State(app): State<Arc<AppState>>,
    query: Result<Query<LoginQuery>, QueryRejection>,
    request: Request,
) -> Response {
    let Some(login) = app.auth.login() else { return Problem::RouteNotFound.into_response() };
    let (parts, _) = request.into_parts();
    let query = query.map_err(|_| LoginError::InvalidReturnPath);
    let return_to = match query.and_then(|Query(query)| login.return_path(query.return_to.as_deref())) {
        Ok(return_to) => return_to,
        Err(error) => return failure(login, &parts.headers, &error),
    };
    if app.auth.authenticate_with_new_keys(&parts.headers, &parts.extensions).await.is_ok() {
        return redirect(&login.address_of(&return_to), [None, None]);
    }
    match login.begin(return_to).await {
        Ok(begun) => redirect(&begun.address, [set_cookie(cookie::LOGIN, &begun.cookie, LOGIN_SECONDS), None]),
        Err(error) => failure(login, &parts.headers, &error),
    }
}

/// `GET /login/callback`: the browser returns from the provider. The unfinished login is used, whatever comes of it.
pub async fn finish(
    State(app): State<Arc<AppState>>,
    query: Result<Query<LoginResponse>, QueryRejection>,
    request: Request,
) -> Response {
    let Some(login) = app.auth.login() else { return Problem::RouteNotFound.into_response() };
    let (parts, _) = request.into_parts();
    let client: Option<ClientNetwork> = parts.extensions.get().copied();
    let unfinished = cookie(&parts.headers, cookie::LOGIN);
    let finished = match query {
        Ok(Query(response)) => login.finish(unfinished, &response, client).await,
        Err(_) => Err(LoginError::NotBegun),
    };
    let remove_login = Some(HeaderValue::from_static(cookie::REMOVE_LOGIN));
    match finished {
        Ok((session, address)) => {
            let session = set_cookie(cookie::SESSION, &session.reveal(), SESSION_LIMIT.num_seconds());
            redirect(&address, [session, remove_login])
        }
        Err(error) => with_cookies(failure(login, &parts.headers, &error), [remove_login, None]),
    }
}

/// `POST /logout`: ends the session, and sends the browser to the provider, to log out there. A script that accepts JSON is given the
/// address.
pub async fn end(State(app): State<Arc<AppState>>, request: Request) -> Response {
    let Some(login) = app.auth.login() else { return Problem::RouteNotFound.into_response() };
    let (parts, _) = request.into_parts();
    if let Err(denied) = end_session(&app, login, &parts).await {
        return denied.into_response();
    }
    let remove = [Some(HeaderValue::from_static(cookie::REMOVE_SESSION)), None];
    let address = login.logged_out_address();
    if accepts(&parts.headers, "application/json") {
        let body = json!({ "location": address }).to_string();
        return with_cookies(([(header::CONTENT_TYPE, "application/json")], body).into_response(), remove);
    }
    redirect(&address, remove)
}

async fn end_session(app: &AppState, login: &BrowserLogin, parts: &Parts) -> Result<(), Problem> {
    let Some(session) = cookie(&parts.headers, cookie::SESSION) else { return Ok(()) };
    if !app.auth.is_own_page(&parts.headers) {
        return Err(AccessDenied::OriginNotAllowed.into());
    }
    let Ok(session) = session.parse::<SessionToken>() else { return Ok(()) };
    login.sessions.end(&session).await.map_err(|error| {
        tracing::error!(%error, "a logout could not be stored");
        Problem::LogoutNotStored
    })
}

/// `GET /logout`: where the provider sends the browser after a logout.
pub async fn ended(State(app): State<Arc<AppState>>) -> Response {
    match app.auth.login() {
        Some(login) => page::page(StatusCode::OK, LOGGED_OUT, &login_link(login)),
        None => Problem::RouteNotFound.into_response(),
    }
}

/// Where a person without a valid credential logs in, to return to this page of the hub. None if nobody can.
pub fn login_address(app: &AppState, page: &str) -> Option<Response> {
    let public_url = &app.auth.login()?.settings().public_url;
    let page: String = form_urlencoded::byte_serialize(page.as_bytes()).collect();
    Some(redirect(&format!("{public_url}/login?return_to={page}"), [None, None]))
}

fn status(error: &LoginError) -> StatusCode {
    match error {
        LoginError::InvalidReturnPath | LoginError::NotBegun | LoginError::OtherIssuer | LoginError::CodeRefused => {
            StatusCode::BAD_REQUEST
        }
        LoginError::Refused | LoginError::EmailNotVerified | LoginError::NoRights => StatusCode::FORBIDDEN,
        LoginError::TooManyFailures(_) => StatusCode::TOO_MANY_REQUESTS,
        LoginError::ProviderError(_) | LoginError::NotVerified => StatusCode::BAD_GATEWAY,
        LoginError::ProviderUnavailable | LoginError::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// A page for browsers, else problem details.
fn failure(login: &BrowserLogin, headers: &HeaderMap, error: &LoginError) -> Response {
    let status = status(error);
    let mut response = match accepts(headers, "text/html") {
        true => page::page(status, &error.to_string(), &login_link(login)),
        false => Problem::LoginFailed(status, error.to_string()).into_response(),
    };
    if let LoginError::TooManyFailures(seconds) = error {
        response.headers_mut().insert(header::RETRY_AFTER, (*seconds).into());
    }
    with_cookies(response, [None, None])
}

fn login_link(login: &BrowserLogin) -> String {
    format!("{}/login", login.settings().public_url)
}

fn accepts(headers: &HeaderMap, media_type: &str) -> bool {
    let mut accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.any(|types| types.contains(media_type))
}

fn redirect(address: &str, cookies: [Option<HeaderValue>; 2]) -> Response {
    match HeaderValue::from_str(address) {
        Ok(address) => with_cookies((StatusCode::SEE_OTHER, [(header::LOCATION, address)]).into_response(), cookies),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Adds cookies. No answer of these routes may be stored, and no address of them be sent to other sites: it may have a code.
fn with_cookies(mut response: Response, cookies: [Option<HeaderValue>; 2]) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    for cookie in cookies.into_iter().flatten() {
        headers.append(header::SET_COOKIE, cookie);
    }
    response
}
