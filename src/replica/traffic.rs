//! What the sources of this process receive, counted in memory: a webhook costs one addition. The counts are stored together with
//! the report of the process.

use crate::store::{HOUR_SECONDS, MINUTE_SECONDS};
use crate::sync::lock;
use entity::source_rate::Model;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

const MINUTE: i64 = 60_000_000;
const HOUR: i64 = 60 * MINUTE;
/// Intervals that wait because the database cannot be written; more are dropped, the oldest first.
const MAX_PENDING: usize = 20_000;

/// How a webhook was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebhookAnswer {
    Accepted,
    Duplicate,
    Quarantined,
    NotAuthenticated,
    RateLimited,
    Unavailable,
    Rejected,
}

impl WebhookAnswer {
    const ALL: [WebhookAnswer; 7] = [
        WebhookAnswer::Accepted,
        WebhookAnswer::Duplicate,
        WebhookAnswer::Quarantined,
        WebhookAnswer::NotAuthenticated,
        WebhookAnswer::RateLimited,
        WebhookAnswer::Unavailable,
        WebhookAnswer::Rejected,
    ];

    fn column(self, row: &mut Model) -> &mut i64 {
        match self {
            WebhookAnswer::Accepted => &mut row.accepted,
            WebhookAnswer::Duplicate => &mut row.duplicates,
            WebhookAnswer::Quarantined => &mut row.quarantined,
            WebhookAnswer::NotAuthenticated => &mut row.not_authenticated,
            WebhookAnswer::RateLimited => &mut row.rate_limited,
            WebhookAnswer::Unavailable => &mut row.unavailable,
            WebhookAnswer::Rejected => &mut row.rejected,
        }
    }
}

/// The webhooks of one source since they were last taken, by answer.
#[derive(Debug, Default)]
pub struct TrafficCounter([AtomicU64; WebhookAnswer::ALL.len()]);

impl TrafficCounter {
    pub fn count(&self, answer: WebhookAnswer) {
        self.of(answer).fetch_add(1, Ordering::Relaxed);
    }

    fn of(&self, answer: WebhookAnswer) -> &AtomicU64 {
        let [accepted, duplicate, quarantined, not_authenticated, rate_limited, unavailable, rejected] = &self.0;
        match answer {
            WebhookAnswer::Accepted => accepted,
            WebhookAnswer::Duplicate => duplicate,
            WebhookAnswer::Quarantined => quarantined,
            WebhookAnswer::NotAuthenticated => not_authenticated,
            WebhookAnswer::RateLimited => rate_limited,
            WebhookAnswer::Unavailable => unavailable,
            WebhookAnswer::Rejected => rejected,
        }
    }
}

/// The counters of all sources, and what was counted and is not stored yet.
#[derive(Debug, Default)]
pub struct TrafficCounts {
    counters: Vec<(String, Arc<TrafficCounter>)>,
    pending: Mutex<PendingRates>,
}

#[derive(Debug, Default)]
struct PendingRates {
    /// The minute that what is counted now belongs to.
    minute: i64,
    rows: BTreeMap<RateKey, Model>,
}

/// The beginning of an interval, its length in seconds, and the source.
type RateKey = (i64, i32, String);

impl TrafficCounts {
    pub fn new(counters: Vec<(String, Arc<TrafficCounter>)>, now: i64) -> TrafficCounts {
        let pending = PendingRates { minute: begin(now, MINUTE), rows: BTreeMap::new() };
        TrafficCounts { counters, pending: Mutex::new(pending) }
    }

    /// Assigns what was counted to the minute in which this was called last, so it has to be called when a minute begins.
    pub fn take_counts(&self, now: i64) {
        let mut pending = lock(&self.pending);
        let minute = std::mem::replace(&mut pending.minute, begin(now, MINUTE));
        for (source, counter) in &self.counters {
            for answer in WebhookAnswer::ALL {
                // At most as many as requests.
                let count = i64::try_from(counter.of(answer).swap(0, Ordering::Relaxed)).unwrap_or(i64::MAX);
                if count > 0 {
                    for (begins_at, seconds) in [(minute, MINUTE_SECONDS), (begin(minute, HOUR), HOUR_SECONDS)] {
                        let key = (begins_at, seconds, source.clone());
                        let new = || Model { seconds, begins_at, source: source.clone(), ..Model::default() };
                        *answer.column(pending.rows.entry(key).or_insert_with(new)) += count;
                    }
                }
            }
        }
        while pending.rows.len() > MAX_PENDING {
            pending.rows.pop_first();
        }
    }

    /// What is not stored yet.
    pub fn pending(&self) -> Vec<Model> {
        lock(&self.pending).rows.values().cloned().collect()
    }

    /// These are stored now.
    pub fn stored(&self, rows: &[Model]) {
        let mut pending = lock(&self.pending);
        for stored in rows {
            let key = (stored.begins_at, stored.seconds, stored.source.clone());
            let Some(row) = pending.rows.get_mut(&key) else { continue };
            let mut stored = stored.clone();
            for answer in WebhookAnswer::ALL {
                *answer.column(row) -= *answer.column(&mut stored);
            }
            if WebhookAnswer::ALL.into_iter().all(|answer| *answer.column(row) == 0) {
                pending.rows.remove(&key);
            }
        }
    }
}

fn begin(at: i64, length: i64) -> i64 {
    at - at.rem_euclid(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(rows: &[Model]) -> Vec<(i64, i32, &str, i64, i64)> {
        rows.iter().map(|row| (row.begins_at, row.seconds, row.source.as_str(), row.accepted, row.rejected)).collect()
    }

    #[test]
    fn what_is_counted_belongs_to_its_minute_and_hour_until_it_is_stored() {
        let (lot, yard) = (Arc::new(TrafficCounter::default()), Arc::new(TrafficCounter::default()));
        let traffic = TrafficCounts::new(vec![("lot".into(), lot.clone()), ("yard".into(), yard.clone())], HOUR + 5);
        lot.count(WebhookAnswer::Accepted);
        lot.count(WebhookAnswer::Accepted);
        yard.count(WebhookAnswer::Rejected);
        traffic.take_counts(HOUR + MINUTE);
        lot.count(WebhookAnswer::Accepted);
        traffic.take_counts(HOUR + MINUTE + 7);
        let rows = traffic.pending();
        let expected = [
            (HOUR, 60, "lot", 2, 0),
            (HOUR, 60, "yard", 0, 1),
            (HOUR, 3_600, "lot", 3, 0),
            (HOUR, 3_600, "yard", 0, 1),
            (HOUR + MINUTE, 60, "lot", 1, 0),
        ];
        assert_eq!(counts(&rows), expected);
        // While these are stored, another one comes.
        lot.count(WebhookAnswer::Accepted);
        traffic.take_counts(HOUR + MINUTE + 8);
        traffic.stored(&rows);
        assert_eq!(counts(&traffic.pending()), [(HOUR, 3_600, "lot", 1, 0), (HOUR + MINUTE, 60, "lot", 1, 0)]);
        traffic.stored(&traffic.pending());
        assert_eq!(traffic.pending(), []);
    }

    #[test]
    fn each_answer_has_its_counter_and_its_column() {
        for answer in WebhookAnswer::ALL {
            let counter = Arc::new(TrafficCounter::default());
            let traffic = TrafficCounts::new(vec![("lot".into(), counter.clone())], 0);
            counter.count(answer);
            traffic.take_counts(0);
            for mut row in traffic.pending() {
                assert_eq!(*answer.column(&mut row), 1);
                let all = WebhookAnswer::ALL.map(|answer| *answer.column(&mut row));
                assert_eq!(all.iter().sum::<i64>(), 1, "{answer:?}");
            }
        }
    }

    #[test]
    fn an_outage_has_a_bounded_number_of_rows() {
        let counters: Vec<_> =
            (0..100).map(|number| (format!("{number}"), Arc::new(TrafficCounter::default()))).collect();
        let traffic = TrafficCounts::new(counters.clone(), 0);
        for minute in 1..=300 {
            counters.iter().for_each(|(_, counter)| counter.count(WebhookAnswer::Unavailable));
            traffic.take_counts(minute * MINUTE);
        }
        assert_eq!(traffic.pending().len(), MAX_PENDING);
    }
}
