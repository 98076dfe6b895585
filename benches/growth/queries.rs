//! The queries that are measured, through GraphQL: each for many inspections, pages and times in turn.

use super::fill::Population;
use anyhow::{Context, ensure};
use async_graphql::{Request, Value};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use entity::Kind;
use inspection_hub::access::Principal;
use inspection_hub::auth::KeyRing;
use inspection_hub::feed::Feed;
use inspection_hub::graphql::{ApiContext, ApiSchema};
use inspection_hub::ingest::IngestQueue;
use inspection_hub::store::ApiKeyStore;
use inspection_hub::store::read::{EntityProjection, datetime_from_micros, entities_by_row_id};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// Different inspections, pages and times per query.
const DIFFERENT: usize = 200;
/// The most runs of a query, and the time after which it is not run again.
const TIMES: usize = 600;
const LONG_ENOUGH: Duration = Duration::from_secs(3);

/// A query in all its variants.
pub struct BenchQuery {
    pub what: &'static str,
    forms: Vec<String>,
}

pub fn graph(runtime: &Runtime, of: &Population<'_>) -> anyhow::Result<ApiSchema> {
    let head = of.head()?;
    let feed = runtime.block_on(async { Feed::new(of.db.read_pool.clone(), &head) });
    Ok(ApiSchema::new(ApiContext {
        readers: of.db.read_pool.clone(),
        inspection_index: Default::default(),
        principal: Principal::unlimited(),
        feed,
        rejections: Default::default(),
        sources: [].into(),
        ingest: IngestQueue::closed(),
        retention: None,
        keys: Arc::new(KeyRing::unread(ApiKeyStore::new(of.db.clone()), Utc::now)),
        clock: Utc::now,
    }))
}

/// All queries.
pub fn build_queries(runtime: &Runtime, graph: &ApiSchema, of: &Population<'_>) -> anyhow::Result<Vec<BenchQuery>> {
    let mut chance = StdRng::seed_from_u64(7);
    let newest = of.head()?.last_entity_row_id;
    let mut inspections = Vec::new();
    while inspections.len() < DIFFERENT {
        let numbers: Vec<i64> = (0..DIFFERENT).map(|_| chance.random_range(1..=newest)).collect();
        let found = runtime.block_on(entities_by_row_id(&of.db.read_pool, EntityProjection::default(), &numbers))?;
        inspections.extend(found.into_values().filter(|row| row.kind == Kind::Inspection));
    }
    inspections.truncate(DIFFERENT);
    let text = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Micros, true);
    let each = |what, form: &dyn Fn(&str, DateTime<Utc>) -> String| {
        let forms =
            inspections.iter().map(|row| form(&row.id.to_string(), datetime_from_micros(row.updated_at))).collect();
        BenchQuery { what, forms }
    };
    let one = |what, form: &str| BenchQuery { what, forms: vec![form.to_owned()] };
    const PAGE: &str = "{ nodes { id status state updatedAt } pageInfo { hasNextPage endCursor } }";

    let mut deep = BenchQuery { what: "25 inspections, deep in the list", forms: Vec::new() };
    let mut resume = BenchQuery { what: "100 changes after a cursor", forms: Vec::new() };
    for row in &inspections {
        let before = text(datetime_from_micros(row.updated_at));
        let page = format!(
            "{{ inspections(first: 1, filter: {{ updatedBefore: \"{before}\" }}) {{ pageInfo {{ endCursor }} }} }}"
        );
        let page = execute(runtime, graph, &page)?;
        // There is none before the oldest.
        if let Some(cursor) = text_at(&page, &["inspections", "pageInfo", "endCursor"]) {
            deep.forms.push(format!("{{ inspections(first: 25, after: \"{cursor}\") {PAGE} }}"));
        }
        let last =
            format!("{{ inspection(id: \"{}\") {{ history(last: 1) {{ pageInfo {{ endCursor }} }} }} }}", row.id);
        let last = execute(runtime, graph, &last)?;
        let cursor = text_at(&last, &["inspection", "history", "pageInfo", "endCursor"]).context("a cursor")?;
        resume.forms.push(format!(
            "{{ changes(first: 100, after: \"{cursor}\") {{ nodes {{ position kind verdict entityId toState toStatus }} }} }}"
        ));
    }
    Ok(vec![
        each("an inspection", &|id, _| format!("{{ inspection(id: \"{id}\") {{ state status cycle }} }}")),
        each("asOf of it, by the time of receipt", &|id, at| {
            let at = text(at - TimeDelta::seconds(1));
            format!("{{ inspection(id: \"{id}\") {{ asOf(at: \"{at}\") {{ state status cycle }} }} }}")
        }),
        each("asOf of it, by the time it happened", &|id, at| {
            let at = text(at - TimeDelta::seconds(1));
            format!("{{ inspection(id: \"{id}\") {{ asOf(at: \"{at}\", clock: OCCURRED) {{ state status cycle }} }} }}")
        }),
        each("its jobs and history", &|id, _| {
            format!(
                "{{ inspection(id: \"{id}\") {{ jobs(first: 10) {{ nodes {{ id status }} }}
                    history(first: 20) {{ nodes {{ position verdict toState }} }} }} }}"
            )
        }),
        one("25 inspections, the newest", &format!("{{ inspections(first: 25) {PAGE} }}")),
        deep,
        one(
            "25 inspections of one status",
            &format!("{{ inspections(first: 25, filter: {{ status: [IN_PROGRESS] }}) {PAGE} }}"),
        ),
        each("25 inspections as they stood", &|_, at| {
            format!(
                "{{ inspectionsAsOf(at: \"{}\", first: 25) {{ nodes {{ status inspection {{ id }} }} }} }}",
                text(at)
            )
        }),
        resume,
        one("totalCount", "{ inspections(first: 1) { totalCount } }"),
        one("totalCount of one status", "{ inspections(first: 1, filter: { status: [IN_PROGRESS] }) { totalCount } }"),
        one("statusCounts", "{ statusCounts { status count } }"),
    ])
}

impl BenchQuery {
    /// Runs it repeatedly. The time of each response in microseconds, ascending.
    pub fn run_query(&self, runtime: &Runtime, graph: &ApiSchema) -> anyhow::Result<Vec<f64>> {
        let (mut micros, begun) = (Vec::new(), Instant::now());
        for form in self.forms.iter().cycle().take(TIMES) {
            let asked = Instant::now();
            execute(runtime, graph, form)?;
            micros.push(asked.elapsed().as_secs_f64() * 1e6);
            if begun.elapsed() > LONG_ENOUGH {
                break;
            }
        }
        // The first run prepares the statements.
        if micros.len() > 3 {
            micros.remove(0);
        }
        micros.sort_unstable_by(f64::total_cmp);
        Ok(micros)
    }
}

fn execute(runtime: &Runtime, graph: &ApiSchema, query: &str) -> anyhow::Result<Value> {
    let answer = runtime.block_on(graph.execute(Request::new(query)));
    ensure!(answer.errors.is_empty(), "{query}: {:?}", answer.errors);
    Ok(answer.data)
}

fn text_at(value: &Value, path: &[&str]) -> Option<String> {
    let found = path.iter().try_fold(value, |value, name| match value {
        Value::Object(fields) => fields.get(*name),
        _ => None,
    });
    match found {
        Some(Value::String(text)) => Some(text.clone()),
        _ => None,
    }
}
