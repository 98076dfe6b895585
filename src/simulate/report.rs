//! The end of a run, for people.

use super::ledger::{COLUMNS, Disagreement, Tally};
use std::fmt::{Display, Formatter, Result};
use std::time::Duration;

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Report {
    /// By source, in the order of the settings.
    pub tallies: Vec<(String, Tally)>,
    /// Where the hub's ledger and its answers differ; none if the ledger could not be read afterwards.
    pub disagreements: Option<Vec<Disagreement>>,
    pub took: Duration,
}

impl Report {
    /// Whether everything is as it should be.
    pub fn is_good(&self) -> bool {
        let good = |(_, tally): &(String, Tally)| tally.given_up == 0 && tally.surprises.is_empty();
        self.tallies.iter().all(good) && self.disagreements.as_ref().is_some_and(Vec::is_empty)
    }

    fn total(&self) -> Tally {
        self.tallies.iter().fold(Tally::default(), |mut total, (_, tally)| {
            total.add(tally);
            total
        })
    }

    fn rows(&self) -> Vec<(String, Tally)> {
        let total = ("all".to_owned(), self.total());
        self.tallies.iter().cloned().chain([total]).collect()
    }

    fn answers(&self) -> Vec<Vec<String>> {
        let head = ["answers", "sent", "new", "duplicate", "quarantined", "401", "retries", "given up"];
        let row = |(source, tally): (String, Tally)| {
            let duplicates = u64::try_from(tally.counts[1]).unwrap_or_default();
            let Tally { sent, new, quarantined, not_authenticated, retries, given_up, .. } = tally;
            let counts = [sent, new, duplicates, quarantined, not_authenticated, retries, given_up];
            std::iter::once(source).chain(counts.map(|count| count.to_string())).collect()
        };
        let head = head.map(str::to_owned).to_vec();
        std::iter::once(head).chain(self.rows().into_iter().map(row)).collect()
    }

    fn verdicts(&self) -> Vec<Vec<String>> {
        let head = std::iter::once("verdicts").chain(COLUMNS.iter().skip(2).map(|(column, ..)| *column));
        let row = |(source, tally): (String, Tally)| {
            std::iter::once(source).chain(tally.counts.iter().skip(2).map(i64::to_string)).collect()
        };
        let head = head.map(str::to_owned).collect();
        std::iter::once(head).chain(self.rows().into_iter().map(row)).collect()
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        table(f, &self.answers())?;
        writeln!(f)?;
        table(f, &self.verdicts())?;
        writeln!(f)?;
        for (source, tally) in &self.tallies {
            for (what, count) in &tally.surprises {
                writeln!(f, "{source}: {count} x {what}")?;
            }
        }
        let total = self.total();
        let seconds = self.took.as_secs_f64();
        writeln!(f, "{} deliveries in {seconds:.1} s, {:.0}/s.", total.sent, total.sent as f64 / seconds.max(0.001))?;
        if total.unanswered > 0 {
            writeln!(f, "{} tries had no answer; the hub may have stored them all the same.", total.unanswered)?;
        }
        if total.given_up > 0 {
            let why = "the hub took too long to take them, or the run was stopped meanwhile";
            writeln!(f, "{} deliveries were given up: {why}.", total.given_up)?;
        }
        match &self.disagreements {
            None => writeln!(f, "The hub's ledger could not be read again."),
            Some(none) if none.is_empty() => writeln!(f, "The hub's ledger says the same as its answers."),
            Some(some) => disagreements(f, some),
        }
    }
}

fn disagreements(f: &mut Formatter<'_>, all: &[Disagreement]) -> Result {
    writeln!(f, "The hub's ledger does not say the same as its answers:")?;
    for Disagreement { source, column, answered, ledger } in all {
        writeln!(f, "  {source}, {column}: {answered} were answered so, the ledger has {ledger} more than before")?;
    }
    if all.iter().any(|one| one.ledger > one.answered) {
        writeln!(f, "If somebody else sent to this hub meanwhile, their deliveries are in the ledger too.")?;
    }
    Ok(())
}

// The first column to the left, numbers to the right.
fn table(f: &mut Formatter<'_>, rows: &[Vec<String>]) -> Result {
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

    fn report(disagreements: Option<Vec<Disagreement>>) -> Report {
        let tally = Tally { sent: 12, new: 9, ..Tally::default() };
        Report { tallies: vec![("pave".to_owned(), tally)], disagreements, took: Duration::from_secs(2) }
    }

    #[test]
    fn a_good_end_says_so() {
        let report = report(Some(Vec::new()));
        assert!(report.is_good());
        let text = report.to_string();
        assert!(text.starts_with("answers  sent  new  duplicate"), "{text}");
        assert!(text.contains("\npave       12    9          0"), "{text}");
        assert!(text.contains("12 deliveries in 2.0 s, 6/s.\nThe hub's ledger says the same"), "{text}");
    }

    #[test]
    fn a_bad_end_says_why() {
        let one = Disagreement { source: "pave".to_owned(), column: "applied", answered: 9, ledger: 11 };
        let mut report = report(Some(vec![one]));
        assert!(!report.is_good());
        let text = report.to_string();
        assert!(text.contains("pave, applied: 9 were answered so, the ledger has 11 more than before"), "{text}");
        assert!(text.contains("somebody else"), "{text}");
        report.disagreements = None;
        assert!(!report.is_good() && report.to_string().contains("could not be read"));
        report.disagreements = Some(Vec::new());
        report.tallies[0].1.surprise("HTTP 404 Not Found".to_owned());
        assert!(!report.is_good() && report.to_string().contains("pave: 1 x HTTP 404 Not Found"));
    }
}
