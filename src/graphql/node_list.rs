//! The rows of a list. Most lists select only plain fields, whose values are in memory: they are resolved one after the
//! other, without the boxed future per field and row that async-graphql makes (`docs/benchmarks.md`).

use async_graphql::parser::types::{Field, Selection};
use async_graphql::registry::Registry;
use async_graphql::resolver_utils::ContainerType;
use async_graphql::{ContextSelectionSet, OutputType, Positioned, ServerResult, Value, indexmap::IndexMap};
use futures_util::poll;
use futures_util::stream::{FuturesUnordered, StreamExt};
use std::borrow::Cow;
use std::task::Poll;

/// All rows of a page.
pub struct NodeList<'a, T>(pub Vec<&'a T>);

impl<T: ContainerType> OutputType for NodeList<'_, T> {
    fn type_name() -> Cow<'static, str> {
        Vec::<T>::type_name()
    }

    fn qualified_type_name() -> String {
        Vec::<T>::qualified_type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        Vec::<T>::create_type_info(registry)
    }

    async fn resolve(&self, ctx: &ContextSelectionSet<'_>, field: &Positioned<Field>) -> ServerResult<Value> {
        let Some(fields) = plain_fields(ctx) else { return self.0.resolve(ctx, field).await };
        let rows: Vec<_> = self.0.iter().enumerate().map(|(index, row)| (*row, ctx.with_index(index))).collect();
        let mut values = vec![Value::Null; rows.len()];
        // Few plain fields have to load their values; those of all rows load together.
        let pending = FuturesUnordered::new();
        for (value, (row, ctx)) in values.iter_mut().zip(&rows) {
            let mut resolving = Box::pin(resolve_plain_fields(*row, ctx, &fields));
            match poll!(&mut resolving) {
                Poll::Ready(resolved) => *value = resolved,
                Poll::Pending => pending.push(async move { *value = resolving.await }),
            }
        }
        pending.collect::<()>().await;
        Ok(Value::List(values))
    }
}

/// The selected fields, if none of them has arguments, directives or a selection.
fn plain_fields<'a>(ctx: &ContextSelectionSet<'a>) -> Option<Vec<&'a Positioned<Field>>> {
    let plain = |selection: &'a Positioned<Selection>| match &selection.node {
        Selection::Field(field) => {
            let Field { arguments, directives, selection_set, .. } = &field.node;
            let is_plain = arguments.is_empty() && directives.is_empty() && selection_set.node.items.is_empty();
            is_plain.then_some(field)
        }
        _ => None,
    };
    ctx.item.node.items.iter().map(plain).collect()
}

// Like async-graphql's `resolve_container`, which leaves out fields that failed.
async fn resolve_plain_fields<T: ContainerType>(
    row: &T,
    ctx: &ContextSelectionSet<'_>,
    fields: &[&Positioned<Field>],
) -> Value {
    let mut values = IndexMap::with_capacity(fields.len());
    for field in fields {
        let key = field.node.response_key().node.clone();
        if field.node.name.node == "__typename" {
            values.entry(key).or_insert_with(|| Value::String(row.introspection_type_name().into_owned()));
            continue;
        }
        match row.resolve_field(&ctx.with_field(field)).await {
            Ok(value) => _ = values.entry(key).or_insert(value.unwrap_or_default()),
            Err(error) => ctx.add_error(error),
        }
    }
    if values.is_empty() { Value::Null } else { Value::Object(values) }
}
