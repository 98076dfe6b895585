//! Unit tests of the API, over a small database with rows of their own.

mod aggregates;
mod api_keys;
mod arguments;
mod as_of;
mod as_of_lists;
mod batching;
mod errors;
mod federation;
mod generated;
mod keys;
mod node_list;
mod pagination;
mod plans;
mod saved_index;
mod schema;
mod source_rates;
mod subscriptions;
mod types;
mod zones;

use super::{ApiContext, ApiSchema, SourceInfo, StartPosition, SubscriptionProgress};
use crate::access::Principal;
use crate::auth::KeyRing;
use crate::database::TestDatabase;
use crate::event::EntityRef;
use crate::feed::Feed;
use crate::ingest::IngestQueue;
use crate::machine::EntityType;
use crate::store::{ApiKeyStore, Database, OpenMode, StoredPayload};
use crate::vendor;
use async_graphql::parser::parse_query;
use async_graphql::{Request, Response, Variables};
use chrono::{DateTime, Utc};
use entity::update_order::{self, lists};
use entity::{CommandKind, ItemKind, JobKind, Kind, ReasonCode, Status, Verdict};
use futures_util::stream::{BoxStream, StreamExt};
use sea_orm::{ActiveModelTrait, DatabaseConnection, EntityTrait, IntoActiveModel, Set, Statement};
use serde_json::Value;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use uuid::Uuid;

/// The time at which the tests begin: 2024-01-01T00:00:00Z.
const BEGIN: i64 = 1_704_067_200_000_000;
const SECOND: i64 = 1_000_000;

/// The generation of the tests' history.
const GENERATION: i64 = 7;

/// The cursor of a position in that history.
pub(crate) fn cursor_of(position: i64) -> String {
    super::cursor::Cursor::Change { position, generation: GENERATION }.encode()
}

/// A database, and the API over it. The API's clock is one day after the beginning.
pub(crate) struct ApiFixture {
    pub(crate) graph: ApiSchema,
    pub(crate) feed: Arc<Feed>,
    pub(crate) writer: DatabaseConnection,
    /// Every statement of the API since it was last emptied.
    pub(crate) statements: Arc<Mutex<Vec<String>>>,
    /// Those of them that read more than the counters, with their parameters.
    logged_statements: Arc<Mutex<Vec<Statement>>>,
    database: TestDatabase,
}

impl ApiSchema {
    /// Executes a subscription whose responses are acknowledged at once.
    fn execute_stream(&self, request: Request) -> BoxStream<'static, Response> {
        let document = Arc::new(parse_query(&request.query).expect("a document"));
        let progress = SubscriptionProgress::new(StartPosition::FromOperation, None);
        let responses = self.subscribe(request, &document, &self.api.principal, &progress);
        let acknowledge = move |_: &Response| {
            progress.ack();
        };
        responses.inspect(acknowledge).boxed()
    }
}

impl ApiFixture {
    pub(crate) async fn new() -> Self {
        let empty = TestDatabase::new().await;
        let mut database = Database::open(&empty.address, OpenMode::Migrate).await.expect("a database");
        let statements = Arc::new(Mutex::new(Vec::new()));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (log, more) = (statements.clone(), asked.clone());
        database.read_pool.set_metric_callback(move |info| {
            log.lock().expect("a log").push(info.statement.to_string());
            if !info.statement.sql.starts_with("SELECT \"log_head\"") {
                more.lock().expect("a log").push(info.statement.clone());
            }
        });
        let writer = sea_orm::Database::connect(&empty.address).await.expect("a connection");
        let generation = format!("UPDATE log_head SET generation = {GENERATION}");
        sea_orm::ConnectionTrait::execute_unprepared(&writer, &generation).await.expect("counters");
        let head = crate::store::read::head(&database.read_pool).await.expect("counters");
        let feed = Feed::new(database.read_pool.clone(), &head);
        let pave = vendor::by_name("pave").expect("a vendor");
        let lot = SourceInfo {
            schemes: vec!["basic".into()],
            open: false,
            url: Some("https://hub.example/webhooks/lot".into()),
            ..SourceInfo::new("lot", pave)
        };
        let yard = SourceInfo::new("yard", pave);
        let clock = || DateTime::from_timestamp_micros(BEGIN + 86_400 * SECOND).expect("a moment");
        let api = ApiContext {
            readers: database.read_pool.clone(),
            principal: Principal::unlimited(),
            inspection_index: Arc::default(),
            feed: feed.clone(),
            rejections: Arc::default(),
            sources: [lot, yard].into(),
            retention: None,
            keys: Arc::new(KeyRing::unread(ApiKeyStore::new(database.clone()), clock)),
            ingest: IngestQueue::closed(),
            clock,
        };
        // No result is reused, however slow the machine is.
        ApiFixture {
            graph: ApiSchema::finish(super::builder().disable_suggestions(), api, Duration::MAX),
            feed,
            writer,
            statements,
            logged_statements: asked,
            database: empty,
        }
    }

    /// Stores an entity. Its external id is `KEY-number`, and it was created and updated `number` seconds after the
    /// beginning.
    async fn entity(&self, number: i64, subject: EntityType, edit: impl FnOnce(&mut entity::entity::Model)) -> Uuid {
        let external_id = format!("KEY-{number}");
        let mut row = entity::entity::Model {
            row_id: number,
            id: EntityRef::new(subject, external_id.clone()).id("lot"),
            kind: subject.kind(),
            subkind: subject.subkind().into(),
            source: "lot".into(),
            vendor: "pave".into(),
            external_id,
            parent_row_id: None,
            inspection_row_id: (subject == EntityType::Inspection).then_some(number),
            reference: None,
            customer_reference: None,
            hand_linked_row_id: None,
            vendor_inspection_row_id: None,
            labels: None,
            due_at: None,
            registered_at: None,
            group_key: None,
            state: Some("STARTED".into()),
            status: match subject {
                EntityType::Inspection | EntityType::Session => Some(Status::Started),
                EntityType::Job(_) => Some(Status::Running),
                EntityType::Item(_) => None,
            },
            cycle: 0,
            facts: "{}".into(),
            details: "{}".into(),
            field_versions: "{}".into(),
            fold_state: "{}".into(),
            created_at: BEGIN + number * SECOND,
            updated_at: BEGIN + number * SECOND,
            occurred_at: None,
            position: number,
            steps_materialized: true,
        };
        let given = row.id;
        edit(&mut row);
        if row.id == given {
            row.id = EntityRef::new(subject, row.external_id.as_str()).id(&row.source);
        }
        let id = row.id;
        let ledger = entity::ledger::Model { source: row.source.clone(), ..Default::default() };
        let ledger = entity::ledger::Entity::insert(ledger.into_active_model().reset_all());
        ledger.on_conflict_do_nothing().exec_without_returning(&self.writer).await.expect("inserted");
        for list in lists(row.kind, row.status) {
            let place = update_order::Model { list, position: row.position, entity_row_id: row.row_id };
            let place = place.into_active_model().reset_all();
            update_order::Entity::insert(place).exec_without_returning(&self.writer).await.expect("inserted");
        }
        let row = row.into_active_model().reset_all();
        entity::entity::Entity::insert(row).exec_without_returning(&self.writer).await.expect("inserted");
        let head = format!("UPDATE log_head SET last_entity_row_id = {number} WHERE last_entity_row_id < {number}");
        sea_orm::ConnectionTrait::execute_unprepared(&self.writer, &head).await.expect("the head moved");
        id
    }

    pub(crate) async fn inspection(&self, number: i64) -> Uuid {
        self.entity(number, EntityType::Inspection, |_| {}).await
    }

    /// Stores a change, received `position` seconds after the beginning, and moves the head to it.
    pub(crate) async fn change(
        &self,
        position: i64,
        kind: Kind,
        about: i64,
        edit: impl FnOnce(&mut entity::change::Model),
    ) {
        let mut row = entity::change::Model {
            position,
            kind,
            entity_row_id: Some(about),
            inspection_row_id: Some(1),
            delivery_row_id: Some(1),
            command_row_id: None,
            source: Some("lot".into()),
            vendor: Some("pave".into()),
            event: "SESSION:STATUS_CHANGE".into(),
            verdict: Verdict::Applied,
            reason_code: ReasonCode::StateChanged,
            reason_params: Some(r#"{"from":"IDLE","to":"STARTED"}"#.into()),
            warnings: None,
            from_state: Some("IDLE".into()),
            to_state: Some("STARTED".into()),
            from_status: Some(Status::Requested),
            to_status: Some(Status::Started),
            cycle: 0,
            occurred_at: None,
            received_at: BEGIN + position * SECOND,
            dedup_key: None,
            target_state: None,
            at_least: false,
            order_cycle: None,
            order_rank: 0,
            previous_step: None,
        };
        edit(&mut row);
        // A step has both.
        row.order_cycle = row.target_state.is_some().then_some(0);
        crate::store::insert_change(&self.writer, &row).await;
        let head = entity::log_head::ActiveModel {
            id: Set(1),
            position: Set(position),
            updated_at: Set(BEGIN + position * SECOND),
            received_at: Set(BEGIN + position * SECOND),
            ..Default::default()
        };
        head.update(&self.writer).await.expect("the head moved");
    }

    /// Stores a delivery that brought the changes from a position on.
    pub(crate) async fn delivery(
        &self,
        number: i64,
        first: i64,
        changes: i32,
        edit: impl FnOnce(&mut entity::delivery::Model),
    ) -> Uuid {
        let headers = r#"{"content-type":"application/json"}"#;
        let StoredPayload { dictionary_id, headers, body, body_size } =
            StoredPayload::uncompressed(headers, br#"{"event":"SESSION:STATUS_CHANGE"}"#);
        let mut row = entity::delivery::Model {
            row_id: number,
            source: "lot".into(),
            vendor: "pave".into(),
            received_at: BEGIN + number * SECOND,
            method: "POST".into(),
            dedup_key: None,
            event: "SESSION:STATUS_CHANGE".into(),
            occurred_at: None,
            verdict: Verdict::Applied,
            reason_code: ReasonCode::FirstSeen,
            reason_params: None,
            warnings: None,
            duplicate_of: None,
            first_position: first,
            change_count: changes,
            dictionary_id,
            duplicates: 0,
            last_duplicate_at: None,
            body_size,
            headers,
            body,
        };
        edit(&mut row);
        let row = row.into_active_model().reset_all();
        entity::delivery::Entity::insert(row).exec_without_returning(&self.writer).await.expect("inserted");
        crate::store::read::delivery_id(number)
    }

    /// Stores a comment on an inspection, and the change that it made.
    pub(crate) async fn comment(&self, number: i64, position: i64, inspection: i64) {
        let row = entity::command::Model {
            row_id: number,
            kind: CommandKind::Comment,
            source: "lot".into(),
            vendor: "pave".into(),
            received_at: BEGIN + number * SECOND,
            entity_row_id: Some(inspection),
            target_row_id: None,
            actor: "anyone".into(),
            reason: None,
            input: format!(r#"{{"inspection":"{}","text":"a comment"}}"#, Uuid::nil()),
            first_position: position,
            change_count: 1,
        };
        let row = row.into_active_model().reset_all();
        entity::command::Entity::insert(row).exec_without_returning(&self.writer).await.expect("inserted");
        self.change(position, Kind::Inspection, inspection, |row| {
            (row.delivery_row_id, row.command_row_id) = (None, Some(number));
        })
        .await;
    }

    /// The way of all requests to it, without limits that are configured.
    pub(crate) fn pipeline(&self) -> Arc<crate::request::Pipeline> {
        crate::request::Pipeline::new(self.graph.clone(), crate::request::PipelineConfig::default())
    }

    /// The data of an answer without errors.
    async fn query(&self, query: impl Into<String>) -> Value {
        self.query_with(query, Value::Null).await
    }

    async fn query_with(&self, query: impl Into<String>, variables: Value) -> Value {
        let request = Request::new(query).variables(Variables::from_json(variables));
        let response = self.graph.execute(request).await;
        assert_eq!(response.errors, [], "no errors");
        response.data.into_json().expect("JSON")
    }

    /// The code, message and hint of the only error of an answer.
    async fn error_of(&self, query: impl Into<String>) -> (String, String, String) {
        let response = self.graph.execute(Request::new(query)).await;
        only_error(&response)
    }

    /// How many statements a query takes.
    async fn count_statements(&self, query: &str) -> usize {
        self.statements.lock().expect("a log").clear();
        self.query(query).await;
        self.statements.lock().expect("a log").len()
    }
}

fn only_error(response: &async_graphql::Response) -> (String, String, String) {
    let [error] = response.errors.as_slice() else { panic!("one error: {:?}", response.errors) };
    let extension = |name: &str| {
        let value = error.extensions.as_ref().and_then(|extensions| extensions.get(name)).cloned();
        value.and_then(|value| value.into_json().ok()).and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
    };
    (extension("code"), error.message.clone(), extension("hint"))
}

/// Whether a step of SQLite's plan reads a whole table. What a statement computes by itself is no table, and the saved
/// inspection index is read as a whole.
fn scans(step: &str) -> bool {
    const ALLOWED: &[&str] =
        &["INDEX", "subquery", "ranked", "search", "walk", "listed", "CONSTANT ROW", "inspection_index_page"];
    step.starts_with("SCAN") && !ALLOWED.iter().any(|word| step.contains(word))
}

/// The texts under a path of names, where a list means all its rows.
fn texts(value: &Value, path: &[&str]) -> Vec<String> {
    match (value, path) {
        (Value::Array(rows), _) => rows.iter().flat_map(|row| texts(row, path)).collect(),
        (_, [name, rest @ ..]) => texts(&value[name], rest),
        (Value::String(text), []) => vec![text.clone()],
        (other, []) => vec![other.to_string()],
    }
}

fn at(seconds: i64) -> String {
    let at: DateTime<Utc> = DateTime::from_timestamp_micros(BEGIN + seconds * SECOND).expect("a moment");
    at.to_rfc3339()
}

const REPORT: EntityType = EntityType::Job(JobKind::ConditionReport);
const PHOTO: EntityType = EntityType::Item(ItemKind::Photo);
