//! Invented people: nobody has these phone numbers.

use super::scenario::Scenario;

const FIRST: &[&str] = &[
    "Ada", "Amir", "Bea", "Carlos", "Dana", "Elif", "Femi", "Grace", "Hana", "Igor", "Jun", "Kofi", "Lena", "Mateo",
    "Nadia", "Omar", "Priya", "Quinn", "Rosa", "Sven", "Tara", "Uma", "Viktor", "Wanda", "Yusuf", "Zoe",
];

const LAST: &[&str] = &[
    "Abel", "Brook", "Castle", "Dunn", "Ellis", "Frost", "Garner", "Holt", "Ives", "Jarvis", "Keller", "Lund", "Moss",
    "North", "Olsen", "Price", "Quade", "Reyes", "Stone", "Thorne", "Upton", "Voss", "Wells", "Young", "Zeller",
];

/// Sets the variables `first_name`, `last_name`, `name`, `username`, `email` and `phone`.
pub fn invent_person(scenario: &mut Scenario) {
    let (first, last) = (scenario.one_of(FIRST), scenario.one_of(LAST));
    let username = format!("{first}.{last}").to_lowercase();
    // Numbers from 555-0100 on are reserved for fiction.
    let phone = format!("555-555-01{:02}", scenario.between(0, 99));
    scenario.set("first_name", first);
    scenario.set("last_name", last);
    scenario.set("name", format!("{first} {last}"));
    scenario.set("email", format!("{username}@example.com"));
    scenario.set("username", username);
    scenario.set("phone", phone);
}
