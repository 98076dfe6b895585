//! Field collection (GraphQL, October 2021, section 6.3.2): all selections with the same response name together, those of
//! fragments where they are spread. Unlike `request::visitor` it expands fragments, so it runs only on documents that are
//! known to be small when expanded.

use super::schema_types::{field_type, named_type, root_type, schema_field};
use async_graphql::parser::types::{BaseType, ExecutableDocument, OperationDefinition, Selection, SelectionSet, Type};
use async_graphql::{Name, Pos, Positioned, indexmap::IndexMap};
use std::cell::OnceCell;
use std::collections::HashSet;

/// What is selected at one place of a response.
pub struct FieldGroup<'a> {
    /// As the schema declares it. Unknown in an untyped group, and in introspection.
    pub ty: Option<&'static Type>,
    /// The type of the first selection that cannot be merged with `ty`, and its place.
    pub conflict: Option<(&'static Type, Pos)>,
    /// The type and name of a field that is personal. Unknown in an untyped group.
    pub personal: Option<(&'a str, &'a str)>,
    /// Empty for scalars.
    selected: Vec<TypedSelectionSet<'a>>,
    fields: OnceCell<IndexMap<&'a Name, FieldGroup<'a>>>,
}

#[derive(Clone, Copy)]
struct TypedSelectionSet<'a> {
    /// The type whose fields they are; unknown as above.
    of: Option<&'a str>,
    set: &'a SelectionSet,
}

impl<'a> FieldGroup<'a> {
    /// What an operation selects. Types are not needed to order fields.
    pub fn of(operation: &'a OperationDefinition, with_types: bool) -> Self {
        let of = with_types.then(|| root_type(operation.ty));
        let selected = vec![TypedSelectionSet { of, set: &operation.selection_set.node }];
        FieldGroup { selected, ..FieldGroup::new(None) }
    }

    fn new(ty: Option<&'static Type>) -> Self {
        FieldGroup { ty, conflict: None, personal: None, selected: Vec::new(), fields: OnceCell::new() }
    }

    pub fn has_fields(&self) -> bool {
        !self.selected.is_empty()
    }

    /// What is selected of it, by response name, in the order of selection.
    pub fn subfields(&self, document: &'a ExecutableDocument) -> &IndexMap<&'a Name, FieldGroup<'a>> {
        self.fields.get_or_init(|| self.collect_subfields(document))
    }

    fn add(&mut self, ty: Option<&'static Type>, set: &'a SelectionSet, at: Pos) {
        let has_fields = !set.items.is_empty();
        if let (Some(known), Some(ty)) = (self.ty, ty)
            && !(has_same_response_shape(known, ty) && (named_type(known) == named_type(ty) || has_fields))
        {
            self.conflict.get_or_insert((ty, at));
        }
        if has_fields {
            self.selected.push(TypedSelectionSet { of: ty.map(named_type), set });
        }
    }

    // A fragment that is spread again adds no field and no place, so only its first spread counts.
    fn collect_subfields(&self, document: &'a ExecutableDocument) -> IndexMap<&'a Name, FieldGroup<'a>> {
        let mut fields: IndexMap<&Name, FieldGroup> = IndexMap::new();
        let mut spread: HashSet<&Name> = HashSet::new();
        let mut stack: Vec<(Option<&str>, &Positioned<Selection>)> = Vec::new();
        let items =
            |TypedSelectionSet { of, set }: TypedSelectionSet<'a>| set.items.iter().rev().map(move |item| (of, item));
        for set in &self.selected {
            stack.extend(items(*set));
            while let Some((of, selection)) = stack.pop() {
                match &selection.node {
                    Selection::Field(field) => {
                        let ty = of.and_then(|of| field_type(of, &field.node.name.node));
                        let group =
                            fields.entry(&field.node.response_key().node).or_insert_with(|| FieldGroup::new(ty));
                        group.add(ty, &field.node.selection_set.node, field.pos);
                        let name = field.node.name.node.as_str();
                        let is_personal = |of: &&str| schema_field(of, name).is_some_and(|field| field.is_personal);
                        group.personal = group.personal.or(of.filter(is_personal).map(|of| (of, name)));
                    }
                    Selection::InlineFragment(inline) => {
                        let on = inline.node.type_condition.as_ref().map(|on| on.node.on.node.as_str());
                        let of = of.map(|of| on.unwrap_or(of));
                        stack.extend(items(TypedSelectionSet { of, set: &inline.node.selection_set.node }));
                    }
                    Selection::FragmentSpread(named) => {
                        let name = &named.node.fragment_name.node;
                        let fragment = spread.insert(name).then(|| document.fragments.get(name)).flatten();
                        stack.extend(fragment.iter().flat_map(|found| {
                            let of = of.map(|_| found.node.type_condition.node.on.node.as_str());
                            items(TypedSelectionSet { of, set: &found.node.selection_set.node })
                        }));
                    }
                }
            }
        }
        fields
    }
}

/// Whether both types have the same lists and nullability.
fn has_same_response_shape(one: &Type, other: &Type) -> bool {
    one.nullable == other.nullable
        && match (&one.base, &other.base) {
            (BaseType::Named(_), BaseType::Named(_)) => true,
            (BaseType::List(one), BaseType::List(other)) => has_same_response_shape(one, other),
            _ => false,
        }
}
