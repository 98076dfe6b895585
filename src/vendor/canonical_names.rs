//! Canonical spelling of names: letter case, blanks or hyphens for underscores, `canceled` for `cancelled`, `complete` for
//! `completed`. A machine declares each state once; a name that differs only in spelling means that state.

use super::Vendor;
use crate::event::{Event, StateClaim};
use serde_json::value::to_raw_value;

/// Two spellings of one word. If a machine declares both, they are different states.
const SPELLING_VARIANTS: [(&str, &str); 2] = [("cancelled", "canceled"), ("completed", "complete")];

/// The declared name for a word: the word itself, else a name that differs only in spelling.
pub fn canonical_name<'n, I>(word: &str, names: I) -> Option<&'n str>
where
    I: IntoIterator<Item = &'n str>,
    I::IntoIter: Clone,
{
    let mut names = names.into_iter();
    if let Some(name) = names.clone().find(|name| *name == word) {
        return Some(name);
    }
    let letters = normalize_word(word);
    if letters.is_empty() {
        return None;
    }
    let in_other_letters = names.clone().find(|name| normalize_word(name) == letters);
    in_other_letters
        .or_else(|| names.find(|name| unify_variants(normalize_word(name)) == unify_variants(letters.clone())))
}

/// Replaces the state of an event by the name that the machine declares. A word that is spelled differently, or that no
/// machine declares, is added to the details.
pub fn canonicalize_state(event: &mut Event, vendor: &Vendor) {
    let (StateClaim::Exact(word), Some(machine)) = (&event.state_claim, vendor.machine(event.entity.entity_type))
    else {
        return;
    };
    let name = canonical_name(word, machine.states.iter().map(|state| state.name));
    if name == Some(word.as_str()) {
        return;
    }
    let Ok(stated) = to_raw_value(word) else { return };
    if event.details.iter().all(|(_, detail)| detail.get() != stated.get()) {
        let detail = name.map_or("state".to_owned(), |name| format!("state.{name}"));
        event.details.push((detail, stated));
    }
    if let Some(name) = name {
        event.state_claim = StateClaim::Exact(name.to_owned());
    }
}

/// Only the letters and digits of a word, in lower case.
pub fn normalize_word(word: &str) -> String {
    word.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

fn unify_variants(letters: String) -> String {
    SPELLING_VARIANTS.iter().fold(letters, |letters, (one, other)| letters.replace(one, other))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::EntityType;
    use crate::vendor::ALL;

    #[test]
    fn spellings_of_one_word_mean_the_declared_one() {
        let names = ["in_progress", "cancelled", "complete", "completed", "Ready for Review"];
        for (word, name) in [
            ("in_progress", Some("in_progress")),
            ("In Progress", Some("in_progress")),
            ("IN-PROGRESS", Some("in_progress")),
            ("inProgress", Some("in_progress")),
            ("canceled", Some("cancelled")),
            (" Canceled ", Some("cancelled")),
            ("complete", Some("complete")),
            ("COMPLETED", Some("completed")),
            ("ready_for_review", Some("Ready for Review")),
            ("progress", None),
            ("", None),
            ("-_-", None),
        ] {
            assert_eq!(canonical_name(word, names), name, "{word:?}");
        }
        assert_eq!(canonical_name("completed", ["complete"]), Some("complete"));
        assert_eq!(canonical_name("Complete", ["completed"]), Some("completed"));
    }

    #[test]
    fn no_machine_declares_two_words_that_are_spellings_of_each_other_but_complete_and_completed() {
        for machine in ALL.iter().flat_map(|vendor| vendor.machines) {
            let mut words: Vec<_> = machine.states.iter().map(|state| normalize_word(state.name)).collect();
            words.sort();
            words.dedup();
            assert_eq!(words.len(), machine.states.len(), "{:?}", machine.entity_type);
            let mut common: Vec<_> = words.into_iter().map(unify_variants).filter(|word| word != "complete").collect();
            let all = common.len();
            common.sort();
            common.dedup();
            assert_eq!(common.len(), all, "{:?}", machine.entity_type);
        }
    }

    #[test]
    fn every_state_of_every_vendor_is_known_in_other_spellings_which_stay_among_the_details() {
        for vendor in ALL {
            for machine in vendor.machines {
                for state in machine.states {
                    let (upper, hyphens) = (state.name.to_uppercase(), state.name.replace(['_', ' '], "-"));
                    let british = state.name.replace("anceled", "ancelled").replace("ANCELED", "ANCELLED");
                    let american = state.name.replace("ancelled", "anceled").replace("ANCELLED", "ANCELED");
                    for word in [upper, hyphens, british, american, format!(" {} ", state.name)] {
                        let event = in_state(machine.entity_type, &word, vendor);
                        assert_eq!(
                            event.state_claim,
                            StateClaim::Exact(state.name.to_owned()),
                            "{} {word:?}",
                            vendor.name
                        );
                        let detail = serde_json::to_string(&word).expect("JSON");
                        let is_detail = event.details.iter().any(|(_, value)| value.get() == detail);
                        assert_eq!(is_detail, word != state.name, "{} {word:?}", vendor.name);
                    }
                }
            }
        }
    }

    #[test]
    fn a_word_that_no_machine_declares_stays_unchanged() {
        let hover = crate::vendor::by_name("hover").expect("a vendor");
        let event = in_state(EntityType::Session, "lost", hover);
        assert_eq!(event.state_claim, StateClaim::Exact("lost".to_owned()));
        let details: Vec<_> = event.details.iter().map(|(name, value)| (name.as_str(), value.get())).collect();
        assert_eq!(details, [("state", r#""lost""#)]);
    }

    fn in_state(subject: EntityType, word: &str, vendor: &Vendor) -> Event {
        let mut event = Event::new(subject, "1").state(word);
        canonicalize_state(&mut event, vendor);
        event
    }
}
