//! Invented people: nobody is called by these numbers.

use super::scenario::Scenario;

const FIRST: &[&str] = &[
    "Ada", "Amir", "Bea", "Carlos", "Dana", "Elif", "Femi", "Grace", "Hana", "Igor", "Jun", "Kofi", "Lena", "Mateo",
    "Nadia", "Omar", "Priya", "Quinn", "Rosa", "Sven", "Tara", "Uma", "Viktor", "Wanda", "Yusuf", "Zoe",
];

const LAST: &[&str] = &[
    "Abel",
    "Brook",
    "Castle",
    "Dunn",
    "Ellis",
    "Frost",
    "Garner",
    "Holt",
    "Ives",
    "Jarvis",
    "Keller",
    "Lund",
    "Moss",
    "North",
    "Olsen",
    "Price",
    "Quade",
    "Reyes",
    "Stone",
    "Thorne",
    "Underhill",
    "Voss",
    "Wells",
    "Young",
    "Zeller",
];

/// A person.
#[derive(Clone, Debug)]
pub struct FakePerson {
    pub first: &'static str,
    pub last: &'static str,
    pub phone: String,
}

impl FakePerson {
    pub fn new(scenario: &mut Scenario) -> FakePerson {
        // Numbers from 555-0100 on are kept for fiction.
        let phone = format!("555-555-01{:02}", scenario.between(0..=99));
        FakePerson { first: scenario.one_of(FIRST), last: scenario.one_of(LAST), phone }
    }

    pub fn name(&self) -> String {
        format!("{} {}", self.first, self.last)
    }

    /// `ada.abel`
    pub fn username(&self) -> String {
        format!("{}.{}", self.first, self.last).to_lowercase()
    }

    pub fn email(&self) -> String {
        format!("{}@example.com", self.username())
    }
}
