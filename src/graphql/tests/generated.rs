//! Queries generated from the schema: forty inspections take the same statements as one, and no query takes more
//! statements than it has fields. Fields that load the same thing at the same time share a statement.

use super::batching::filled;
use super::*;
use crate::query_generator::QueryGenerator;
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use std::collections::{BTreeSet, HashMap};

/// Queries.
const QUERIES: u64 = 80;
/// An argument that finds something; none leaves it out.
fn argument(ids: &HashMap<&str, String>, dice: &mut StdRng, field: &str, argument: &str) -> Option<String> {
    Some(match (field, argument) {
        (by, "key") => format!("{{ id: \"{}\" }}", ids[by.trim_end_matches("By")]),
        ("session" | "job" | "item", "id") => format!("\"{}\"", ids[field]),
        (_, "id") => format!("\"{}\"", ids["inspection"]),
        (_, "ids") => format!("[\"{}\", \"{}\"]", ids["session"], ids["item"]),
        (_, "externalId") => "\"KEY-10\"".to_owned(),
        (_, "source") => "\"lot\"".to_owned(),
        (_, "at") => format!("\"{}\"", at(3_600)),
        (_, "clock") => ["RECEIVED", "OCCURRED"].choose(dice)?.to_string(),
        (_, "groupBy") if field == "inspectionCounts" => "[DAY, STATUS]".to_owned(),
        // Different each time, so that no response is from a cache.
        (_, "since") => format!("\"2023-12-31T00:00:00.{:06}Z\"", dice.random_range(0..1_000_000)),
        (_, "ages") => format!("[\"{}s\"]", dice.random_range(0..1_000_000)),
        _ => return None,
    })
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
        let choose = |dice: &mut StdRng, field: &str, name: &str| argument(&ids, dice, field, name);
        let mut maker = QueryGenerator::new(Box::new(choose), seed);
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
