//! Prints differences between what is stored and what the raw log yields.

use super::outln;
use crate::rebuild::{Difference, DifferenceOrigin, DifferenceSummary, Differences};

/// The most characters of a value that are printed.
const MAX_VALUE_CHARS: usize = 120;
/// The most origins that are printed: those with the most rows.
const MAX_ORIGINS: usize = 40;

/// Prints some of the differences, then their number and their origins.
pub fn print_differences(differences: &Differences, show: usize) {
    for difference in differences.listed.iter().take(show) {
        outln!("{}", difference_line(difference));
    }
    let shown = differences.listed.len().min(show) as u64;
    if differences.total > shown {
        outln!("and {} more (--max-differences)", differences.total - shown);
    }
    let by_table: Vec<_> = differences.by_table.iter().map(|(table, count)| format!("{table} {count}")).collect();
    let Differences { total, rows_compared, .. } = differences;
    outln!("{total} differences in {rows_compared} rows, by table: {}", by_table.join(", "));
    outln!("the rows that differ, by the event that caused them:");
    let mut origins: Vec<(&DifferenceOrigin, &DifferenceSummary)> = differences.by_origin.iter().collect();
    origins.sort_by_key(|(_, summary)| std::cmp::Reverse(summary.rows));
    for (origin, summary) in origins.iter().take(MAX_ORIGINS) {
        outln!("  {}", origin_line(origin, summary));
    }
    if origins.len() > MAX_ORIGINS {
        outln!("  and {} more events", origins.len() - MAX_ORIGINS);
    }
}

fn difference_line(difference: &Difference) -> String {
    let Difference { table, row, field, stored, derived } = difference;
    let shown = |value: &Option<String>| match value {
        Some(text) => text.chars().take(MAX_VALUE_CHARS).collect(),
        None => "nothing".to_owned(),
    };
    match (stored, derived) {
        (Some(_), None) if field.is_empty() => format!("{table}, {row}: is stored, but not derived"),
        (None, Some(_)) if field.is_empty() => format!("{table}, {row}: is derived, but not stored"),
        _ => format!("{table}, {row}: {field} is {}, derived {}", shown(stored), shown(derived)),
    }
}

fn origin_line(origin: &DifferenceOrigin, summary: &DifferenceSummary) -> String {
    let DifferenceOrigin { table, vendor, event } = origin;
    let named = match (vendor.as_str(), event.as_str()) {
        ("", _) => "no vendor".to_owned(),
        (vendor, "") => format!("{vendor}, event unknown"),
        (vendor, event) => format!("{vendor} {event}"),
    };
    let mut what = summary.columns.iter().map(|column| (*column).to_owned()).collect::<Vec<_>>();
    for (count, side) in [(summary.only_stored, "stored"), (summary.only_derived, "derived")] {
        if count > 0 {
            what.push(format!("{count} only {side}"));
        }
    }
    let rows = if summary.rows == 1 { "row" } else { "rows" };
    format!("{table}, {named}: {} {rows} ({})", summary.rows, what.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_one_line() {
        let difference = Difference {
            table: "entity",
            row: "pave INSPECTION K-1".into(),
            field: "facts.vehicle.vin".into(),
            stored: Some("\"A\"".into()),
            derived: None,
        };
        let expected = "entity, pave INSPECTION K-1: facts.vehicle.vin is \"A\", derived nothing";
        assert_eq!(difference_line(&difference), expected);
        let whole = Difference { field: String::new(), stored: None, derived: Some(String::new()), ..difference };
        assert_eq!(difference_line(&whole), "entity, pave INSPECTION K-1: is derived, but not stored");
    }

    #[test]
    fn an_origin_names_event_and_columns() {
        let origin = DifferenceOrigin { table: "change", vendor: "pave".into(), event: "SESSION:STATUS_CHANGE".into() };
        let summary =
            DifferenceSummary { rows: 3, columns: ["to_state", "to_status"].into(), only_derived: 1, only_stored: 0 };
        let expected = "change, pave SESSION:STATUS_CHANGE: 3 rows (to_state, to_status, 1 only derived)";
        assert_eq!(origin_line(&origin, &summary), expected);
    }
}
