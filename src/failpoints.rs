//! Fail points for tests: places at which a process stops, to be killed there, and rules that can be disabled. Without the
//! feature `failpoints` they do nothing.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const ENABLED: bool = cfg!(feature = "failpoints");

/// Stops this thread forever, after a line on standard output, if the variable `FAILPOINT` names this place. `committed:3`
/// stops when the place `committed` is reached for the third time.
#[expect(clippy::disallowed_methods, reason = "tests control another process by its environment")]
pub fn pause_at(place: &str) {
    static CHOSEN: OnceLock<Option<(String, u64)>> = OnceLock::new();
    static REACHED: AtomicU64 = AtomicU64::new(0);
    if !ENABLED {
        return;
    }
    let chosen = CHOSEN.get_or_init(|| {
        let text = std::env::var("FAILPOINT").ok()?;
        let (place, times) = text.split_once(':')?;
        Some((place.to_owned(), times.parse().ok()?))
    });
    let Some((_, times)) = chosen.as_ref().filter(|(chosen, _)| chosen == place) else { return };
    if REACHED.fetch_add(1, Ordering::Relaxed) + 1 == *times {
        println!("stopped at {place}");
        loop {
            std::thread::park();
        }
    }
}

/// Whether the variable `FAILPOINT_DISABLED_RULE` names this rule. It is then not applied, and a test must notice.
#[expect(clippy::disallowed_methods, reason = "tests control another process by its environment")]
pub fn rule_disabled(rule: &str) -> bool {
    static CHOSEN: OnceLock<Option<String>> = OnceLock::new();
    let chosen = || CHOSEN.get_or_init(|| std::env::var("FAILPOINT_DISABLED_RULE").ok());
    ENABLED && chosen().as_deref() == Some(rule)
}

/// True every second time if the variable `FAILPOINT_DISABLED_RULE` is `hints`: that hint is lost.
pub fn drop_hint() -> bool {
    static LOST: AtomicBool = AtomicBool::new(false);
    rule_disabled("hints") && LOST.fetch_not(Ordering::Relaxed)
}
