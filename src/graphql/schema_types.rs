//! The types of the schema: fields with types and arguments, and what inputs accept. Parsed once from the SDL.

use async_graphql::parser::parse_schema;
use async_graphql::parser::types::{
    FieldDefinition, InputObjectType, Type, TypeDefinition, TypeKind, TypeSystemDefinition,
};
use std::collections::HashMap;
use std::sync::LazyLock;

static TYPES: LazyLock<HashMap<String, SchemaType>> = LazyLock::new(|| parse_types(&super::full_sdl()));

/// The type of `__typename`.
static TYPENAME: LazyLock<Option<Type>> = LazyLock::new(|| Type::new("String!"));

/// A type of the schema.
#[derive(Debug)]
pub enum SchemaType {
    /// By name.
    Fields(HashMap<String, SchemaField>),
    /// Fields in the order of the schema.
    Input {
        fields: Vec<String>,
        /// Whether exactly one field must be given.
        one_of: bool,
    },
    /// In the order of the schema.
    Enum(Vec<String>),
    Scalar,
    Union,
}

/// A field of an object or interface.
#[derive(Debug)]
pub struct SchemaField {
    ty: Type,
    arguments: Vec<String>,
}

/// A type by name.
pub fn schema_type(name: &str) -> Option<&'static SchemaType> {
    TYPES.get(name)
}

/// The type of a field; none for the fields of introspection.
pub fn field_type(parent: &str, field: &str) -> Option<&'static Type> {
    if field == "__typename" {
        return TYPENAME.as_ref();
    }
    Some(&schema_field(parent, field)?.ty)
}

/// The names of a field's arguments.
pub fn field_arguments(parent: &str, field: &str) -> Option<&'static [String]> {
    Some(&schema_field(parent, field)?.arguments)
}

fn schema_field(parent: &str, field: &str) -> Option<&'static SchemaField> {
    match TYPES.get(parent)? {
        SchemaType::Fields(fields) => fields.get(field),
        _ => None,
    }
}

// A schema that cannot be parsed has no types; a test parses it.
fn parse_types(sdl: &str) -> HashMap<String, SchemaType> {
    let definitions = parse_schema(sdl).map(|document| document.definitions).unwrap_or_default();
    let types = definitions.into_iter().filter_map(|definition| match definition {
        TypeSystemDefinition::Type(definition) => Some(definition.node),
        _ => None,
    });
    let built_in = ["Boolean", "Float", "ID", "Int", "String"].map(|name| (name.to_owned(), SchemaType::Scalar));
    types.map(|definition| (definition.name.node.to_string(), to_schema_type(definition))).chain(built_in).collect()
}

fn to_schema_type(definition: TypeDefinition) -> SchemaType {
    let one_of = definition.directives.iter().any(|directive| directive.node.name.node == "oneOf");
    match definition.kind {
        TypeKind::Object(object) => fields(object.fields.into_iter().map(|field| field.node)),
        TypeKind::Interface(interface) => fields(interface.fields.into_iter().map(|field| field.node)),
        TypeKind::InputObject(InputObjectType { fields }) => SchemaType::Input {
            fields: fields.into_iter().map(|field| field.node.name.node.to_string()).collect(),
            one_of,
        },
        TypeKind::Enum(words) => {
            SchemaType::Enum(words.values.into_iter().map(|word| word.node.value.node.to_string()).collect())
        }
        TypeKind::Scalar => SchemaType::Scalar,
        TypeKind::Union(_) => SchemaType::Union,
    }
}

fn fields(fields: impl Iterator<Item = FieldDefinition>) -> SchemaType {
    let field = |field: FieldDefinition| {
        let arguments = field.arguments.into_iter().map(|argument| argument.node.name.node.to_string()).collect();
        (field.name.node.to_string(), SchemaField { ty: field.ty.node, arguments })
    };
    SchemaType::Fields(fields.map(field).collect())
}

#[cfg(test)]
pub fn type_names() -> impl Iterator<Item = &'static str> {
    TYPES.keys().map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert_eq!(field_type(parent, field).expect(field).to_string(), declared, "{parent}.{field}");
        }
        assert_eq!(field_type("Query", "__schema"), None);
    }

    #[test]
    fn input_types_are_known() {
        assert!(matches!(schema_type("EntityKey"), Some(SchemaType::Input { one_of: true, .. })));
        assert!(matches!(schema_type("InspectionFilter"), Some(SchemaType::Input { one_of: false, .. })));
        assert!(matches!(schema_type("OrderDirection"), Some(SchemaType::Enum(words)) if words == &["ASC", "DESC"]));
        assert!(matches!(schema_type("DateTime"), Some(SchemaType::Scalar)));
        assert!(matches!(schema_type("Int"), Some(SchemaType::Scalar)));
        assert!(schema_type("CommonFilter").is_none());
        assert_eq!(field_arguments("Query", "node"), Some(&["id".to_owned()][..]));
    }
}
