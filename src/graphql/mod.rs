//! The API: one file per type, always struct, fields, then how it is fetched. What is read stands in `store::read`;
//! GraphQL types are not rows, and nothing here knows of HTTP.

mod arrange;
mod batch;
mod change;
mod connection;
mod cursor;
mod delivery;
mod duration;
mod entity;
mod error;
mod filter;
mod head;
mod inspection;
mod item;
mod job;
mod limits;
mod lists;
mod machine;
mod matching;
mod node;
mod past;
mod query;
mod questions;
mod rounds;
mod scalar;
mod session;
mod snapshot;
mod source;
mod subject;
mod subscription;
#[cfg(test)]
pub(crate) mod tests;
mod walk;
mod words;

pub use cursor::Cursor;
pub use cursor::change as position_of;
pub use error::Fault;
pub use source::SourceInfo;
pub use walk::{Resume, Walk};

use crate::feed::Feed;
use async_graphql::parser::types::ExecutableDocument;
use async_graphql::{Context, EmptyMutation, ID, Json, Request, Response, SDLExportOptions, Schema, SchemaBuilder};
use chrono::{DateTime, Utc};
use futures_util::stream::{BoxStream, StreamExt};
use questions::Batches;
use rounds::Rounds;
use sea_orm::DatabaseConnection;
use std::sync::Arc;

/// What the fields need to be answered.
#[derive(Clone, Debug)]
pub struct Api {
    pub readers: DatabaseConnection,
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

impl Graph {
    /// The schema over this data.
    pub fn new(api: Api) -> Self {
        Graph(builder().data(api).finish())
    }

    /// Answers a query.
    pub async fn execute(&self, request: Request) -> Response {
        let (request, rounds, asked) = prepared(request);
        asked.arranged(rounds.answer(self.0.execute(request)).await)
    }

    /// Answers a query once, or a subscription with each of its changes.
    pub fn execute_stream(&self, request: Request) -> BoxStream<'static, Response> {
        let (request, rounds, asked) = prepared(request);
        let answers = rounds.answers(self.0.execute_stream(request).boxed());
        answers.map(move |answer| asked.arranged(answer)).boxed()
    }

    /// Answers a subscription, and tells by the walk which change each answer is about.
    pub fn follow(&self, request: Request, walk: &Arc<Walk>) -> BoxStream<'static, Response> {
        self.execute_stream(request.data(walk.clone()))
    }
}

/// The schema in GraphQL's own language, sorted.
pub fn sdl() -> String {
    let options = SDLExportOptions::new().sorted_fields().sorted_arguments().sorted_enum_items();
    let options = options.prefer_single_line_descriptions().include_specified_by().use_space_ident();
    builder().finish().sdl_with_options(options)
}

fn builder() -> SchemaBuilder<query::Root, EmptyMutation, subscription::Root> {
    Schema::build(query::Root, EmptyMutation, subscription::Root)
        .override_output_type_description::<ID>("An id, opaque: a UUID as text. Compare it as it is.")
        .override_output_type_description::<DateTime<Utc>>(
            "A moment, written as in RFC 3339: `2024-05-01T12:00:00.25+00:00`. Answers are in UTC, to the microsecond.",
        )
        .override_output_type_description::<Json<serde_json::Value>>(
            "Any JSON value, as the vendor sent it. Numbers that do not fit 64 bits are given as text.",
        )
        .limit_depth(limits::DEPTH)
        .limit_complexity(limits::COMPLEXITY)
        .limit_recursive_depth(limits::RECURSION)
}

/// What was asked, for the order of the answer.
struct Asked {
    /// None if it cannot be parsed: then there is no data to put in order.
    document: Option<ExecutableDocument>,
    operation: Option<String>,
}

impl Asked {
    fn arranged(&self, mut answer: Response) -> Response {
        if let Some(document) = &self.document {
            arrange::arrange(&mut answer.data, document, self.operation.as_deref());
        }
        answer
    }
}

// Each request gets questions and rounds of its own.
fn prepared(mut request: Request) -> (Request, Arc<Rounds>, Asked) {
    let document = request.parsed_query().ok().cloned();
    let asked = Asked { document, operation: request.operation_name.clone() };
    let batches = Batches::default();
    let rounds = batches.rounds.clone();
    (request.data(batches), rounds, asked)
}
