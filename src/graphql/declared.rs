//! The types of all fields, as the schema declares them. It is read once from the schema's own language.

use async_graphql::parser::parse_schema;
use async_graphql::parser::types::{Type, TypeKind, TypeSystemDefinition};
use std::collections::HashMap;
use std::sync::LazyLock;

type Fields = HashMap<String, Type>;

static TYPES: LazyLock<HashMap<String, Fields>> = LazyLock::new(|| read(&super::answered()));

/// What every type has.
static TYPENAME: LazyLock<Option<Type>> = LazyLock::new(|| Type::new("String!"));

/// What a field of a type gives; none for what introspection answers with.
pub fn type_of(parent: &str, field: &str) -> Option<&'static Type> {
    if field == "__typename" {
        return TYPENAME.as_ref();
    }
    TYPES.get(parent)?.get(field)
}

// A schema that cannot be read has no types. A test reads it.
fn read(sdl: &str) -> HashMap<String, Fields> {
    let definitions = parse_schema(sdl).map(|document| document.definitions).unwrap_or_default();
    let fields_of = |definition| {
        let TypeSystemDefinition::Type(definition) = definition else { return None };
        let fields = match definition.node.kind {
            TypeKind::Object(object) => object.fields,
            TypeKind::Interface(interface) => interface.fields,
            _ => return None,
        };
        let fields = fields.into_iter().map(|field| (field.node.name.node.to_string(), field.node.ty.node));
        Some((definition.node.name.node.to_string(), fields.collect()))
    };
    definitions.into_iter().filter_map(fields_of).collect()
}

#[cfg(test)]
mod tests {
    use super::type_of;

    #[test]
    fn fields_have_the_types_of_the_schema() {
        for (parent, field, declared) in [
            ("Query", "inspections", "InspectionConnection!"),
            ("Query", "inspection", "Inspection"),
            ("Query", "nodes", "[Node]!"),
            ("Query", "_entities", "[_Entity]!"),
            ("Node", "id", "ID!"),
            ("InspectionConnection", "nodes", "[Inspection!]!"),
            ("Subscription", "changes", "Change!"),
            ("Query", "__typename", "String!"),
        ] {
            assert_eq!(type_of(parent, field).expect(field).to_string(), declared, "{parent}.{field}");
        }
        assert_eq!(type_of("Query", "__schema"), None);
    }
}
