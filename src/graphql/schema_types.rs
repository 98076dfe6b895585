//! The schema as one map: the type, arguments, list size and cost of each field, and what can be written for each input type.
//! It is parsed once from the SDL.

use super::field_access;
use super::field_cost::{self, ListSize};
use async_graphql::Positioned;
use async_graphql::parser::parse_schema;
use async_graphql::parser::types::{
    BaseType, FieldDefinition, InputObjectType, OperationType, Type, TypeDefinition, TypeKind, TypeSystemDefinition,
};
use std::collections::HashMap;
use std::sync::LazyLock;

static TYPES: LazyLock<HashMap<String, SchemaType>> = LazyLock::new(|| parse_types(&super::sdl::full_sdl()));

/// The type of `__typename`, a field of every type.
static TYPENAME: LazyLock<Option<Type>> = LazyLock::new(|| Type::new("String!"));

#[derive(Debug)]
pub enum SchemaType {
    /// Of an object or interface, by name.
    Fields(HashMap<String, SchemaField>),
    /// Fields in the order of the schema.
    Input {
        fields: Vec<String>,
        /// Whether exactly one of them must be given.
        one_of: bool,
    },
    /// In the order of the schema.
    Enum(Vec<String>),
    Scalar,
    Union,
}

#[derive(Debug)]
pub struct SchemaField {
    pub ty: Type,
    pub arguments: Vec<String>,
    pub list_size: ListSize,
    /// In fields of a response.
    pub cost: u64,
    /// Whether its value can change without a new position in the history.
    pub is_volatile: bool,
    /// Whether it is null without the scope to read what is personal.
    pub is_personal: bool,
}

pub fn schema_type(name: &str) -> Option<&'static SchemaType> {
    TYPES.get(name)
}

/// Null for the fields of introspection, and for `__typename`.
pub fn schema_field(parent: &str, field: &str) -> Option<&'static SchemaField> {
    match TYPES.get(parent)? {
        SchemaType::Fields(fields) => fields.get(field),
        _ => None,
    }
}

/// The type of a field; unknown for the fields of introspection.
pub fn field_type(parent: &str, field: &str) -> Option<&'static Type> {
    if field == "__typename" {
        return TYPENAME.as_ref();
    }
    Some(&schema_field(parent, field)?.ty)
}

/// `[Node!]!` is of the type `Node`.
pub fn named_type(ty: &Type) -> &str {
    match &ty.base {
        BaseType::Named(name) => name,
        BaseType::List(item) => named_type(item),
    }
}

/// The type whose fields an operation selects.
pub fn root_type(operation: OperationType) -> &'static str {
    match operation {
        OperationType::Query => "Query",
        OperationType::Mutation => "Mutation",
        OperationType::Subscription => "Subscription",
    }
}

// A schema that cannot be parsed has no types: every list then counts as one row, and the other limits hold. A test parses it.
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
    let parent = definition.name.node.as_str();
    match definition.kind {
        TypeKind::Object(object) => fields(parent, object.fields),
        TypeKind::Interface(interface) => fields(parent, interface.fields),
        TypeKind::InputObject(InputObjectType { fields }) => SchemaType::Input {
            fields: fields.into_iter().map(|field| field.node.name.node.to_string()).collect(),
            one_of,
        },
        TypeKind::Enum(values) => {
            SchemaType::Enum(values.values.into_iter().map(|value| value.node.value.node.to_string()).collect())
        }
        TypeKind::Scalar => SchemaType::Scalar,
        TypeKind::Union(_) => SchemaType::Union,
    }
}

fn fields(parent: &str, fields: Vec<Positioned<FieldDefinition>>) -> SchemaType {
    let field = |Positioned { node: field, .. }: Positioned<FieldDefinition>| {
        let name = field.name.node.to_string();
        let declared = SchemaField {
            list_size: field_cost::list_size(parent, &field),
            cost: field_cost::field_cost(parent, &name),
            is_volatile: field_cost::is_volatile(parent, &name),
            is_personal: field_access::is_personal(parent, &name),
            arguments: field.arguments.into_iter().map(|argument| argument.node.name.node.to_string()).collect(),
            ty: field.ty.node,
        };
        (name, declared)
    };
    SchemaType::Fields(fields.into_iter().map(field).collect())
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
        assert_eq!(schema_field("Query", "node").expect("a field").arguments, ["id"]);
    }
}
