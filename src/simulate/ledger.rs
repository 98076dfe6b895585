//! Counts of deliveries per source: by the hub's answers, and by its own ledger. Both must be equal.

use entity::Verdict;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// The counts of the ledger: their title, their name in GraphQL, and their verdict.
pub const LEDGER_COLUMNS: [(&str, &str, Option<Verdict>); 11] = [
    ("received", "received", None),
    ("duplicate", "duplicates", None),
    ("applied", "applied", Some(Verdict::Applied)),
    ("skipped ahead", "skippedAhead", Some(Verdict::SkippedAhead)),
    ("unexpected", "unexpected", Some(Verdict::Unexpected)),
    ("stale", "stale", Some(Verdict::Stale)),
    ("refused", "refused", Some(Verdict::Refused)),
    ("no change", "noChange", Some(Verdict::NoChange)),
    ("unrecognized", "unrecognized", Some(Verdict::Unrecognized)),
    ("unreadable", "unreadable", Some(Verdict::Unreadable)),
    ("orphaned", "orphaned", Some(Verdict::Orphaned)),
];
const RECEIVED: usize = 0;
const DUPLICATE: usize = 1;

/// One source's counts, in the order of the columns.
pub type LedgerCounts = [i64; LEDGER_COLUMNS.len()];

/// The hub's answers to the deliveries of one source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceTally {
    /// Deliveries, without retries.
    pub sent: u64,
    /// Accepted deliveries, by the hub's answers.
    pub counts: LedgerCounts,
    pub accepted: u64,
    pub quarantined: u64,
    /// Answers with 401.
    pub not_authenticated: u64,
    pub retries: u64,
    /// Attempts without an answer. The hub may have stored them nevertheless.
    pub unanswered: u64,
    pub given_up: u64,
    /// Unexpected answers, and how often each occurred.
    pub anomalies: BTreeMap<String, u64>,
}

#[derive(Debug, Deserialize)]
pub struct WebhookReply {
    pub status: String,
    pub verdict: Option<String>,
}

/// A count that differs between the hub's ledger and its answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerMismatch {
    pub source: String,
    pub column: &'static str,
    pub answered: i64,
    pub ledger: i64,
}

impl SourceTally {
    pub fn record(&mut self, receipt: &WebhookReply) {
        self.counts[RECEIVED] += 1;
        match receipt.status.as_str() {
            "duplicate" => {
                self.counts[DUPLICATE] += 1;
                return;
            }
            "accepted" => self.accepted += 1,
            "quarantined" => self.quarantined += 1,
            other => self.record_anomaly(format!("unknown status: {other}")),
        }
        let verdict = receipt.verdict.as_deref().and_then(Verdict::parse);
        let counted =
            LEDGER_COLUMNS.iter().zip(&mut self.counts).find(|((_, _, of), _)| of.is_some() && *of == verdict);
        match counted {
            Some((_, count)) => *count += 1,
            None => self.record_anomaly("answer without a known verdict".to_owned()),
        }
    }

    pub fn record_anomaly(&mut self, what: String) {
        *self.anomalies.entry(what).or_default() += 1;
    }

    pub fn add(&mut self, other: &SourceTally) {
        self.sent += other.sent;
        self.accepted += other.accepted;
        self.quarantined += other.quarantined;
        self.not_authenticated += other.not_authenticated;
        self.retries += other.retries;
        self.unanswered += other.unanswered;
        self.given_up += other.given_up;
        for (mine, others) in self.counts.iter_mut().zip(other.counts) {
            *mine += others;
        }
        for (what, count) in &other.anomalies {
            *self.anomalies.entry(what.clone()).or_default() += count;
        }
    }

    /// The counts by which the ledger grew differently than the answers say. Unanswered attempts may or may not be in it.
    pub fn compare(&self, source: &str, before: &LedgerCounts, after: &LedgerCounts) -> Vec<LedgerMismatch> {
        let unanswered = i64::try_from(self.unanswered).unwrap_or(i64::MAX);
        let grown = after.iter().zip(before).map(|(after, before)| after - before);
        LEDGER_COLUMNS
            .iter()
            .zip(self.counts.iter().zip(grown))
            .filter(|(_, (answered, ledger))| !(0..=unanswered).contains(&(ledger - **answered)))
            .map(|((column, _, _), (answered, ledger))| LedgerMismatch {
                source: source.to_owned(),
                column,
                answered: *answered,
                ledger,
            })
            .collect()
    }
}

pub fn ledger_query() -> String {
    let columns = LEDGER_COLUMNS.map(|(_, name, _)| name).join(" ");
    format!("{{ sources {{ name ledger {{ {columns} }} }} }}")
}

/// The ledgers by source, from the answer to [`ledger_query`]. `None` for other answers.
pub fn parse_ledgers(answer: &Value) -> Option<BTreeMap<String, LedgerCounts>> {
    let sources = answer.pointer("/data/sources")?.as_array()?;
    let counts = |ledger: &Value| LEDGER_COLUMNS.map(|(_, name, _)| ledger.get(name).map_or(0, number));
    let row = |source: &Value| Some((source.get("name")?.as_str()?.to_owned(), counts(source.get("ledger")?)));
    sources.iter().map(row).collect()
}

// Counts may be strings, because GraphQL's Int has 32 bits.
fn number(value: &Value) -> i64 {
    value.as_i64().or_else(|| value.as_str()?.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn receipt(status: &str, verdict: &str) -> WebhookReply {
        WebhookReply { status: status.to_owned(), verdict: Some(verdict.to_owned()) }
    }

    fn tally() -> SourceTally {
        let mut tally = SourceTally::default();
        tally.record(&receipt("accepted", "APPLIED"));
        tally.record(&receipt("duplicate", "APPLIED"));
        tally.record(&receipt("quarantined", "UNREADABLE"));
        tally
    }

    #[test]
    fn a_duplicate_is_counted_as_that_alone() {
        let tally = tally();
        assert_eq!(tally.counts, [3, 1, 1, 0, 0, 0, 0, 0, 0, 1, 0]);
        assert_eq!((tally.accepted, tally.quarantined, tally.anomalies.len()), (1, 1, 0));
    }

    #[test]
    fn excess_in_the_ledger_is_a_mismatch_unless_attempts_were_unanswered() {
        let mut tally = tally();
        let before = [10; LEDGER_COLUMNS.len()];
        let mut after = before;
        after.iter_mut().zip(tally.counts).for_each(|(after, count)| *after += count);
        assert_eq!(tally.compare("x", &before, &after), []);
        after[RECEIVED] += 1;
        after[2] += 1;
        let mismatches = tally.compare("x", &before, &after);
        let expected = |column, answered, ledger| LedgerMismatch { source: "x".to_owned(), column, answered, ledger };
        assert_eq!(mismatches, [expected("received", 3, 4), expected("applied", 1, 2)]);
        tally.unanswered = 1;
        assert_eq!(tally.compare("x", &before, &after), []);
        after[2] -= 2;
        assert_eq!(tally.compare("x", &before, &after), [expected("applied", 1, 0)]);
    }

    #[test]
    fn a_source_that_received_nothing_has_a_ledger_of_zeros() {
        let answer = json!({ "data": { "sources": [
            { "name": "pave", "ledger": { "received": 3, "duplicates": "1", "applied": 2 } },
            { "name": "hover", "ledger": null },
        ] } });
        let ledgers = parse_ledgers(&answer).expect("ledgers");
        assert_eq!(ledgers["pave"], [3, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(ledgers["hover"], [0; LEDGER_COLUMNS.len()]);
        assert_eq!(super::parse_ledgers(&json!({ "errors": [] })), None);
        assert!(ledger_query().contains("skippedAhead"));
    }
}
