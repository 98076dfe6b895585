//! Queries generated from the schema, for the tests of the library and of the hub.

use async_graphql::Name;
use async_graphql::parser::parse_schema;
use async_graphql::parser::types::{FieldDefinition, Type, TypeDefinition, TypeKind, TypeSystemDefinition};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use std::collections::HashMap;

/// Fields within fields.
const DEPTH: usize = 7;

/// Chooses the value of an argument of a field; none leaves it out.
pub type ChooseArgument<'a> = Box<dyn FnMut(&mut StdRng, &str, &str) -> Option<String> + 'a>;

/// Makes queries with arguments that a test chooses.
pub struct QueryGenerator<'a> {
    types: HashMap<Name, TypeDefinition>,
    choose_argument: ChooseArgument<'a>,
    dice: StdRng,
    /// Fields so far.
    pub aliases: usize,
}

impl<'a> QueryGenerator<'a> {
    pub fn new(choose_argument: ChooseArgument<'a>, seed: u64) -> Self {
        let schema = parse_schema(inspection_hub::graphql::sdl()).expect("the schema");
        let types = schema.definitions.into_iter().filter_map(|definition| match definition {
            TypeSystemDefinition::Type(one) => Some((one.node.name.node.clone(), one.node)),
            _ => None,
        });
        QueryGenerator { types: types.collect(), choose_argument, dice: StdRng::seed_from_u64(seed), aliases: 0 }
    }

    pub fn query(&mut self) -> String {
        let mut roots = self.fields("Query");
        // What depends on the credential, and not on what was received.
        roots.retain(|field| !["apiKeys", "viewer"].contains(&field.name.node.as_str()));
        let picked: Vec<_> = roots.choose_multiple(&mut self.dice, 2).cloned().collect();
        let fields: String = picked.iter().map(|field| self.field(field, DEPTH, 100)).collect();
        format!("{{ {fields}}}")
    }

    fn fields(&self, of: &str) -> Vec<FieldDefinition> {
        let fields = match &self.types[of].kind {
            TypeKind::Object(object) => &object.fields,
            TypeKind::Interface(interface) => &interface.fields,
            _ => return Vec::new(),
        };
        fields.iter().map(|field| field.node.clone()).collect()
    }

    /// A field with arguments and, where it must have one, a selection. No two have the same name in the answer.
    fn field(&mut self, field: &FieldDefinition, depth: usize, rows: i32) -> String {
        self.aliases += 1;
        let (alias, name) = (self.aliases, &field.name.node);
        let arguments: Vec<_> = field
            .arguments
            .iter()
            .filter_map(|argument| {
                let name = argument.node.name.node.as_str();
                self.argument(field.name.node.as_str(), name, rows).map(|value| format!("{name}: {value}"))
            })
            .collect();
        let arguments = if arguments.is_empty() { String::new() } else { format!("({})", arguments.join(", ")) };
        let selection = self.selection(named(&field.ty.node), depth);
        format!("f{alias}: {name}{arguments}{selection} ")
    }

    fn argument(&mut self, field: &str, argument: &str, rows: i32) -> Option<String> {
        match (field, argument) {
            ("busiestHours", "first") => Some("7".to_owned()),
            (_, "first") => Some(rows.to_string()),
            _ => (self.choose_argument)(&mut self.dice, field, argument),
        }
    }

    fn selection(&mut self, of: &str, depth: usize) -> String {
        let Some(definition) = self.types.get(of) else { return String::new() };
        let kinds = match &definition.kind {
            TypeKind::Scalar | TypeKind::Enum(_) | TypeKind::InputObject(_) => return String::new(),
            TypeKind::Object(_) => None,
            TypeKind::Interface(_) => {
                let implements = |one: &&TypeDefinition| matches!(&one.kind, TypeKind::Object(object) if object.implements.iter().any(|name| name.node == of));
                Some(self.types.values().filter(implements).map(|one| one.name.node.to_string()).collect::<Vec<_>>())
            }
            TypeKind::Union(union) => Some(union.members.iter().map(|member| member.node.to_string()).collect()),
        };
        if let Some(mut kinds) = kinds {
            kinds.sort_unstable();
            let fragments: String = kinds
                .iter()
                .map(|kind| format!("... on {kind}{} ", self.selection(kind, depth.saturating_sub(1))))
                .collect();
            return format!(" {{ __typename {fragments}}}");
        }
        let fields = self.fields(of);
        let (inner, leaves): (Vec<_>, Vec<_>) = fields.into_iter().partition(|field| {
            !matches!(
                self.types.get(named(&field.ty.node)).map(|of| &of.kind),
                None | Some(TypeKind::Scalar | TypeKind::Enum(_))
            )
        });
        let mut picked: Vec<FieldDefinition> = leaves.choose_multiple(&mut self.dice, 2).cloned().collect();
        if depth > 0 {
            let rows: Vec<_> =
                inner.iter().filter(|field| ["nodes", "edges", "node"].contains(&field.name.node.as_str())).collect();
            // Down to the rows of a list, else anywhere.
            match rows.choose(&mut self.dice) {
                Some(rows) => picked.push((*rows).clone()),
                None => picked.extend(inner.choose_multiple(&mut self.dice, 2).cloned()),
            }
        }
        let selected: String = picked.iter().map(|field| self.field(field, depth.saturating_sub(1), 2)).collect();
        format!(" {{ __typename {selected}}}")
    }
}

fn named(ty: &Type) -> &str {
    match &ty.base {
        async_graphql::parser::types::BaseType::Named(name) => name.as_str(),
        async_graphql::parser::types::BaseType::List(of) => named(of),
    }
}
