//! The clock: the only code that reads the time of day. Everything that decides by time gets it, or a [`TimeSource`], passed in.

use chrono::{DateTime, Utc};

/// Returns the time; tests pass another one.
pub type TimeSource = fn() -> DateTime<Utc>;

#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub fn now() -> DateTime<Utc> {
    Utc::now()
}
