//! An object that a body may contain in several places.

use super::JsonFields;
use chrono::{DateTime, Utc};

/// The places of one object in order of precedence. For each field, the first place that has it wins. An equal value in
/// another place counts as read too; a different one stays unread.
#[derive(Clone, Debug, Default)]
pub struct LayeredFields<'a>(Vec<JsonFields<'a>>);

impl<'a> LayeredFields<'a> {
    pub fn new(places: impl IntoIterator<Item = JsonFields<'a>>) -> Self {
        LayeredFields(places.into_iter().collect())
    }

    /// A nested object, in all places that have one.
    pub fn object(&self, name: &str) -> LayeredFields<'a> {
        LayeredFields(self.0.iter().filter_map(|fields| fields.object(name)).collect())
    }

    pub fn iter(&self) -> impl Iterator<Item = &JsonFields<'a>> {
        self.0.iter()
    }

    /// A field, by a method of [`JsonFields`].
    fn first_stated<T: PartialEq>(&self, name: &str, read: impl Fn(&JsonFields<'a>, &str) -> Option<T>) -> Option<T> {
        let mut found = None;
        for fields in &self.0 {
            let value = read(fields, name);
            if found.is_none() {
                found = value;
            } else if value.is_some() && value != found {
                fields.mark_unread(name);
            }
        }
        found
    }
}

macro_rules! read_as {
    ($($method:ident: $type:ty,)+) => {
        impl LayeredFields<'_> {
            $(pub fn $method(&self, name: &str) -> Option<$type> {
                self.first_stated(name, JsonFields::$method)
            })+
        }
    };
}

read_as! { text: String, id: String, numeric_id: String, number: f64, integer: i32, time: DateTime<Utc>, }

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;
    use crate::machine::EntityType;

    #[test]
    fn the_first_place_wins_and_different_values_stay_unread() {
        let body = JsonFields::parse_body(
            br#"{"vehicle": {"vin": "A", "year": " ", "make": "H"}, "session": {"vehicle": {"vin": "B", "year": "2020", "make": "H"}}}"#,
        );
        let body = body.expect("an object");
        let places =
            LayeredFields::new([Some(body.clone()), body.object("session")].into_iter().flatten()).object("vehicle");
        assert_eq!(places.text("vin").as_deref(), Some("A"));
        assert_eq!(places.integer("year"), Some(2020));
        assert_eq!(places.text("make").as_deref(), Some("H"));
        let left = Event::new(EntityType::Inspection, "1").details(body.unread_details()).details;
        let left: Vec<_> = left.iter().map(|(name, value)| (name.as_str(), value.get())).collect();
        assert_eq!(left, [("vehicle", r#"{"year":" "}"#), ("session", r#"{"vehicle":{"vin":"B"}}"#)]);
    }
}
