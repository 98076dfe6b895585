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
    pub type_id: Option<TypeId>,
    pub list_size: ListSize,
}

/// How often what is selected of a field comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListSize {
    One,
    /// As many as `first` or `last` says.
    Paged,
    /// One for each of `ids`, or of `representations`.
    Keyed,
    /// The rows of a page: they are counted where the page is asked for.
    SizedByParent,
    /// A list without pages: of the hub's own things, and short.
    Assumed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TypeId(usize);

/// The types that have fields.
#[derive(Debug, Default)]
pub struct ListSizes {
    ids: HashMap<String, TypeId>,
    names: Vec<String>,
    fields: Vec<HashMap<String, FieldSize>>,
}

static LIST_SIZES: LazyLock<ListSizes> = LazyLock::new(|| ListSizes::from_sdl(&crate::graphql::full_sdl()));

impl ListSizes {
    /// Those of this hub's schema.
    pub fn global() -> &'static ListSizes {
        &LIST_SIZES
    }

    // A schema that cannot be read has no types: then every list counts as one row, and the other limits hold. A test
    // reads it.
    fn from_sdl(sdl: &str) -> ListSizes {
        let mut sizes = ListSizes::default();
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
            let sized =
                fields.iter().map(|field| (field.node.name.node.to_string(), sizes.field_size(name, &field.node)));
            sizes.fields.push(sized.collect());
        }
        sizes
    }

    fn field_size(&self, parent: &str, field: &FieldDefinition) -> FieldSize {
        let has = |name: &str| field.arguments.iter().any(|argument| argument.node.name.node == name);
        let (named, is_list) = innermost(&field.ty.node);
        let rows = if has("first") || has("last") {
            ListSize::Paged
        } else if is_list && (has("ids") || has("representations")) {
            ListSize::Keyed
        } else if is_list && parent.ends_with("Connection") {
            ListSize::SizedByParent
        } else if is_list {
            ListSize::Assumed
        } else {
            ListSize::One
        };
        FieldSize { type_id: self.id(named), list_size: rows }
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
        let sizes = ListSizes::global();
        for (parent, field, rows, of) in [
            ("Query", "inspections", ListSize::Paged, Some("InspectionConnection")),
            ("Query", "nodes", ListSize::Keyed, Some("Node")),
            ("Query", "_entities", ListSize::Keyed, Some("_Entity")),
            ("Query", "inspection", ListSize::One, Some("Inspection")),
            ("Query", "sources", ListSize::Assumed, Some("Source")),
            ("InspectionConnection", "nodes", ListSize::SizedByParent, Some("Inspection")),
            ("InspectionConnection", "totalCount", ListSize::One, None),
            ("Subscription", "changes", ListSize::One, Some("Change")),
            ("Source", "verification", ListSize::Assumed, None),
        ] {
            let found = sizes.field(sizes.id(parent).expect(parent), field).expect(field);
            assert_eq!((found.list_size, found.type_id.map(|id| sizes.name(id))), (rows, of), "{parent}.{field}");
        }
    }
}
