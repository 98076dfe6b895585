//! Queries generated from the schema: forty inspections take the same statements as one, and no query takes more
//! statements than it has fields. Fields that load the same thing at the same time share a statement.

use super::batching::filled;
use super::*;
use async_graphql::Name;
use async_graphql::parser::parse_schema;
use async_graphql::parser::types::{FieldDefinition, Type, TypeDefinition, TypeKind, TypeSystemDefinition};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use std::collections::{BTreeSet, HashMap};

/// Queries.
const QUERIES: u64 = 80;
/// Fields within fields.
const DEPTH: usize = 7;

struct QueryGenerator {
    types: HashMap<Name, TypeDefinition>,
    ids: HashMap<&'static str, String>,
    dice: StdRng,
    aliases: usize,
}

impl QueryGenerator {
    fn new(ids: HashMap<&'static str, String>, seed: u64) -> Self {
        let schema = parse_schema(crate::graphql::sdl()).expect("the schema");
        let types = schema.definitions.into_iter().filter_map(|definition| match definition {
            TypeSystemDefinition::Type(one) => Some((one.node.name.node.clone(), one.node)),
            _ => None,
        });
        QueryGenerator { types: types.collect(), ids, dice: StdRng::seed_from_u64(seed), aliases: 0 }
    }

    fn query(&mut self) -> String {
        let roots = self.fields("Query");
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
        Some(match (field, argument) {
            ("busiestHours", "first") => "7".to_owned(),
            (_, "first") => rows.to_string(),
            (by, "key") => format!("{{ id: \"{}\" }}", self.ids[by.trim_end_matches("By")]),
            ("session" | "job" | "item", "id") => format!("\"{}\"", self.ids[field]),
            (_, "id") => format!("\"{}\"", self.ids["inspection"]),
            (_, "ids") => format!("[\"{}\", \"{}\"]", self.ids["session"], self.ids["item"]),
            (_, "externalId") => "\"KEY-10\"".to_owned(),
            (_, "source") => "\"lot\"".to_owned(),
            (_, "at") => format!("\"{}\"", at(3_600)),
            (_, "clock") => ["RECEIVED", "OCCURRED"].choose(&mut self.dice)?.to_string(),
            (_, "groupBy") if field == "inspectionCounts" => "[DAY, STATUS]".to_owned(),
            // Different each time, so that no response is from a cache.
            (_, "since") => format!("\"2023-12-31T00:00:00.{:06}Z\"", self.dice.random_range(0..1_000_000)),
            (_, "ages") => format!("[\"{}s\"]", self.dice.random_range(0..1_000_000)),
            _ => return None,
        })
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

/// The different statements since the log was emptied, without the numbers in them.
fn shapes(hub: &ApiFixture) -> BTreeSet<String> {
    let shape = |statement: &String| {
        let mut shape = String::new();
        for character in statement.chars() {
            match character {
                '0'..='9' if shape.ends_with('#') => {}
                '0'..='9' => shape.push('#'),
                other => shape.push(other),
            }
            // A list of numbers is as good as one.
            if shape.ends_with("#, #") {
                shape.truncate(shape.len() - 3);
            }
        }
        shape
    };
    hub.statements.lock().expect("a log").iter().map(shape).collect()
}

#[tokio::test]
async fn no_query_takes_more_statements_for_more_rows() {
    let (few, many) = (filled(1).await, filled(40).await);
    let subjects = [
        ("inspection", EntityType::Inspection, 10),
        ("session", EntityType::Session, 11),
        ("job", REPORT, 12),
        ("item", PHOTO, 13),
    ];
    let ids: HashMap<_, _> = subjects
        .into_iter()
        .map(|(name, subject, number)| (name, EntityRef::new(subject, format!("KEY-{number}")).id("lot").to_string()))
        .collect();
    let mut most = 0;
    for seed in 0..QUERIES {
        let mut maker = QueryGenerator::new(ids.clone(), seed);
        let query = maker.query();
        let fields = maker.aliases;
        let (one, forty) = (few.count_statements(&query).await, many.count_statements(&query).await);
        assert_eq!(shapes(&few), shapes(&many), "seed {seed}: {query}");
        assert!(one.max(forty) <= fields + 1, "seed {seed}: {one} and {forty} statements of {fields} fields: {query}");
        let log = many.statements.lock().expect("a log").join("\n");
        assert!(query.contains("details") || !log.contains("\"details\" AS"), "details were not asked for: {query}");
        most = most.max(forty);
    }
    assert!(most > 8, "at most {most} statements");
}
