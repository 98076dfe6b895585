//! Places at which a test can stop the writer for good, to kill the process just there. A build without the feature
//! `faults` has none of this.

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

#[cfg(not(feature = "faults"))]
#[inline]
pub fn at(_place: &str) {}
