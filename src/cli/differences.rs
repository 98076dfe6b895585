//! How differences between what is stored and what the raw log says are told.

use crate::rebuild::{Difference, DifferenceOrigin, DifferenceSummary, Differences};

/// How much of a value is shown, in characters.
const MAX_VALUE_CHARS: usize = 120;
/// How many origins are shown; those with the most rows.
const MAX_ORIGINS: usize = 40;

/// Tells some of them, then how many there are and where they come from.
pub fn print_differences(differences: &Differences, show: usize) {
    for difference in differences.listed.iter().take(show) {
        println!("{}", difference_line(difference));
    }
    let shown = differences.listed.len().min(show) as u64;
    if differences.total > shown {
        println!("and {} more (--max-differences)", differences.total - shown);
    }
    println!(
        "{} differences in {} rows, by table: {}",
        differences.total,
        differences.rows_compared,
        by_table(differences)
    );
    println!("the rows that differ, by the event that they come from:");
    let mut origins: Vec<(&DifferenceOrigin, &DifferenceSummary)> = differences.by_origin.iter().collect();
    origins.sort_by_key(|(_, extent)| std::cmp::Reverse(extent.rows));
    for (origin, extent) in origins.iter().take(MAX_ORIGINS) {
        println!("  {}", origin_line(origin, extent));
    }
    if origins.len() > MAX_ORIGINS {
        println!("  and {} more events", origins.len() - MAX_ORIGINS);
    }
}

fn difference_line(difference: &Difference) -> String {
    let Difference { table, row, field, stored, derived } = difference;
    let cut = |text: &String| text.chars().take(MAX_VALUE_CHARS).collect::<String>();
    match (stored, derived) {
        (Some(_), None) if field.is_empty() => format!("{table}, {row}: is stored, and would not be there"),
        (None, Some(_)) if field.is_empty() => format!("{table}, {row}: is not stored, and would be there"),
        _ => {
            let said = |value: &Option<String>| value.as_ref().map_or("nothing".to_owned(), cut);
            format!("{table}, {row}: {field} is {}, and would be {}", said(stored), said(derived))
        }
    }
}

fn by_table(differences: &Differences) -> String {
    differences.by_table.iter().map(|(table, count)| format!("{table} {count}")).collect::<Vec<_>>().join(", ")
}

fn origin_line(origin: &DifferenceOrigin, extent: &DifferenceSummary) -> String {
    let DifferenceOrigin { table, vendor, event } = origin;
    let named = match (vendor.as_str(), event.as_str()) {
        ("", _) => "of no vendor".to_owned(),
        (vendor, "") => format!("{vendor}, no event known"),
        (vendor, event) => format!("{vendor} {event}"),
    };
    let mut what = extent.columns.iter().map(|column| (*column).to_owned()).collect::<Vec<_>>();
    if extent.only_stored > 0 {
        what.push(format!("{} would not be there", extent.only_stored));
    }
    if extent.only_derived > 0 {
        what.push(format!("{} would be there", extent.only_derived));
    }
    let rows = if extent.rows == 1 { "row" } else { "rows" };
    format!("{table}, {named}: {} {rows} ({})", extent.rows, what.join(", "))
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
        let expected = "entity, pave INSPECTION K-1: facts.vehicle.vin is \"A\", and would be nothing";
        assert_eq!(difference_line(&difference), expected);
        let whole = Difference { field: String::new(), stored: None, derived: Some(String::new()), ..difference };
        assert_eq!(difference_line(&whole), "entity, pave INSPECTION K-1: is not stored, and would be there");
    }

    #[test]
    fn an_origin_says_which_event_and_which_columns() {
        let origin = DifferenceOrigin { table: "change", vendor: "pave".into(), event: "SESSION:STATUS_CHANGE".into() };
        let extent =
            DifferenceSummary { rows: 3, columns: ["to_state", "to_status"].into(), only_derived: 1, only_stored: 0 };
        let expected = "change, pave SESSION:STATUS_CHANGE: 3 rows (to_state, to_status, 1 would be there)";
        assert_eq!(origin_line(&origin, &extent), expected);
    }
}
