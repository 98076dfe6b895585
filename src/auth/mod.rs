//! The valid credentials of a running hub. A request needs no database statement: all keys and sessions are in memory, and a task in
//! each process reads them again when they have changed.
//!
//! `key_ring` finds the principal of a key, `active_key` is a key in memory, `session_ring` finds the principal of a browser session,
//! `refresh` keeps the rings current, `jwt` verifies tokens, `login` begins sessions.

mod active_key;
mod jwt;
mod key_ring;
mod login;
mod refresh;
mod session_ring;
#[cfg(test)]
mod tests;

pub use jwt::{TokenIssuers, TokenRefused};
pub use key_ring::KeyRing;
pub use login::{BegunLogin, BrowserLogin, LoginError, LoginResponse};
pub use session_ring::SessionRing;
