//! What a principal may not see does not exist for it: every generated query, and each subscription, is answered as by a hub that
//! never received it. And what is personal is in no response to a principal without the scope for it.

use crate::database::{TestDatabase, write};
use crate::generators::{incoming_at, scenario_per_vendor};
use crate::query_generator::QueryGenerator;
use crate::test_hub::{sample_bytes, samples};
use async_graphql::parser::parse_query;
use async_graphql::{Request, Response, Variables};
use chrono::{DateTime, TimeDelta, Utc};
use entity::{Party, RejectionCause, Scope, rejection, source_rate};
use futures_util::StreamExt;
use inspection_hub::access::{Principal, Scopes, View};
use inspection_hub::auth::KeyRing;
use inspection_hub::feed::Feed;
use inspection_hub::graphql::{ApiContext, ApiSchema, SourceInfo, StartPosition, SubscriptionProgress};
use inspection_hub::ingest::{IngestQueue, Writer};
use inspection_hub::store::read::head;
use inspection_hub::store::{
    ApiKeyStore, Database, InspectionIndex, OpenMode, RejectionStore, ReplicaReport, ReplicaStore,
};
use inspection_hub::vendor::{self, Vendor, VendorLink, WaitingRules};
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

pub const BEGIN: DateTime<Utc> = DateTime::from_timestamp(1_772_400_000, 0).expect("a moment");
/// Generated queries of each case.
const QUERIES: u64 = 60;

/// A delivery: source, vendor, body, and when it is received.
pub type Sent = (String, &'static str, Value, DateTime<Utc>);

fn now() -> DateTime<Utc> {
    BEGIN + TimeDelta::days(20)
}

/// Two records of a source, with ids that follow from its name.
fn refused_webhooks(source: &str) -> Vec<rejection::Model> {
    let row = |cause: RejectionCause| {
        let mut id = uuid::Builder::from_bytes(bytes_of(&format!("{source} {cause}")));
        id.set_version(uuid::Version::Random);
        let fits = json!([{ "words": "the secret of the source `hidden-hover`", "source": "hidden-hover" }]);
        rejection::Model {
            id: id.into_uuid(),
            source: source.to_owned(),
            cause,
            scheme: Some("bearer".to_owned()),
            http_status: 401,
            method: "POST".to_owned(),
            path: format!("/webhooks/{source}"),
            header_names: r#"["authorization"]"#.to_owned(),
            bytes: 2,
            address: Some("192.0.2.77".to_owned()),
            reason: "no active secret matches".to_owned(),
            would_fit: if source.starts_with("hidden-") { fits.to_string() } else { "[]".to_owned() },
            count: 3,
            first_at: BEGIN.timestamp_micros(),
            at: BEGIN.timestamp_micros(),
        }
    };
    [RejectionCause::WrongSecret, RejectionCause::UnknownSource].map(row).into()
}

/// What a source received in the last minutes and hours, by its name.
fn rates(source: &str) -> Vec<source_rate::Model> {
    let rate = |seconds: i32, ago: i64| source_rate::Model {
        seconds,
        begins_at: now().timestamp_micros() - ago * i64::from(seconds) * 1_000_000,
        source: source.to_owned(),
        accepted: 1 + ago * if source.starts_with("hidden-") { 1_000 } else { 1 },
        ..Default::default()
    };
    vec![rate(60, 0), rate(60, 7), rate(3_600, 1), rate(3_600, 100)]
}

// A few bytes that depend on a text.
fn bytes_of(text: &str) -> [u8; 16] {
    *uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_URL, text.as_bytes()).as_bytes()
}

/// A source with settings. Its inspections wait for the hub's own organization in the first state.
pub fn source_info(name: String, vendor: &'static Vendor) -> SourceInfo {
    let mut waiting_rules = WaitingRules::of(vendor);
    let first_state = WaitingRules::states(vendor).next();
    assert!(first_state.is_none_or(|state| waiting_rules.replace(state, Some(Party::Us))));
    let link = VendorLink::parse(&format!("https://{name}.example/{{external_id}}")).expect("a template");
    let secret_dates = vec![("bearer", 1, Some(BEGIN))];
    let expect_every = Some(Duration::from_secs(3_600));
    SourceInfo { waiting_rules, link: Some(link), secret_dates, expect_every, ..SourceInfo::new(name, vendor) }
}

/// A hub that has received some deliveries.
pub struct FilledHub {
    _database: TestDatabase,
    db: Database,
    feed: Arc<Feed>,
    graph: ApiSchema,
}

impl FilledHub {
    pub async fn new(deliveries: impl Iterator<Item = &Sent>) -> FilledHub {
        FilledHub::at(deliveries, now).await
    }

    /// One whose clock says another time.
    pub async fn at(deliveries: impl Iterator<Item = &Sent>, clock: fn() -> DateTime<Utc>) -> FilledHub {
        let database = TestDatabase::new().await;
        let db = Database::open(&database.address, OpenMode::Migrate).await.expect("opens");
        let feed = Feed::new(db.read_pool.clone(), &head(&db.read_pool).await.expect("a head"));
        let mut writer = Writer::open(&db).expect("a writer");
        let mut sources = BTreeSet::new();
        for (source, vendor, body, received_at) in deliveries {
            // Alone, so that neither hub has other batches.
            write(&mut writer, &[incoming_at(source, vendor, body, *received_at)]);
            sources.insert((source.clone(), *vendor));
        }
        let received: BTreeSet<&str> = sources.iter().map(|(name, _): &(String, &str)| name.as_str()).collect();
        let refused: Vec<_> = received.iter().flat_map(|source| refused_webhooks(source)).collect();
        RejectionStore::new(db.clone()).save(&refused).await.expect("saved");
        if received.iter().any(|source| source.starts_with("hidden-")) {
            RejectionStore::new(db.clone()).save(&refused_webhooks("")).await.expect("saved");
        }
        let report = ReplicaReport {
            row: Default::default(),
            silent_since: 0,
            rates: received.iter().flat_map(|source| rates(source)).collect(),
        };
        ReplicaStore::new(db.clone()).report(report).await.expect("reported");
        let info = |(name, of): (String, &str)| source_info(name, vendor::by_name(of).expect("a vendor"));
        let graph = ApiSchema::new(ApiContext {
            readers: db.read_pool.clone(),
            principal: Principal::unlimited(),
            inspection_index: Arc::<InspectionIndex>::default(),
            feed: feed.clone(),
            rejections: Arc::default(),
            sources: sources.into_iter().map(info).collect(),
            ingest: IngestQueue::closed(),
            retention: None,
            keys: Arc::new(KeyRing::unread(ApiKeyStore::new(db.clone()), clock)),
            clock,
        });
        FilledHub { _database: database, db, feed, graph }
    }

    pub async fn respond(&self, query: &str, principal: &Arc<Principal>) -> Response {
        let document = Arc::new(parse_query(query).expect("a query"));
        self.graph.execute_parsed(Request::new(""), &document, principal).await
    }

    pub async fn data(&self, query: &str) -> Value {
        let response = self.respond(query, &Principal::unlimited()).await;
        assert!(response.errors.is_empty(), "{query}: {:?}", response.errors);
        response.data.into_json().expect("JSON")
    }

    /// The responses of a subscription from the beginning to the end of the history.
    pub async fn follow(&self, query: &str, variables: &Value, principal: &Arc<Principal>) -> Vec<Value> {
        let end = head(&self.db.read_pool).await.expect("a head");
        let document = Arc::new(parse_query(query).expect("a subscription"));
        let progress = SubscriptionProgress::new(StartPosition::Position(0), Some(end.position));
        let request = Request::new("").variables(Variables::from_json(variables.clone()));
        self.feed.publish(end.position);
        let responses = self.graph.subscribe(request, &document, principal, &progress);
        let acknowledge = |response: Response| {
            progress.ack();
            response.data.into_json().expect("JSON")
        };
        responses.map(acknowledge).collect().await
    }

    /// Ids of everything that it has, by the field that finds them.
    async fn ids(&self) -> HashMap<&'static str, Vec<String>> {
        let data = self
            .data(
                "{ inspections(first: 100) { nodes { id } } sessions(first: 100) { nodes { id } }
            jobs(first: 100) { nodes { id } } items(first: 100) { nodes { id } }
            deliveries(first: 100) { nodes { id } } changes(first: 100) { nodes { id } } }",
            )
            .await;
        let of = |list: &str| {
            let nodes = data[list]["nodes"].as_array().expect("nodes");
            nodes.iter().map(|node| node["id"].as_str().expect("an id").to_owned()).collect()
        };
        [("inspection", "inspections"), ("session", "sessions"), ("job", "jobs"), ("item", "items")]
            .map(|(field, list)| (field, of(list)))
            .into_iter()
            .collect()
    }
}

/// One scenario of each vendor for two accounts, and when each delivery of both is received. Which account is first, and which of
/// its deliveries is next, is generated.
pub fn traffic() -> impl Strategy<Value = Vec<Sent>> {
    let accounts = (scenario_per_vendor(), scenario_per_vendor());
    let all = accounts.prop_flat_map(|(seen, hidden)| {
        let mut all = Vec::new();
        for (account, scenarios) in [("seen", seen), ("hidden", hidden)] {
            for (vendor, bodies) in scenarios {
                all.extend(bodies.into_iter().map(|body| (format!("{account}-{vendor}"), vendor, body)));
            }
        }
        Just(all).prop_shuffle()
    });
    all.prop_map(|all| {
        let at = |place: usize| BEGIN + TimeDelta::minutes(7) * i32::try_from(place).expect("few");
        all.into_iter().enumerate().map(|(place, (source, vendor, body))| (source, vendor, body, at(place))).collect()
    })
}

fn is_seen(sent: &&Sent) -> bool {
    sent.0.starts_with("seen-")
}

pub fn principal(scopes: Scopes, sources: Option<Vec<String>>) -> Arc<Principal> {
    let view = View::new(scopes, sources);
    Arc::new(Principal { view, ..Principal::anyone(Scopes::NONE) })
}

/// Of what is seen and of what is hidden.
fn argument(
    ids: &[HashMap<&'static str, Vec<String>>; 2],
    dice: &mut StdRng,
    field: &str,
    name: &str,
) -> Option<String> {
    let account = ["seen", "hidden"].choose(dice)?;
    let of = ids.choose(dice)?;
    let vendor = vendor::names().collect::<Vec<_>>().choose(dice)?.to_string();
    let id = |dice: &mut StdRng, kind: &str| of.get(kind).and_then(|ids| ids.choose(dice)).cloned();
    let any_id = |dice: &mut StdRng| {
        let kind = ["inspection", "session", "job", "item"].choose(dice).copied().unwrap_or_default();
        id(dice, kind).unwrap_or_else(|| "00000000-0000-5000-8000-000000000000".to_owned())
    };
    let external_id = ["K-1", "7"].choose(dice)?;
    Some(match (field, name) {
        ("inspection" | "session" | "job" | "item", "id") => {
            format!("\"{}\"", id(dice, field).unwrap_or_else(|| any_id(dice)))
        }
        (_, "id") => format!("\"{}\"", any_id(dice)),
        (_, "ids") => format!("[\"{}\", \"{}\"]", any_id(dice), any_id(dice)),
        (by, "key") => match id(dice, by.trim_end_matches("By")) {
            Some(id) => format!("{{ id: \"{id}\" }}"),
            None => format!("{{ external: {{ source: \"{account}-{vendor}\", externalId: \"{external_id}\" }} }}"),
        },
        (_, "externalId") => format!("\"{external_id}\""),
        (_, "source") => format!("\"{account}-{vendor}\""),
        (_, "at") => format!("\"{}\"", (BEGIN + TimeDelta::hours(9)).to_rfc3339()),
        (_, "clock") => ["RECEIVED", "OCCURRED"].choose(dice)?.to_string(),
        ("inspectionCounts", "groupBy") => "[SOURCE, VENDOR, DAY, STATUS]".to_owned(),
        (_, "groupBy") => ["SOURCE", "VENDOR", "NONE"].choose(dice)?.to_string(),
        ("changes" | "deliveries" | "busiestHours", "filter") => format!("{{ source: [\"{account}-{vendor}\"] }}"),
        (
            "inspections" | "sessions" | "jobs" | "inspectionCounts" | "funnel" | "statusCounts" | "statusRates",
            "filter",
        ) => {
            let party = Party::ALL.choose(dice)?;
            [
                format!("{{ source: [\"{account}-{vendor}\"] }}"),
                format!("{{ externalId: \"{external_id}\" }}"),
                format!("{{ waitsFor: [{party}] }}"),
            ]
            .choose(dice)?
            .clone()
        }
        (_, "since") => format!("\"{}\"", BEGIN.to_rfc3339()),
        _ => return None,
    })
}

/// What two hubs may have in another number: positions, cursors, the time of the newest change, and the ids of deliveries and changes, which are computed from
/// numbers. `aliases` are the names of the response that have them.
fn without_numbers(value: &Value, aliases: &HashMap<String, String>) -> Value {
    const NUMBERED: &[&str] = &["position", "time", "cursor", "startCursor", "endCursor", "oldestCursor"];
    match value {
        Value::Array(values) => values.iter().map(|value| without_numbers(value, aliases)).collect(),
        Value::Object(object) => {
            let shown = |(name, value): (&String, &Value)| {
                let field = aliases.get(name).map_or(name.as_str(), String::as_str);
                (!NUMBERED.contains(&field)).then(|| (name.clone(), without_numbers(value, aliases)))
            };
            object.iter().filter_map(shown).collect()
        }
        Value::String(text) => match uuid::Uuid::try_parse(text) {
            Ok(id) if id.get_version_num() == 8 => "an id with a number".into(),
            _ => value.clone(),
        },
        _ => value.clone(),
    }
}

/// The name of the field of each alias: `f7: position`.
fn aliases(query: &str) -> HashMap<String, String> {
    let words = query.split_whitespace().collect::<Vec<_>>();
    let named = words.windows(2).filter_map(|pair| Some((pair[0].strip_suffix(':')?, pair[1])));
    let name = |field: &str| field.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default().to_owned();
    named.map(|(alias, field)| (alias.to_owned(), name(field))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_hidden_source_makes_no_difference(traffic in traffic(), seed in 0..1_000_000u64) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let (alone, both) = (FilledHub::new(traffic.iter().filter(is_seen)).await, FilledHub::new(traffic.iter()).await);
            let sources: BTreeSet<String> = traffic.iter().filter(is_seen).map(|(source, ..)| source.clone()).collect();
            let limited = principal(Scopes::ALL, Some(sources.into_iter().collect()));
            let ids = [alone.ids().await, both.ids().await];
            let (mut found, mut refused) = (0, 0);
            let of_operators = "{ rejections(first: 100) { totalCount nodes { id source path address wouldFit } } }";
            let (expected, shown) = (alone.respond(of_operators, &Principal::unlimited()).await, both.respond(of_operators, &limited).await);
            prop_assert_eq!(&shown.data, &expected.data);
            prop_assert!(shown.data.to_string().contains("seen-") && both.data(of_operators).await.to_string().contains("hidden-"));
            for number in 0..QUERIES {
                let choose = |dice: &mut StdRng, field: &str, name: &str| argument(&ids, dice, field, name);
                let query = QueryGenerator::new(Box::new(choose), seed + number).query();
                let names = aliases(&query);
                let (expected, shown) = (alone.respond(&query, &limited).await, both.respond(&query, &limited).await);
                let message = |response: &Response| response.errors.iter().map(|error| error.message.clone()).collect::<Vec<_>>();
                prop_assert_eq!(message(&shown), message(&expected), "{}", &query);
                refused += shown.errors.len();
                let json = |response: Response| without_numbers(&response.data.into_json().expect("JSON"), &names);
                let (expected, shown) = (json(expected), json(shown));
                prop_assert_eq!(&shown, &expected, "{}", &query);
                found += shown.to_string().matches("__typename").count();
            }
            assert!(found > 200 && refused < 20, "{found} objects, {refused} errors");
            for (query, variables) in [
                ("subscription { changes { id event verdict reason source position inspection { id sessions { totalCount } } } }", json!({})),
                ("subscription { inspectionChanged { toState inspection { id source history { totalCount } } } }", json!({})),
                ("subscription { sessionChanged { toState session { id source } } }", json!({})),
                ("subscription { jobChanged { toState job { id source } } }", json!({})),
            ] {
                let expected = alone.follow(query, &variables, &Principal::unlimited()).await;
                let shown = both.follow(query, &variables, &limited).await;
                let plain = |all: &[Value]| all.iter().map(|value| without_numbers(value, &HashMap::new())).collect::<Vec<_>>();
                prop_assert_eq!(plain(&shown), plain(&expected), "{}", query);
            }
            Ok(())
        })?;
    }
}

/// Texts in the personal fields of everything.
async fn personal_texts(hub: &FilledHub) -> BTreeSet<String> {
    let query = "{ deliveries(first: 40) { nodes { bodyText headers } }
        inspections(first: 100) { nodes { reference externalId details summary { viewUrl reportUrl landingUrl }
          subject { vehicle { vin plate } property { name address } asset { externalId } location { name address postCode } } } }
        jobs(first: 100) { nodes { details document { url error } task { name assignee requester } } }
        sessions(first: 100) { nodes { details } }
        items(first: 100) { nodes { details photo { url message } video { url thumbnailUrl } answer { text } form { values }
          message { recipient phone error text } note { title text author } file { url name } record { data error } } } }";
    let mut texts = BTreeSet::new();
    gather(&hub.data(query).await, &mut texts);
    texts
}

fn gather(value: &Value, texts: &mut BTreeSet<String>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| gather(value, texts)),
        Value::Object(object) => object.values().for_each(|value| gather(value, texts)),
        Value::String(text) => drop(texts.insert(text.clone())),
        _ => {}
    }
}

/// Texts that are in fields which are not personal: the same text may be in both.
async fn open_texts(hub: &FilledHub) -> BTreeSet<String> {
    const IDENTITY: &str = "id reference externalId group state source vendor";
    let query = format!(
        "{{ deliveries(first: 100) {{ nodes {{ id event source contentType }} }}
          inspections(first: 100) {{ nodes {{ {IDENTITY} summary {{ outcome workOrderId archiveStatus direction }} }} }}
          sessions(first: 100) {{ nodes {{ {IDENTITY} }} }} jobs(first: 100) {{ nodes {{ {IDENTITY} }} }}
          items(first: 100) {{ nodes {{ {IDENTITY} photo {{ label code verdict }} answer {{ question questionId }}
            damage {{ name description component partGroup }} message {{ purpose channel status }} record {{ recordId resource }} }} }} }}"
    );
    let machines = "{ stateMachines { states { name description } } sources { name vendor } }";
    let mut texts = BTreeSet::new();
    gather(&hub.data(&query).await, &mut texts);
    gather(&hub.data(machines).await, &mut texts);
    texts
}

/// Whether a text is long enough to be found, and no time.
fn is_telling(text: &str) -> bool {
    text.len() >= 6 && DateTime::parse_from_rfc3339(text).is_err()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_personal_is_withheld_from_every_response() {
    let mut sent = Vec::new();
    for vendor in vendor::names() {
        for sample in samples(vendor).iter().filter(|sample| sample.ends_with(".json")) {
            let body = serde_json::from_slice(&sample_bytes(sample)).expect("JSON");
            let at = BEGIN + TimeDelta::minutes(i64::try_from(sent.len()).expect("few"));
            sent.push((format!("seen-{vendor}"), vendor, body, at));
        }
    }
    let hub = FilledHub::new(sent.iter()).await;
    let (personal, open) = (personal_texts(&hub).await, open_texts(&hub).await);
    let is_open = |text: &str| open.iter().any(|open| open.contains(text));
    let canaries: Vec<&String> = personal.iter().filter(|text| is_telling(text) && !is_open(text)).collect();
    assert!(canaries.len() > 150, "{canaries:?}");
    let reader = principal(Scopes::ALL.without(Scope::ReadPersonal), None);
    let find = |text: &str| canaries.iter().find(|canary| text.contains(canary.as_str())).copied();
    let ids = [hub.ids().await, hub.ids().await];
    let mut withheld = 0;
    for seed in 0..4 * QUERIES {
        let choose = |dice: &mut StdRng, field: &str, name: &str| argument(&ids, dice, field, name);
        let query = QueryGenerator::new(Box::new(choose), seed).query();
        let response = hub.respond(&query, &reader).await;
        withheld += usize::from(response.extensions.contains_key("withheld"));
        let text = serde_json::to_string(&response).expect("JSON");
        assert_eq!(find(&text), None, "{query}\n{text}");
    }
    assert!(withheld > 20, "{withheld}");
    let query = "subscription { inspectionChanged { inspection { details subject { vehicle { vin plate make } } } } }";
    let shown = Value::from(hub.follow(query, &json!({}), &reader).await);
    assert_eq!(find(&shown.to_string()), None, "{shown}");
    assert!(shown.to_string().contains("\"vin\":null"), "{shown}");
    // The same with the scope.
    let all = Value::from(hub.follow(query, &json!({}), &Principal::unlimited()).await);
    assert!(find(&all.to_string()).is_some(), "{all}");
    let response = hub.respond("{ rejections(first: 1) { nodes { address path } } }", &reader).await;
    assert!(response.data.to_string().contains("address: null"), "{}", response.data);
    let response = hub.respond("{ inspections(first: 1) { nodes { details id } } }", &reader).await;
    let named = json!({ "scope": "read:personal", "fields": ["Inspection.details"] });
    assert_eq!(serde_json::to_value(&response.extensions["withheld"]).expect("JSON"), named);
}
