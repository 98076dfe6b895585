//! The walk over a document that `complexity` and `cost` share. It visits each selection of the text once, and each fragment
//! once however often it is spread. So its work is linear in the document, and what an expanded fragment bomb comes to is
//! only a large number.

use super::limits::{MAX_SELECTION_SET_DEPTH, check_limit};
use crate::graphql::{ApiError, ApiErrorCode, named_type, root_type, schema_field};
use async_graphql::parser::types::{
    Directive, ExecutableDocument, Field, OperationDefinition, Selection, SelectionSet,
};
use async_graphql::{Name, Pos, Positioned};
use std::collections::HashMap;

/// What is computed of a document, from the innermost selections outwards.
pub trait DocumentVisitor<'a> {
    /// Of a selection, or of a whole selection set. Its sums must saturate.
    type Figures: Copy + Default;

    /// Both in one selection set.
    fn merge(one: Self::Figures, other: Self::Figures) -> Self::Figures;

    /// A field of `parent`, with what is selected of it.
    fn field(&mut self, field: &'a Field, parent: &str, selected: Self::Figures) -> Result<Self::Figures, ApiError>;

    /// A spread or an inline fragment, with what it contains.
    fn fragment(content: Self::Figures) -> Self::Figures {
        content
    }

    /// The directives of a selection, fragment or operation, before what is in it.
    fn directives(&mut self, _: &'a [Positioned<Directive>]) -> Result<Self::Figures, ApiError> {
        Ok(Self::Figures::default())
    }
}

/// One walk over operations of a document, by one visitor.
pub struct DocumentWalk<'a, V: DocumentVisitor<'a>> {
    document: &'a ExecutableDocument,
    pub visitor: V,
    /// Null while a fragment is being visited.
    fragments: HashMap<&'a Name, Option<V::Figures>>,
    /// Never more than the document's text has.
    pub visited_selections: u64,
}

impl<'a, V: DocumentVisitor<'a>> DocumentWalk<'a, V> {
    pub fn new(document: &'a ExecutableDocument, visitor: V) -> Self {
        DocumentWalk { document, visitor, fragments: HashMap::new(), visited_selections: 0 }
    }

    /// # Errors
    /// If selection sets are nested too deep, a fragment contains itself or does not exist, or the visitor refuses it.
    pub fn operation(&mut self, operation: &'a OperationDefinition) -> Result<V::Figures, ApiError> {
        let own = self.visitor.directives(&operation.directives)?;
        Ok(V::merge(own, self.selection_set(&operation.selection_set.node, root_type(operation.ty), 1)?))
    }

    /// A fragment that no operation uses so far.
    pub fn unused_fragment(&self) -> Option<(&'a Name, Pos)> {
        let mut fragments = self.document.fragments.iter();
        fragments.find(|(name, _)| !self.fragments.contains_key(name)).map(|(name, fragment)| (name, fragment.pos))
    }

    /// `parent` is empty for a type that the schema does not have. `level` counts the selection sets around this one, itself
    /// included: it bounds the recursion.
    fn selection_set(&mut self, set: &'a SelectionSet, parent: &'a str, level: u64) -> Result<V::Figures, ApiError> {
        check_limit(level, MAX_SELECTION_SET_DEPTH + 1, "selection sets within each other")?;
        let mut all = V::Figures::default();
        for selection in &set.items {
            self.visited_selections += 1;
            let own = self.visitor.directives(selection.node.directives())?;
            let inner = match &selection.node {
                Selection::Field(Positioned { node: field, .. }) => {
                    let set = &field.selection_set.node;
                    let selected = match set.items.is_empty() {
                        true => V::Figures::default(),
                        false => self.selection_set(set, type_of(parent, &field.name.node), level + 1)?,
                    };
                    self.visitor.field(field, parent, selected)?
                }
                Selection::InlineFragment(inline) => {
                    let on = inline.node.type_condition.as_ref().map_or(parent, |on| &on.node.on.node);
                    V::fragment(self.selection_set(&inline.node.selection_set.node, on, level + 1)?)
                }
                Selection::FragmentSpread(spread) => V::fragment(self.spread(&spread.node.fragment_name, level)?),
            };
            all = V::merge(all, V::merge(own, inner));
        }
        Ok(all)
    }

    fn spread(&mut self, name: &'a Positioned<Name>, level: u64) -> Result<V::Figures, ApiError> {
        match self.fragments.get(&name.node) {
            Some(Some(figures)) => return Ok(*figures),
            Some(None) => return Err(invalid(format!("the fragment \"{}\" contains itself", name.node), name.pos)),
            None => {}
        }
        let Some((key, fragment)) = self.document.fragments.get_key_value(&name.node) else {
            return Err(invalid(format!("there is no fragment \"{}\"", name.node), name.pos));
        };
        self.fragments.insert(key, None);
        let fragment = &fragment.node;
        let own = self.visitor.directives(&fragment.directives)?;
        let on = &fragment.type_condition.node.on.node;
        let figures = V::merge(own, self.selection_set(&fragment.selection_set.node, on, level + 1)?);
        self.fragments.insert(key, Some(figures));
        Ok(figures)
    }
}

/// The type whose fields are selected of a field.
fn type_of<'a>(parent: &'a str, field: &str) -> &'a str {
    match field {
        _ if is_introspection(parent) => parent,
        "__schema" => "__Schema",
        "__type" => "__Type",
        field => schema_field(parent, field).map_or("", |field| named_type(&field.ty)),
    }
}

/// Whether fields of a type describe the schema. It is not part of the schema's map.
pub fn is_introspection(parent: &str) -> bool {
    parent.starts_with("__")
}

pub fn invalid(message: String, at: Pos) -> ApiError {
    ApiError::in_document(ApiErrorCode::GraphqlValidationFailed, message, Some(at))
}
