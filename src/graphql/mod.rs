//! The API: one file per type, always struct, fields, then how it is fetched. What is read stands in `store::read`;
//! GraphQL types are not rows, and nothing here knows of HTTP.

mod aggregate;
mod as_of;
mod as_of_prefetch;
mod batch_scheduler;
mod change;
mod collect_fields;
mod connection;
mod cursor;
mod data_loader;
mod delivery;
mod duration;
mod entity;
mod enums;
mod error;
mod error_code;
mod error_hints;
mod federation;
mod field_cost;
mod filter;
mod inspection;
mod item;
mod job;
mod key;
mod limits;
mod loaders;
mod log_head;
mod matching;
mod node;
mod node_list;
mod order;
mod overlapping_fields;
mod pagination;
mod query;
mod response_shape;
mod scalar;
mod schema_types;
mod sdl;
mod session;
mod snapshot;
mod source;
mod state_machine;
mod subject;
mod subscription;
mod subscription_progress;
#[cfg(test)]
pub(crate) mod tests;

pub use cursor::Cursor;
pub use cursor::parse_change_cursor;
pub use error::{ApiError, LimitExceeded, is_request_error};
pub use error_code::{ApiErrorCode, ERROR_CODES, ErrorCodeEntry};
pub use field_cost::ListSize;
pub use limits::{DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE, MAX_PARSER_RECURSION, MAX_QUERY_COMPLEXITY, MAX_QUERY_DEPTH};
pub use overlapping_fields::check_overlapping_fields;
pub use schema_types::{named_type, root_type, schema_field};
pub use sdl::{sdl, subgraph_sdl};
pub use source::SourceInfo;
pub use subscription_progress::{StartPosition, SubscriptionProgress};

use crate::feed::Feed;
use crate::store::ReadPool;
use aggregate::AggregateCaches;
use async_graphql::parser::parse_query;
use async_graphql::parser::types::ExecutableDocument;
use async_graphql::{Context, EmptyMutation, ID, Request, Response, Schema, SchemaBuilder};
use batch_scheduler::BatchScheduler;
use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use futures_util::stream::{BoxStream, StreamExt};
use loaders::Loaders;
use std::sync::Arc;

/// What the fields need to be answered.
#[derive(Clone, Debug)]
pub struct ApiContext {
    pub readers: ReadPool,
    pub feed: Arc<Feed>,
    pub sources: Arc<[SourceInfo]>,
    pub clock: fn() -> DateTime<Utc>,
}

impl ApiContext {
    fn of<'a>(ctx: &Context<'a>) -> Result<&'a ApiContext, ApiError> {
        ctx.data::<ApiContext>().map_err(|_| ApiError::internal("the schema has no data"))
    }

    fn now(&self) -> DateTime<Utc> {
        (self.clock)()
    }
}

/// The schema, ready to execute requests: the only way in, so that each request gets what it needs of its own.
#[derive(Clone)]
pub struct ApiSchema(Schema<query::QueryRoot, EmptyMutation, subscription::SubscriptionRoot>);

impl std::fmt::Debug for ApiSchema {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Graph")
    }
}

impl ApiSchema {
    /// The schema over this data.
    pub fn new(api: ApiContext) -> Self {
        ApiSchema(builder().disable_suggestions().data(api).data(AggregateCaches::default()).finish())
    }

    /// The same, so that each query is answered by the database.
    #[cfg(test)]
    fn without_caches(api: ApiContext) -> Self {
        ApiSchema(builder().disable_suggestions().data(api).data(AggregateCaches::without_caching()).finish())
    }

    /// The same, with errors that suggest what a misspelt name may have meant.
    pub fn with_suggestions(api: ApiContext) -> Self {
        ApiSchema(builder().data(api).data(AggregateCaches::default()).finish())
    }

    /// Reads ahead what counts are made of, so that the first who asks does not wait for it.
    pub async fn warm_up(&self) {
        let answer = self.execute(Request::new("{ statusCounts { count } }")).await;
        if !answer.errors.is_empty() {
            tracing::warn!("inspections could not be read ahead: the first who counts them will wait");
        }
    }

    /// Answers a query.
    pub async fn execute(&self, request: Request) -> Response {
        match parse_query(&request.query) {
            Ok(document) => self.execute_parsed(request, &Arc::new(document)).await,
            Err(error) => parse_failed(&error).into_graphql_response(),
        }
    }

    /// Answers a query that is parsed already. Whoever drops this cancels it, its SQL too.
    pub async fn execute_parsed(&self, request: Request, document: &Arc<ExecutableDocument>) -> Response {
        let (request, scheduler, asked) = prepare(request, document);
        asked.shape(scheduler.drive(self.0.execute(request)).await)
    }

    #[cfg(test)]
    pub(crate) fn execute_stream(&self, request: Request) -> BoxStream<'static, Response> {
        let document = Arc::new(parse_query(&request.query).expect("a document"));
        let progress = SubscriptionProgress::new(StartPosition::FromOperation, None);
        let responses = self.subscribe(request, &document, &progress);
        let acknowledge = move |_: &Response| {
            progress.ack();
        };
        responses.inspect(acknowledge).boxed()
    }

    /// Executes a subscription. Its start is in `progress`, which also says which change each response is about.
    pub fn subscribe(
        &self,
        request: Request,
        document: &Arc<ExecutableDocument>,
        progress: &Arc<SubscriptionProgress>,
    ) -> BoxStream<'static, Response> {
        let (request, scheduler, asked) = prepare(request.data(progress.clone()), document);
        let answers = scheduler.drive_stream(self.0.execute_stream(request).boxed());
        answers.map(move |answer| asked.shape(answer)).boxed()
    }

    /// Whether the document fits the schema. Nothing is read: only what the schema tells of itself is executed.
    pub fn is_valid(&self, request: Request, document: &Arc<ExecutableDocument>) -> bool {
        let (request, ..) = prepare(request.only_introspection(), document);
        // Errors of validation say where they are; that a subscription is none that is executed has no place.
        let answer = self.0.execute(request).now_or_never();
        answer.is_some_and(|answer| answer.errors.iter().all(|error| error.locations.is_empty()))
    }
}

/// Where a document leaves GraphQL's language.
pub fn parse_failed(error: &async_graphql::parser::Error) -> ApiError {
    let text = error.to_string();
    // The parser draws the place; its last line says what it is about.
    let why = text.lines().last().unwrap_or_default().trim().trim_start_matches("= ");
    ApiError::ParseFailed { message: format!("the document cannot be parsed: {why}"), at: error.positions().next() }
}

fn builder() -> SchemaBuilder<query::QueryRoot, EmptyMutation, subscription::SubscriptionRoot> {
    Schema::build(query::QueryRoot, EmptyMutation, subscription::SubscriptionRoot)
        .override_output_type_description::<ID>(
            "An id, opaque: a UUID as text, e.g. `018f3c5e-7a10-5b8c-9d21-4f6e8a0b2c3d`. Compare it as it is.",
        )
        .override_output_type_description::<DateTime<Utc>>(
            "A moment, written as in RFC 3339: `2024-05-01T12:00:00.25+00:00`. Answers are in UTC, to the microsecond.",
        )
        .limit_depth(limits::MAX_QUERY_DEPTH)
        .limit_complexity(limits::MAX_QUERY_COMPLEXITY)
        .limit_recursive_depth(limits::MAX_PARSER_RECURSION)
}

/// What was asked, for the form of the answer.
struct ResponseShaper {
    document: Arc<ExecutableDocument>,
    operation_name: Option<String>,
}

impl ResponseShaper {
    fn shape(&self, mut answer: Response) -> Response {
        response_shape::shape_response(&mut answer, &self.document, self.operation_name.as_deref());
        error::add_error_codes(&mut answer);
        answer
    }
}

// Each request gets questions and scheduler of its own. Execution takes the document apart, so it gets a copy.
fn prepare(mut request: Request, document: &Arc<ExecutableDocument>) -> (Request, Arc<BatchScheduler>, ResponseShaper) {
    let asked = ResponseShaper { document: document.clone(), operation_name: request.operation_name.clone() };
    request.set_parsed_query(ExecutableDocument::clone(document));
    let loaders = Loaders::default();
    let scheduler = loaders.scheduler.clone();
    (request.data(loaders), scheduler, asked)
}
