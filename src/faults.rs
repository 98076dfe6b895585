//! What tests can break on purpose: places at which the writer stops for good, to be killed just there, and rules that do
//! not hold. A build without the feature `faults` has none of this.

/// Stops this thread for ever if the variable `FAULT_AT` names this place, and how often it has to be reached: `committed:3`.
/// Says so on standard output first.
#[cfg(feature = "faults")]
pub fn at(place: &str) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};
    static CHOSEN: OnceLock<Option<(String, u64)>> = OnceLock::new();
    static REACHED: AtomicU64 = AtomicU64::new(0);
    let chosen = CHOSEN.get_or_init(|| {
        let text = std::env::var("FAULT_AT").ok()?;
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

/// Whether the variable `FAULT_BROKEN` names this rule: then it does not hold, and tests must notice.
#[cfg(feature = "faults")]
pub fn broken(rule: &str) -> bool {
    use std::sync::OnceLock;
    static CHOSEN: OnceLock<Option<String>> = OnceLock::new();
    CHOSEN.get_or_init(|| std::env::var("FAULT_BROKEN").ok()).as_deref() == Some(rule)
}

/// Every second time this is true, if the variable `FAULT_BROKEN` is `hints`: then a hint is lost.
#[cfg(feature = "faults")]
pub fn lost() -> bool {
    use std::sync::atomic::{AtomicBool, Ordering};
    static LOST: AtomicBool = AtomicBool::new(false);
    broken("hints") && LOST.fetch_not(Ordering::Relaxed)
}

#[cfg(not(feature = "faults"))]
#[inline]
pub fn at(_place: &str) {}

#[cfg(not(feature = "faults"))]
#[inline]
pub fn broken(_rule: &str) -> bool {
    false
}

#[cfg(not(feature = "faults"))]
#[inline]
pub fn lost() -> bool {
    false
}
