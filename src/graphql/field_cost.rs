//! What a field costs, how long its list is, and whether its value can change without a new position in the history.

use super::limits::FIELD_WEIGHTS;
use async_graphql::parser::types::{BaseType, FieldDefinition};

/// The factor by which a field multiplies the cost of what is selected of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListSize {
    One,
    /// As many as `first` or `last` says.
    Paged,
    /// As many as `minutes` says.
    Minutes,
    /// One for each of `ids`, or of `representations`.
    Keyed,
    /// A list without pages: of the hub's own things, and short.
    Short,
}

/// Fields of `Query` whose values depend on the history alone. Any other field may depend on more.
const STABLE_QUERY_FIELDS: &[&str] = &[
    "node",
    "nodes",
    "inspection",
    "inspectionByExternalId",
    "inspections",
    "session",
    "sessions",
    "job",
    "jobs",
    "item",
    "items",
    "changes",
    "deliveries",
    "statusCounts",
    "head",
];
/// What else changes without a new position: duplicates are counted, sources are configured, keys are used, and webhooks are refused.
const VOLATILE_FIELDS: &[(&str, &str)] = &[("Delivery", "duplicates"), ("Delivery", "lastDuplicateAt")];
const VOLATILE_TYPES: &[&str] = &["ApiKey", "Source", "Ledger", "Handshake", "Rejection"];

pub fn list_size(parent: &str, field: &FieldDefinition) -> ListSize {
    let has = |name: &str| field.arguments.iter().any(|argument| argument.node.name.node == name);
    let is_list = matches!(field.ty.node.base, BaseType::List(_));
    match is_list {
        _ if has("first") || has("last") => ListSize::Paged,
        true if has("minutes") => ListSize::Minutes,
        true if has("ids") || has("representations") => ListSize::Keyed,
        // The rows of a page are counted where the page is selected.
        true if !parent.ends_with("Connection") => ListSize::Short,
        _ => ListSize::One,
    }
}

/// In fields of a response.
pub fn field_cost(parent: &str, field: &str) -> u64 {
    let known = FIELD_WEIGHTS.iter().find(|(of, name, _)| (*of, *name) == (parent, field));
    known.map_or(1, |(.., cost)| *cost)
}

pub fn is_volatile(parent: &str, field: &str) -> bool {
    parent == "Query" && !STABLE_QUERY_FIELDS.contains(&field)
        || VOLATILE_TYPES.contains(&parent)
        || VOLATILE_FIELDS.contains(&(parent, field))
}

#[cfg(test)]
mod tests {
    use super::super::schema_types::{named_type, schema_field};
    use super::*;

    #[test]
    fn list_sizes_follow_from_the_schema() {
        for (parent, field, size, of) in [
            ("Query", "inspections", ListSize::Paged, "InspectionConnection"),
            ("Query", "nodes", ListSize::Keyed, "Node"),
            ("Query", "_entities", ListSize::Keyed, "_Entity"),
            ("Query", "inspection", ListSize::One, "Inspection"),
            ("Query", "sources", ListSize::Short, "Source"),
            ("InspectionConnection", "nodes", ListSize::One, "Inspection"),
            ("InspectionConnection", "totalCount", ListSize::One, "Int"),
            ("Subscription", "changes", ListSize::One, "Change"),
            ("Source", "verification", ListSize::Short, "String"),
            ("Source", "rates", ListSize::Minutes, "SourceRate"),
        ] {
            let found = schema_field(parent, field).expect(field);
            assert_eq!((found.list_size, named_type(&found.ty)), (size, of), "{parent}.{field}");
        }
    }

    #[test]
    fn fields_named_here_are_in_the_schema() {
        let costs = FIELD_WEIGHTS.iter().map(|(parent, field, _)| (*parent, *field));
        let stable = STABLE_QUERY_FIELDS.iter().map(|field| ("Query", *field));
        for (parent, field) in costs.chain(stable).chain(VOLATILE_FIELDS.iter().copied()) {
            assert!(schema_field(parent, field).is_some(), "{parent}.{field}");
        }
    }
}
