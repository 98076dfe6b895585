//! The API: one file per type, always struct, fields, then how it is fetched. What is read stands in `store::read`;
//! GraphQL types are not rows, and nothing here knows of HTTP.

mod aggregate;
mod arrange;
mod batch;
mod change;
mod code;
mod connection;
mod cursor;
mod declared;
mod delivery;
mod duration;
mod entity;
mod error;
mod explain;
mod federation;
mod filter;
mod foretold;
mod head;
mod inspection;
mod item;
mod job;
mod key;
mod limits;
mod lists;
mod machine;
mod matching;
mod merge;
mod node;
mod order;
mod past;
mod query;
mod questions;
mod rounds;
mod rows;
mod scalar;
mod sdl;
mod selected;
mod session;
mod snapshot;
mod source;
mod subject;
mod subscription;
#[cfg(test)]
pub(crate) mod tests;
mod walk;
mod words;

pub use code::{CODES, Code, Entry};
pub use cursor::Cursor;
pub use cursor::change as position_of;
pub use error::{Fault, TooMuch, is_request_error};
pub use limits::{BODY, COMPLEXITY, DEPTH, PAGE, PAGE_MAX, RECURSION};
pub use merge::merges;
pub use sdl::{answered, federated, sdl};
pub use source::SourceInfo;
pub use walk::{Resume, Walk};

use crate::feed::Feed;
use crate::store::Readers;
use aggregate::Aggregations;
use async_graphql::parser::parse_query;
use async_graphql::parser::types::ExecutableDocument;
use async_graphql::{Context, EmptyMutation, ID, Request, Response, Schema, SchemaBuilder};
use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use futures_util::stream::{BoxStream, StreamExt};
use questions::Batches;
use rounds::Rounds;
use std::sync::Arc;

/// What the fields need to be answered.
#[derive(Clone, Debug)]
pub struct Api {
    pub readers: Readers,
    pub feed: Arc<Feed>,
    pub sources: Arc<[SourceInfo]>,
    pub clock: fn() -> DateTime<Utc>,
}

impl Api {
    fn of<'a>(ctx: &Context<'a>) -> Result<&'a Api, Fault> {
        ctx.data::<Api>().map_err(|_| Fault::corrupt("the schema has no data"))
    }

    fn now(&self) -> DateTime<Utc> {
        (self.clock)()
    }
}

/// The schema, ready to execute requests: the only way in, so that each request gets what it needs of its own.
#[derive(Clone)]
pub struct Graph(Schema<query::Root, EmptyMutation, subscription::Root>);

impl std::fmt::Debug for Graph {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Graph")
    }
}

impl Graph {
    /// The schema over this data.
    pub fn new(api: Api) -> Self {
        Graph(builder().disable_suggestions().data(api).data(Aggregations::default()).finish())
    }

    /// The same, so that each query is answered by the database.
    #[cfg(test)]
    fn fresh(api: Api) -> Self {
        Graph(builder().disable_suggestions().data(api).data(Aggregations::fresh()).finish())
    }

    /// The same, with errors that suggest what a misspelt name may have meant.
    pub fn with_suggestions(api: Api) -> Self {
        Graph(builder().data(api).data(Aggregations::default()).finish())
    }

    /// Reads ahead what counts are made of, so that the first who asks does not wait for it.
    pub async fn read_ahead(&self) {
        let answer = self.execute(Request::new("{ statusCounts { count } }")).await;
        if !answer.errors.is_empty() {
            tracing::warn!("inspections could not be read ahead: the first who counts them will wait");
        }
    }

    /// Answers a query.
    pub async fn execute(&self, request: Request) -> Response {
        match parse_query(&request.query) {
            Ok(document) => self.answer(request, &Arc::new(document)).await,
            Err(error) => unparsable(&error).answer(),
        }
    }

    /// Answers a query that is parsed already. Whoever drops this cancels it, its SQL too.
    pub async fn answer(&self, request: Request, document: &Arc<ExecutableDocument>) -> Response {
        let (request, rounds, asked) = prepared(request, document);
        asked.arranged(rounds.answer(self.0.execute(request)).await)
    }

    #[cfg(test)]
    pub(crate) fn execute_stream(&self, request: Request) -> BoxStream<'static, Response> {
        let document = Arc::new(parse_query(&request.query).expect("a document"));
        let (request, rounds, asked) = prepared(request, &document);
        let answers = rounds.answers(self.0.execute_stream(request).boxed());
        answers.map(move |answer| asked.arranged(answer)).boxed()
    }

    /// Answers a subscription with each of its changes, and tells by the walk which change each answer is about.
    pub fn follow(
        &self,
        request: Request,
        document: &Arc<ExecutableDocument>,
        walk: &Arc<Walk>,
    ) -> BoxStream<'static, Response> {
        let (request, rounds, asked) = prepared(request.data(walk.clone()), document);
        let answers = rounds.answers(self.0.execute_stream(request).boxed());
        answers.map(move |answer| asked.arranged(answer)).boxed()
    }

    /// Whether the document fits the schema. Nothing is read: only what the schema tells of itself is executed.
    pub fn is_valid(&self, request: Request, document: &Arc<ExecutableDocument>) -> bool {
        let (request, ..) = prepared(request.only_introspection(), document);
        // Errors of validation say where they are; that a subscription is none that is executed has no place.
        let answer = self.0.execute(request).now_or_never();
        answer.is_some_and(|answer| answer.errors.iter().all(|error| error.locations.is_empty()))
    }
}

/// Where a document leaves GraphQL's language.
pub fn unparsable(error: &async_graphql::parser::Error) -> Fault {
    let text = error.to_string();
    // The parser draws the place; its last line says what it is about.
    let why = text.lines().last().unwrap_or_default().trim().trim_start_matches("= ");
    Fault::Unparsable { message: format!("the document cannot be parsed: {why}"), at: error.positions().next() }
}

fn builder() -> SchemaBuilder<query::Root, EmptyMutation, subscription::Root> {
    Schema::build(query::Root, EmptyMutation, subscription::Root)
        .override_output_type_description::<ID>(
            "An id, opaque: a UUID as text, e.g. `018f3c5e-7a10-5b8c-9d21-4f6e8a0b2c3d`. Compare it as it is.",
        )
        .override_output_type_description::<DateTime<Utc>>(
            "A moment, written as in RFC 3339: `2024-05-01T12:00:00.25+00:00`. Answers are in UTC, to the microsecond.",
        )
        .limit_depth(limits::DEPTH)
        .limit_complexity(limits::COMPLEXITY)
        .limit_recursive_depth(limits::RECURSION)
}

/// What was asked, for the form of the answer.
struct Asked {
    document: Arc<ExecutableDocument>,
    operation: Option<String>,
}

impl Asked {
    fn arranged(&self, mut answer: Response) -> Response {
        arrange::arrange(&mut answer, &self.document, self.operation.as_deref());
        error::finish(&mut answer);
        answer
    }
}

// Each request gets questions and rounds of its own. Execution takes the document apart, so it gets a copy.
fn prepared(mut request: Request, document: &Arc<ExecutableDocument>) -> (Request, Arc<Rounds>, Asked) {
    let asked = Asked { document: document.clone(), operation: request.operation_name.clone() };
    request.set_parsed_query(ExecutableDocument::clone(document));
    let batches = Batches::default();
    let rounds = batches.rounds.clone();
    (request.data(batches), rounds, asked)
}
