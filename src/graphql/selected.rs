//! What is selected at each place of an answer: all selections of the same name together, with those of fragments where
//! they are spread.

use super::declared::type_of;
use async_graphql::parser::types::{
    BaseType, ExecutableDocument, OperationDefinition, OperationType, Selection, SelectionSet, Type,
};
use async_graphql::{Name, Pos, Positioned, indexmap::IndexMap};
use std::cell::OnceCell;
use std::collections::HashSet;

/// What is selected at one place of an answer.
pub struct Shape<'a> {
    /// What the schema says is there. Unknown where nobody asks, and in introspection.
    pub ty: Option<&'static Type>,
    /// Where it is selected as something that does not go together with that.
    pub conflict: Option<Conflict>,
    /// Empty where nothing can be selected.
    selected: Vec<Selected<'a>>,
    fields: OnceCell<IndexMap<&'a Name, Shape<'a>>>,
}

/// Another type than the one that was selected first by the same name, and where.
#[derive(Clone, Copy)]
pub struct Conflict {
    pub ty: &'static Type,
    pub at: Pos,
}

#[derive(Clone, Copy)]
struct Selected<'a> {
    /// The type whose fields they are, unknown as above.
    of: Option<&'a str>,
    set: &'a SelectionSet,
}

impl<'a> Shape<'a> {
    /// What an operation selects.
    pub fn of(operation: &'a OperationDefinition) -> Self {
        Shape { selected: vec![Selected { of: None, set: &operation.selection_set.node }], ..Shape::new(None) }
    }

    /// The same, with the types of the schema.
    pub fn typed(operation: &'a OperationDefinition) -> Self {
        let root = match operation.ty {
            OperationType::Query => "Query",
            OperationType::Mutation => "Mutation",
            OperationType::Subscription => "Subscription",
        };
        Shape { selected: vec![Selected { of: Some(root), set: &operation.selection_set.node }], ..Shape::new(None) }
    }

    fn new(ty: Option<&'static Type>) -> Self {
        Shape { ty, conflict: None, selected: Vec::new(), fields: OnceCell::new() }
    }

    /// Whether anything is selected of it.
    pub fn has_fields(&self) -> bool {
        !self.selected.is_empty()
    }

    /// What is selected of it, by the names in the answer and in their order.
    pub fn fields(&self, document: &'a ExecutableDocument) -> &IndexMap<&'a Name, Shape<'a>> {
        self.fields.get_or_init(|| self.collect(document))
    }

    /// Adds a place where it is selected, too.
    fn add(&mut self, ty: Option<&'static Type>, set: &'a SelectionSet, at: Pos) {
        let has_fields = !set.items.is_empty();
        if let (Some(known), Some(ty)) = (self.ty, ty)
            && !(is_same_form(known, ty) && (named(known) == named(ty) || has_fields))
        {
            self.conflict.get_or_insert(Conflict { ty, at });
        }
        if has_fields {
            self.selected.push(Selected { of: ty.map(named), set });
        }
    }

    // Each fragment counts once, where it first stands: more of it would come to the same.
    fn collect(&self, document: &'a ExecutableDocument) -> IndexMap<&'a Name, Shape<'a>> {
        let mut fields: IndexMap<&Name, Shape> = IndexMap::new();
        let mut spread: HashSet<&Name> = HashSet::new();
        let mut left: Vec<(Option<&str>, &Positioned<Selection>)> = Vec::new();
        let items = |Selected { of, set }: Selected<'a>| set.items.iter().rev().map(move |item| (of, item));
        for set in &self.selected {
            left.extend(items(*set));
            while let Some((of, selection)) = left.pop() {
                match &selection.node {
                    Selection::Field(field) => {
                        let ty = of.and_then(|of| type_of(of, &field.node.name.node));
                        let shape = fields.entry(&field.node.response_key().node).or_insert_with(|| Shape::new(ty));
                        shape.add(ty, &field.node.selection_set.node, field.pos);
                    }
                    Selection::InlineFragment(inline) => {
                        let on = inline.node.type_condition.as_ref().map(|on| on.node.on.node.as_str());
                        let of = of.map(|of| on.unwrap_or(of));
                        left.extend(items(Selected { of, set: &inline.node.selection_set.node }));
                    }
                    Selection::FragmentSpread(named) => {
                        let name = &named.node.fragment_name.node;
                        let fragment = spread.insert(name).then(|| document.fragments.get(name)).flatten();
                        left.extend(fragment.iter().flat_map(|found| {
                            let of = of.map(|_| found.node.type_condition.node.on.node.as_str());
                            items(Selected { of, set: &found.node.selection_set.node })
                        }));
                    }
                }
            }
        }
        fields
    }
}

/// Whether both are lists, or both are not, and both may be null, or both may not.
fn is_same_form(one: &Type, other: &Type) -> bool {
    one.nullable == other.nullable
        && match (&one.base, &other.base) {
            (BaseType::Named(_), BaseType::Named(_)) => true,
            (BaseType::List(one), BaseType::List(other)) => is_same_form(one, other),
            _ => false,
        }
}

fn named(ty: &Type) -> &str {
    match &ty.base {
        BaseType::Named(name) => name,
        BaseType::List(item) => named(item),
    }
}
