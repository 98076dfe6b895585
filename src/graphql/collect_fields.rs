//! What is selected at each place of an answer: all selections of the same name together, with those of fragments where
//! they are spread.

use super::schema_types::field_type;
use async_graphql::parser::types::{
    BaseType, ExecutableDocument, OperationDefinition, OperationType, Selection, SelectionSet, Type,
};
use async_graphql::{Name, Pos, Positioned, indexmap::IndexMap};
use std::cell::OnceCell;
use std::collections::HashSet;

/// What is selected at one place of an answer.
pub struct FieldGroup<'a> {
    /// What the schema says is there. Unknown where nobody asks, and in introspection.
    pub ty: Option<&'static Type>,
    /// Where it is selected as something that does not go together with that.
    pub conflict: Option<TypeConflict>,
    /// Empty where nothing can be selected.
    selected: Vec<TypedSelectionSet<'a>>,
    fields: OnceCell<IndexMap<&'a Name, FieldGroup<'a>>>,
}

/// Another type than the one that was selected first by the same name, and where.
#[derive(Clone, Copy)]
pub struct TypeConflict {
    pub ty: &'static Type,
    pub at: Pos,
}

#[derive(Clone, Copy)]
struct TypedSelectionSet<'a> {
    /// The type whose fields they are, unknown as above.
    of: Option<&'a str>,
    set: &'a SelectionSet,
}

impl<'a> FieldGroup<'a> {
    /// What an operation selects.
    pub fn untyped(operation: &'a OperationDefinition) -> Self {
        FieldGroup {
            selected: vec![TypedSelectionSet { of: None, set: &operation.selection_set.node }],
            ..FieldGroup::new(None)
        }
    }

    /// The same, with the types of the schema.
    pub fn typed(operation: &'a OperationDefinition) -> Self {
        let root = match operation.ty {
            OperationType::Query => "Query",
            OperationType::Mutation => "Mutation",
            OperationType::Subscription => "Subscription",
        };
        FieldGroup {
            selected: vec![TypedSelectionSet { of: Some(root), set: &operation.selection_set.node }],
            ..FieldGroup::new(None)
        }
    }

    fn new(ty: Option<&'static Type>) -> Self {
        FieldGroup { ty, conflict: None, selected: Vec::new(), fields: OnceCell::new() }
    }

    /// Whether anything is selected of it.
    pub fn has_fields(&self) -> bool {
        !self.selected.is_empty()
    }

    /// What is selected of it, by the names in the answer and in their order.
    pub fn subfields(&self, document: &'a ExecutableDocument) -> &IndexMap<&'a Name, FieldGroup<'a>> {
        self.fields.get_or_init(|| self.collect_subfields(document))
    }

    /// Adds a place where it is selected, too.
    fn add(&mut self, ty: Option<&'static Type>, set: &'a SelectionSet, at: Pos) {
        let has_fields = !set.items.is_empty();
        if let (Some(known), Some(ty)) = (self.ty, ty)
            && !(has_same_response_shape(known, ty) && (named_type(known) == named_type(ty) || has_fields))
        {
            self.conflict.get_or_insert(TypeConflict { ty, at });
        }
        if has_fields {
            self.selected.push(TypedSelectionSet { of: ty.map(named_type), set });
        }
    }

    // Each fragment counts once, where it first stands: more of it would come to the same.
    fn collect_subfields(&self, document: &'a ExecutableDocument) -> IndexMap<&'a Name, FieldGroup<'a>> {
        let mut fields: IndexMap<&Name, FieldGroup> = IndexMap::new();
        let mut spread: HashSet<&Name> = HashSet::new();
        let mut left: Vec<(Option<&str>, &Positioned<Selection>)> = Vec::new();
        let items =
            |TypedSelectionSet { of, set }: TypedSelectionSet<'a>| set.items.iter().rev().map(move |item| (of, item));
        for set in &self.selected {
            left.extend(items(*set));
            while let Some((of, selection)) = left.pop() {
                match &selection.node {
                    Selection::Field(field) => {
                        let ty = of.and_then(|of| field_type(of, &field.node.name.node));
                        let shape =
                            fields.entry(&field.node.response_key().node).or_insert_with(|| FieldGroup::new(ty));
                        shape.add(ty, &field.node.selection_set.node, field.pos);
                    }
                    Selection::InlineFragment(inline) => {
                        let on = inline.node.type_condition.as_ref().map(|on| on.node.on.node.as_str());
                        let of = of.map(|of| on.unwrap_or(of));
                        left.extend(items(TypedSelectionSet { of, set: &inline.node.selection_set.node }));
                    }
                    Selection::FragmentSpread(named) => {
                        let name = &named.node.fragment_name.node;
                        let fragment = spread.insert(name).then(|| document.fragments.get(name)).flatten();
                        left.extend(fragment.iter().flat_map(|found| {
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

/// Whether both are lists, or both are not, and both may be null, or both may not.
fn has_same_response_shape(one: &Type, other: &Type) -> bool {
    one.nullable == other.nullable
        && match (&one.base, &other.base) {
            (BaseType::Named(_), BaseType::Named(_)) => true,
            (BaseType::List(one), BaseType::List(other)) => has_same_response_shape(one, other),
            _ => false,
        }
}

fn named_type(ty: &Type) -> &str {
    match &ty.base {
        BaseType::Named(name) => name,
        BaseType::List(item) => named_type(item),
    }
}
