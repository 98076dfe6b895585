//! The parties that inspections of a source wait for: `[sources.<name>.waits_for]`.

use super::error::did_you_mean;
use super::file::FileValue;
use super::loader::{Loader, Reported};
use crate::vendor::{Vendor, WaitingRules};
use entity::Party;

const NOBODY: &str = "nobody";

/// The vendor's defaults, and what the table says instead.
pub fn read_waiting_rules(
    loader: &mut Loader<'_>,
    vendor: &'static Vendor,
    table: Option<FileValue<'_>>,
) -> Result<WaitingRules, Reported> {
    let mut rules = WaitingRules::of(vendor);
    let Some(table) = table else { return Ok(rules) };
    if !table.is_table() {
        return Err(loader.report(&table.at, format!("must be a table; write [{}]", table.at.key)));
    }
    let mut checked = Ok(());
    for (state, value) in table.entries() {
        let party = match value.text() {
            Some(word) => loader.check_characters(word, &value.at).map(|()| party(word)),
            None => Ok(Err(format!("must be a string; {}", one_of("")))),
        };
        let message = match party {
            Ok(Ok(party)) if rules.replace(state, party) => continue,
            Ok(Ok(_)) => {
                let states: Vec<&str> = WaitingRules::states(vendor).collect();
                format!("is no state of an inspection of {}{}", vendor.title, did_you_mean(state, &states))
            }
            Ok(Err(message)) => message,
            Err(reported) => {
                checked = Err(reported);
                continue;
            }
        };
        checked = Err(loader.report(&value.at, message));
    }
    checked.map(|()| rules)
}

fn party(word: &str) -> Result<Option<Party>, String> {
    if word == NOBODY {
        return Ok(None);
    }
    let party = Party::ALL.iter().find(|party| party.as_str().to_lowercase() == word);
    party.map(|party| Some(*party)).ok_or_else(|| format!("{word:?} is no party; {}", one_of(word)))
}

fn one_of(word: &str) -> String {
    let words: Vec<String> = Party::ALL.iter().map(|party| party.as_str().to_lowercase()).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).chain([NOBODY]).collect();
    format!("write one of {}{}", words.join(", "), did_you_mean(word, &words))
}
