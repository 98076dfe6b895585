//! The report of a run.

use super::ledger::{LEDGER_COLUMNS, LedgerMismatch, SourceTally};
use std::fmt::{Display, Formatter, Result};
use std::time::Duration;

#[derive(Clone, Debug)]
pub struct SimulationReport {
    /// In the order of the settings.
    pub tallies: Vec<(String, SourceTally)>,
    /// Differences between the hub's ledger and its answers; `None` if the ledger could not be read.
    pub mismatches: Option<Vec<LedgerMismatch>>,
    pub elapsed: Duration,
}

impl SimulationReport {
    /// Whether nothing unexpected happened.
    pub fn is_success(&self) -> bool {
        let good = |(_, tally): &(String, SourceTally)| tally.given_up == 0 && tally.anomalies.is_empty();
        self.tallies.iter().all(good) && self.mismatches.as_ref().is_some_and(Vec::is_empty)
    }

    fn total(&self) -> SourceTally {
        self.tallies.iter().fold(SourceTally::default(), |mut total, (_, tally)| {
            total.add(tally);
            total
        })
    }

    /// A row for each source, and one for all.
    fn table(&self, head: &[&str], counts: impl Fn(&SourceTally) -> Vec<String>) -> Vec<Vec<String>> {
        let row = |source: &str, tally: &SourceTally| [vec![source.to_owned()], counts(tally)].concat();
        let mut rows = vec![head.iter().map(|column| (*column).to_owned()).collect()];
        rows.extend(self.tallies.iter().map(|(source, tally)| row(source, tally)));
        rows.push(row("all", &self.total()));
        rows
    }

    fn response_table(&self) -> Vec<Vec<String>> {
        let head = ["answers", "sent", "new", "duplicate", "quarantined", "401", "retries", "given up"];
        self.table(&head, |tally| {
            let SourceTally { sent, accepted, quarantined, not_authenticated, retries, given_up, .. } = tally;
            let (new, duplicates) = (accepted, &tally.counts[1].unsigned_abs());
            [sent, new, duplicates, quarantined, not_authenticated, retries, given_up].map(u64::to_string).to_vec()
        })
    }

    fn verdict_table(&self) -> Vec<Vec<String>> {
        let verdicts = LEDGER_COLUMNS.iter().skip(2).map(|(column, ..)| *column);
        let head: Vec<_> = std::iter::once("verdicts").chain(verdicts).collect();
        self.table(&head, |tally| tally.counts.iter().skip(2).map(i64::to_string).collect())
    }
}

impl Display for SimulationReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write_table(f, &self.response_table())?;
        writeln!(f)?;
        write_table(f, &self.verdict_table())?;
        writeln!(f)?;
        for (source, tally) in &self.tallies {
            for (what, count) in &tally.anomalies {
                writeln!(f, "{source}: {count} x {what}")?;
            }
        }
        let total = self.total();
        let seconds = self.elapsed.as_secs_f64();
        writeln!(f, "{} deliveries in {seconds:.1} s, {:.0}/s.", total.sent, total.sent as f64 / seconds.max(0.001))?;
        if total.unanswered > 0 {
            writeln!(f, "{} attempts had no answer; the hub may have stored them nevertheless.", total.unanswered)?;
        }
        if total.given_up > 0 {
            let why = "the hub did not accept them in time, or the run was stopped";
            writeln!(f, "{} deliveries were given up: {why}.", total.given_up)?;
        }
        match &self.mismatches {
            None => writeln!(f, "The hub's ledger could not be read after the run."),
            Some(none) if none.is_empty() => writeln!(f, "The hub's ledger agrees with its answers."),
            Some(some) => write_mismatches(f, some),
        }
    }
}

fn write_mismatches(f: &mut Formatter<'_>, all: &[LedgerMismatch]) -> Result {
    writeln!(f, "The hub's ledger does not agree with its answers:")?;
    for LedgerMismatch { source, column, answered, ledger } in all {
        writeln!(f, "  {source}, {column}: {answered} by the answers, {ledger} by the ledger")?;
    }
    if all.iter().any(|one| one.ledger > one.answered) {
        writeln!(f, "If another sender used this hub during the run, its deliveries are in the ledger too.")?;
    }
    Ok(())
}

// Left-aligns the first column, right-aligns the others.
fn write_table(f: &mut Formatter<'_>, rows: &[Vec<String>]) -> Result {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(String::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in rows {
        for (number, (cell, width)) in row.iter().zip(&widths).enumerate() {
            match number {
                0 => write!(f, "{cell:<width$}")?,
                _ => write!(f, "  {cell:>width$}")?,
            }
        }
        writeln!(f)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(mismatches: Option<Vec<LedgerMismatch>>) -> SimulationReport {
        let tally = SourceTally { sent: 12, accepted: 9, ..SourceTally::default() };
        SimulationReport { tallies: vec![("pave".to_owned(), tally)], mismatches, elapsed: Duration::from_secs(2) }
    }

    #[test]
    fn success_is_reported() {
        let report = report(Some(Vec::new()));
        assert!(report.is_success());
        let text = report.to_string();
        assert!(text.starts_with("answers  sent  new  duplicate"), "{text}");
        assert!(text.contains("\npave       12    9          0"), "{text}");
        assert!(text.contains("12 deliveries in 2.0 s, 6/s.\nThe hub's ledger agrees"), "{text}");
    }

    #[test]
    fn failure_is_reported_with_its_reasons() {
        let one = LedgerMismatch { source: "pave".to_owned(), column: "applied", answered: 9, ledger: 11 };
        let mut report = report(Some(vec![one]));
        assert!(!report.is_success());
        let text = report.to_string();
        assert!(text.contains("pave, applied: 9 by the answers, 11 by the ledger"), "{text}");
        assert!(text.contains("another sender"), "{text}");
        report.mismatches = None;
        assert!(!report.is_success() && report.to_string().contains("could not be read"));
        report.mismatches = Some(Vec::new());
        report.tallies[0].1.record_anomaly("HTTP 404 Not Found".to_owned());
        assert!(!report.is_success() && report.to_string().contains("pave: 1 x HTTP 404 Not Found"));
    }
}
