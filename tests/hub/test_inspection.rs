//! An inspection as GraphQL shows it, with the checks that most tests need. Every failure prints the whole inspection.

use entity::{Status, Verdict};
use serde_json::Value;
use std::fmt;
use std::ops::Deref;

/// One inspection, or null. Fields without a check of their own are read as JSON: `inspection["cycle"]`.
#[derive(Clone, Debug, PartialEq)]
pub struct TestInspection(pub Value);

impl TestInspection {
    /// Checks the vendor's state and the status.
    #[track_caller]
    pub fn is(&self, state: &str, status: Status) -> &TestInspection {
        assert_eq!((self.text("state"), self.text("status")), (state, status.as_str()), "{self:#}");
        self
    }

    #[track_caller]
    pub fn cycle(&self, cycle: i32) -> &TestInspection {
        assert_eq!(self["cycle"], cycle, "{self:#}");
        self
    }

    /// Checks the verdicts of its history, oldest first.
    #[track_caller]
    pub fn verdicts(&self, expected: &[Verdict]) -> &TestInspection {
        let verdicts: Vec<&str> = self.history().map(|change| word(&change["verdict"])).collect();
        assert_eq!(verdicts, expected.iter().map(|it| it.as_str()).collect::<Vec<_>>(), "{self:#}");
        self
    }

    /// Checks the states of its history, oldest first.
    #[track_caller]
    pub fn states(&self, expected: &[&str]) -> &TestInspection {
        let states: Vec<&str> = self.history().map(|change| word(&change["toState"])).collect();
        assert_eq!(states, expected, "{self:#}");
        self
    }

    /// Checks the states to which it can go next.
    #[track_caller]
    pub fn next_states(&self, expected: &[&str]) -> &TestInspection {
        let states: Vec<&str> = self.list(&self["nextStates"]).map(|next| word(&next["state"])).collect();
        assert_eq!(states, expected, "{self:#}");
        self
    }

    #[track_caller]
    fn history(&self) -> impl Iterator<Item = &Value> {
        self.list(&self["history"]["nodes"])
    }

    #[track_caller]
    fn list<'a>(&self, value: &'a Value) -> impl Iterator<Item = &'a Value> + use<'a> {
        value.as_array().unwrap_or_else(|| panic!("no such inspection, or no such list: {self:#}")).iter()
    }

    #[track_caller]
    fn text(&self, field: &str) -> &str {
        self[field].as_str().unwrap_or_else(|| panic!("no {field}: {self:#}"))
    }
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

impl Deref for TestInspection {
    type Target = Value;

    fn deref(&self) -> &Value {
        &self.0
    }
}

impl PartialEq<Value> for TestInspection {
    fn eq(&self, other: &Value) -> bool {
        self.0 == *other
    }
}

impl fmt::Display for TestInspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
