//! Which party an inspection waits for, by its state: the vendor's defaults, and what the settings of a source say instead.

use super::Vendor;
use crate::machine::{EntityType, Machine, Party};
use std::collections::BTreeMap;

/// The rules of one source.
#[derive(Clone, Debug)]
pub struct WaitingRules {
    vendor: &'static Vendor,
    /// By state, for the states in which the settings differ from the vendor's default.
    overrides: BTreeMap<&'static str, Option<Party>>,
}

impl WaitingRules {
    /// The vendor's defaults.
    pub fn of(vendor: &'static Vendor) -> WaitingRules {
        WaitingRules { vendor, overrides: BTreeMap::new() }
    }

    /// The states that rules are for: those of the vendor's inspections.
    pub fn states(vendor: &'static Vendor) -> impl Iterator<Item = &'static str> {
        inspections(vendor).into_iter().flat_map(|machine| machine.states).map(|state| state.name)
    }

    /// Replaces the default of a state; `None` if nobody is waited for in it. Returns whether the vendor has the state.
    #[must_use]
    pub fn replace(&mut self, state: &str, party: Option<Party>) -> bool {
        let known = inspections(self.vendor).and_then(|machine| machine.state(state));
        known.map(|state| self.overrides.insert(state.name, party)).is_some()
    }

    /// Whether they are the vendor's defaults.
    pub fn are_defaults(&self) -> bool {
        self.overrides.is_empty()
    }

    /// The party that an inspection in this state waits for.
    pub fn party(&self, state: Option<&str>) -> Option<Party> {
        let state = inspections(self.vendor)?.state(state?)?;
        self.overrides.get(state.name).copied().unwrap_or(state.waits_for)
    }

    /// The states in which inspections wait for one of these parties.
    pub fn states_waiting_for(&self, parties: &[Party]) -> Vec<&'static str> {
        let is_wanted = |state: &&str| self.party(Some(state)).is_some_and(|party| parties.contains(&party));
        WaitingRules::states(self.vendor).filter(is_wanted).collect()
    }
}

impl std::fmt::Display for WaitingRules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.overrides)
    }
}

fn inspections(vendor: &'static Vendor) -> Option<&'static Machine> {
    vendor.machine(EntityType::Inspection)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::{Kind, Status};

    #[test]
    fn settings_replace_defaults() {
        let pave = super::super::by_name("pave").expect("a vendor");
        let mut rules = WaitingRules::of(pave);
        assert_eq!(rules.party(Some("PROCESS")), Some(Party::Customer));
        assert_eq!(rules.states_waiting_for(&[Party::Customer]), ["IDLE", "STARTED", "PROCESS"]);
        for state in [None, Some("CONFIRM"), Some("COMPLETE"), Some("unknown")] {
            assert_eq!(rules.party(state), None, "{state:?}");
        }
        assert!(rules.replace("CONFIRM", Some(Party::Us)) && rules.replace("IDLE", None));
        assert!(!rules.replace("unknown", None) && !rules.are_defaults());
        assert_eq!(rules.states_waiting_for(&[Party::Us, Party::Customer]), ["STARTED", "PROCESS", "CONFIRM"]);
        assert_eq!(rules.states_waiting_for(&[]), [""; 0]);
        // Truto has no inspections.
        let truto = super::super::by_name("truto").expect("a vendor");
        assert!(!WaitingRules::of(truto).replace("running", None) && WaitingRules::states(truto).next().is_none());
    }

    #[test]
    fn only_unfinished_inspections_wait() {
        use Status::{Canceled, Completed, Expired, Failed};
        for (vendor, machine) in super::super::ALL.iter().flat_map(|of| of.machines.iter().map(move |one| (of, one))) {
            for state in machine.states.iter().filter(|state| state.waits_for.is_some()) {
                let is_finished = matches!(state.status, Some(Completed | Canceled | Expired | Failed));
                let is_inspection = machine.entity_type.kind() == Kind::Inspection;
                assert!(is_inspection && !is_finished && !state.terminal, "{} {state:?}", vendor.name);
            }
        }
    }
}
