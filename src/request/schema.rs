//! What the analysis has to know of the schema: which fields are lists, and of what. It is read once from the schema's
//! own language.

use async_graphql::parser::parse_schema;
use async_graphql::parser::types::{BaseType, FieldDefinition, Type, TypeKind, TypeSystemDefinition};
use std::collections::HashMap;
use std::sync::LazyLock;

/// A field, as far as its price goes.
#[derive(Clone, Copy, Debug)]
pub struct FieldSize {
    /// Whose fields can be selected of it; none for scalars.
    pub of: Option<TypeId>,
    pub rows: Rows,
}

/// How often what is selected of a field comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows {
    One,
    /// As many as `first` or `last` says.
    Paged,
    /// One for each of `ids`, or of `representations`.
    Keyed,
    /// The rows of a page: they are counted where the page is asked for.
    OfPage,
    /// A list without pages: of the hub's own things, and short.
    Listed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TypeId(usize);

/// The types that have fields.
#[derive(Debug, Default)]
pub struct Sizes {
    ids: HashMap<String, TypeId>,
    names: Vec<String>,
    fields: Vec<HashMap<String, FieldSize>>,
}

static SIZES: LazyLock<Sizes> = LazyLock::new(|| Sizes::read(&crate::graphql::answered()));

impl Sizes {
    /// Those of this hub's schema.
    pub fn of_schema() -> &'static Sizes {
        &SIZES
    }

    // A schema that cannot be read has no types: then every list counts as one row, and the other limits hold. A test
    // reads it.
    fn read(sdl: &str) -> Sizes {
        let mut sizes = Sizes::default();
        let Ok(document) = parse_schema(sdl) else { return sizes };
        let types = document.definitions.into_iter().filter_map(|definition| match definition {
            TypeSystemDefinition::Type(definition) => Some(definition.node),
            _ => None,
        });
        let mut fields = Vec::new();
        for definition in types {
            let of = match definition.kind {
                TypeKind::Object(object) => object.fields,
                TypeKind::Interface(interface) => interface.fields,
                TypeKind::Union(_) => Vec::new(),
                _ => continue,
            };
            let name = definition.name.node.to_string();
            sizes.ids.insert(name.clone(), TypeId(sizes.names.len()));
            sizes.names.push(name);
            fields.push(of);
        }
        for (fields, name) in fields.into_iter().zip(&sizes.names) {
            let sized = fields.iter().map(|field| (field.node.name.node.to_string(), sizes.size(name, &field.node)));
            sizes.fields.push(sized.collect());
        }
        sizes
    }

    fn size(&self, parent: &str, field: &FieldDefinition) -> FieldSize {
        let has = |name: &str| field.arguments.iter().any(|argument| argument.node.name.node == name);
        let (named, is_list) = innermost(&field.ty.node);
        let rows = if has("first") || has("last") {
            Rows::Paged
        } else if is_list && (has("ids") || has("representations")) {
            Rows::Keyed
        } else if is_list && parent.ends_with("Connection") {
            Rows::OfPage
        } else if is_list {
            Rows::Listed
        } else {
            Rows::One
        };
        FieldSize { of: self.id(named), rows }
    }

    pub fn id(&self, name: &str) -> Option<TypeId> {
        self.ids.get(name).copied()
    }

    pub fn name(&self, id: TypeId) -> &str {
        self.names.get(id.0).map_or("", String::as_str)
    }

    pub fn field(&self, of: TypeId, name: &str) -> Option<FieldSize> {
        self.fields.get(of.0)?.get(name).copied()
    }
}

fn innermost(ty: &Type) -> (&str, bool) {
    match &ty.base {
        BaseType::Named(name) => (name.as_str(), false),
        BaseType::List(inner) => (innermost(inner).0, true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_says_what_is_a_list() {
        let sizes = Sizes::of_schema();
        for (parent, field, rows, of) in [
            ("Query", "inspections", Rows::Paged, Some("InspectionConnection")),
            ("Query", "nodes", Rows::Keyed, Some("Node")),
            ("Query", "_entities", Rows::Keyed, Some("_Entity")),
            ("Query", "inspection", Rows::One, Some("Inspection")),
            ("Query", "sources", Rows::Listed, Some("Source")),
            ("InspectionConnection", "nodes", Rows::OfPage, Some("Inspection")),
            ("InspectionConnection", "totalCount", Rows::One, None),
            ("Subscription", "changes", Rows::One, Some("Change")),
            ("Source", "verification", Rows::Listed, None),
        ] {
            let found = sizes.field(sizes.id(parent).expect(parent), field).expect(field);
            assert_eq!((found.rows, found.of.map(|id| sizes.name(id))), (rows, of), "{parent}.{field}");
        }
    }
}
