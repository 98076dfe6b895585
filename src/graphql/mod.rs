//! The GraphQL API: types, resolvers, data loaders. The statements are in `store::read`; nothing here depends on HTTP.

mod act;
mod aggregate;
mod api_key;
mod as_of_prefetch;
mod batch_scheduler;
mod change;
mod collect_fields;
mod command;
mod connection;
mod cursor;
mod data_loader;
mod delivery;
mod duration;
mod entities;
mod entity;
mod entity_queries;
mod enums;
mod error;
mod error_code;
mod error_hints;
mod explanation;
mod federation;
mod field_access;
mod field_cost;
mod filter;
mod hub;
mod key;
mod limits;
mod loaders;
mod matching;
mod mutation;
mod node;
mod node_list;
mod order;
mod overlapping_fields;
mod pagination;
mod query;
mod rejection;
mod response_shape;
mod scalar;
mod schema_types;
mod sdl;
mod snapshot;
mod source;
mod source_rates;
mod state_machine;
mod subscription;
mod subscription_progress;
#[cfg(test)]
pub(crate) mod tests;
mod viewer;

pub use cursor::Cursor;
pub use cursor::parse_change_cursor;
pub use error::{ApiError, is_request_error};
pub use error_code::{ApiErrorCode, ERROR_CODES, ErrorCodeEntry};
pub use field_access::{depends_on_principal, required_scope};
pub use field_cost::ListSize;
pub use limits::{
    DEFAULT_PAGE_SIZE, DEFAULT_RATE_MINUTES, FIELD_WEIGHTS, MAX_PAGE_SIZE, MAX_PARSER_RECURSION, MAX_RATE_MINUTES,
};
pub use overlapping_fields::check_overlapping_fields;
pub use rejection::is_resumable;
pub use schema_types::{named_type, root_type, schema_field};
pub use sdl::{sdl, subgraph_sdl};
pub use source::SourceInfo;
pub use subscription_progress::{StartPosition, SubscriptionProgress};

use crate::access::{Principal, View, scope_name};
use crate::auth::KeyRing;
use crate::feed::Feed;
use crate::ingest::IngestQueue;
use crate::rejection::RejectionLog;
use crate::store::read::EntityRow;
use crate::store::{InspectionIndex, ReadPool};
use crate::vendor::{self, WaitingRules};
use ::entity::{Party, Scope};
use aggregate::{AggregateCaches, MIN_COMPUTE_TIME};
use async_graphql::parser::parse_query;
use async_graphql::parser::types::ExecutableDocument;
use async_graphql::{Context, ID, Name, Request, Response, Schema, SchemaBuilder, Value};
use batch_scheduler::BatchScheduler;
use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use futures_util::stream::{BoxStream, StreamExt};
use loaders::Loaders;
use std::sync::Arc;
use std::time::Duration;

/// What the resolvers need. Each request has its own, which shows what its caller may see.
#[derive(Clone, Debug)]
pub struct ApiContext {
    /// Limited to the sources of the caller's view.
    pub readers: ReadPool,
    pub principal: Arc<Principal>,
    pub inspection_index: Arc<InspectionIndex>,
    pub feed: Arc<Feed>,
    pub rejections: Arc<RejectionLog>,
    pub sources: Arc<[SourceInfo]>,
    pub keys: Arc<KeyRing>,
    /// Where acts are written.
    pub ingest: IngestQueue,
    /// How long finished inspections are kept; `None` for ever.
    pub retention: Option<Duration>,
    pub clock: fn() -> DateTime<Utc>,
}

impl ApiContext {
    fn of<'a>(ctx: &Context<'a>) -> Result<&'a ApiContext, ApiError> {
        ctx.data::<ApiContext>().map_err(|_| ApiError::internal("the schema has no data"))
    }

    // As its caller may see it.
    fn seen_by(&self, principal: &Arc<Principal>) -> ApiContext {
        let readers = self.readers.limited_to(principal.view.clone());
        ApiContext { readers, principal: principal.clone(), ..self.clone() }
    }

    // One that is configured.
    fn source(&self, name: &str) -> Option<&SourceInfo> {
        self.sources.iter().find(|source| source.name == name)
    }

    // By the rules of its source, or by its vendor's if the source is not configured any more.
    fn party_waited_for(&self, inspection: &EntityRow) -> Option<Party> {
        let of_source = self.source(&inspection.source).filter(|source| source.vendor.name == inspection.vendor);
        let state = inspection.state.as_deref();
        match of_source {
            Some(source) => source.waiting_rules.party(state),
            None => WaitingRules::of(vendor::by_name(&inspection.vendor)?).party(state),
        }
    }

    fn view(&self) -> &View {
        &self.principal.view
    }

    fn now(&self) -> DateTime<Utc> {
        (self.clock)()
    }
}

/// The executable schema: the only entrance, so that each request gets data loaders of its own.
#[derive(Clone)]
pub struct ApiSchema {
    schema: Schema<query::QueryRoot, mutation::MutationRoot, subscription::SubscriptionRoot>,
    api: ApiContext,
}

impl std::fmt::Debug for ApiSchema {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ApiSchema")
    }
}

impl ApiSchema {
    pub fn new(api: ApiContext) -> Self {
        ApiSchema::finish(builder().disable_suggestions(), api, MIN_COMPUTE_TIME)
    }

    /// With errors that suggest corrections of misspelt names.
    pub fn with_suggestions(api: ApiContext) -> Self {
        ApiSchema::finish(builder(), api, MIN_COMPUTE_TIME)
    }

    // Aggregates that took longer than `reused_above` to compute are reused.
    fn finish(builder: Builder, api: ApiContext, reused_above: Duration) -> Self {
        ApiSchema { schema: builder.data(AggregateCaches::new(reused_above)).finish(), api }
    }

    /// Executes a query of a caller who may see everything.
    pub async fn execute(&self, request: Request) -> Response {
        match parse_query(&request.query) {
            Ok(document) => self.execute_parsed(request, &Arc::new(document), &self.api.principal).await,
            Err(error) => parse_failed(&error).into_graphql_response(),
        }
    }

    /// Executes a parsed query. Dropping the future cancels it, including its SQL.
    pub async fn execute_parsed(
        &self,
        request: Request,
        document: &Arc<ExecutableDocument>,
        principal: &Arc<Principal>,
    ) -> Response {
        let (request, scheduler, shaper) = self.prepare(request, document, principal);
        shaper.shape(scheduler.drive(self.schema.execute(request)).await)
    }

    /// Executes a subscription. Its start is in `progress`, which also says which change each response is about.
    pub fn subscribe(
        &self,
        request: Request,
        document: &Arc<ExecutableDocument>,
        principal: &Arc<Principal>,
        progress: &Arc<SubscriptionProgress>,
    ) -> BoxStream<'static, Response> {
        let (request, scheduler, shaper) = self.prepare(request.data(progress.clone()), document, principal);
        let responses = scheduler.drive_stream(self.schema.execute_stream(request).boxed());
        responses.map(move |response| shaper.shape(response)).boxed()
    }

    /// Whether the document is valid for the schema. Nothing is read: only introspection is executed.
    pub fn is_valid(&self, request: Request, document: &Arc<ExecutableDocument>, principal: &Arc<Principal>) -> bool {
        let (request, ..) = self.prepare(request.only_introspection(), document, principal);
        // Errors of validation have locations; the error that a subscription is not executed here has none.
        let response = self.schema.execute(request).now_or_never();
        response.is_some_and(|response| response.errors.iter().all(|error| error.locations.is_empty()))
    }

    // Each request has its own loaders, scheduler and context. Execution consumes the document, so it gets a copy.
    fn prepare(
        &self,
        mut request: Request,
        document: &Arc<ExecutableDocument>,
        principal: &Arc<Principal>,
    ) -> (Request, Arc<BatchScheduler>, ResponseShaper) {
        let operation_name = request.operation_name.clone();
        let withhold = !principal.view.has(Scope::ReadPersonal);
        let shaper = ResponseShaper { document: document.clone(), operation_name, withhold };
        request.set_parsed_query(ExecutableDocument::clone(document));
        let loaders = Loaders::default();
        let scheduler = loaders.scheduler.clone();
        (request.data(loaders).data(self.api.seen_by(principal)), scheduler, shaper)
    }
}

pub fn parse_failed(error: &async_graphql::parser::Error) -> ApiError {
    let text = error.to_string();
    // The parser draws the position; the last line of its text is the message.
    let why = text.lines().last().unwrap_or_default().trim().trim_start_matches("= ");
    let message = format!("the document cannot be parsed: {why}");
    ApiError::in_document(ApiErrorCode::GraphqlParseFailed, message, error.positions().next())
}

type Builder = SchemaBuilder<query::QueryRoot, mutation::MutationRoot, subscription::SubscriptionRoot>;

fn builder() -> Builder {
    Schema::build(query::QueryRoot, mutation::MutationRoot, subscription::SubscriptionRoot)
        .override_output_type_description::<ID>(
            "An opaque id: a UUID as text, e.g. `018f3c5e-7a10-5b8c-9d21-4f6e8a0b2c3d`. Compare ids as they are.",
        )
        .override_output_type_description::<DateTime<Utc>>(
            "A time as in RFC 3339: `2024-05-01T12:00:00.25+00:00`. Responses are in UTC, to the microsecond.",
        )
        .limit_recursive_depth(limits::MAX_PARSER_RECURSION)
}

/// The executed operation, to shape its responses.
struct ResponseShaper {
    document: Arc<ExecutableDocument>,
    operation_name: Option<String>,
    /// Whether personal fields are withheld.
    withhold: bool,
}

impl ResponseShaper {
    fn shape(&self, mut response: Response) -> Response {
        let name = self.operation_name.as_deref();
        let withheld = response_shape::shape_response(&mut response, &self.document, name, self.withhold);
        if !withheld.is_empty() {
            let fields = withheld.into_iter().map(Value::from).collect();
            let scope = [("scope", scope_name(Scope::ReadPersonal).into()), ("fields", Value::List(fields))];
            let withheld = scope.map(|(name, value)| (Name::new(name), value)).into_iter().collect();
            response.extensions.insert("withheld".to_owned(), Value::Object(withheld));
        }
        error::add_error_codes(&mut response);
        response
    }
}
