//! One way for every request, whatever it comes by: from its parameters to an operation that may be executed, and its
//! answer within a deadline. Nothing here knows of HTTP or sockets.
//!
//! `params` is what a client sends, `known` finds documents by hash or id, `document` parses and keeps them; `scan`,
//! `shape` and `price` find out what a document asks for before anything expensive looks at it, `limits` how much is
//! taken; `budget` is what a client may ask for in a minute.

mod complexity;
mod cost;
mod document;
pub mod limits;
mod list_sizes;
mod params;
mod persisted;
mod rate_limit;
#[cfg(test)]
pub(crate) mod tests;
mod token_limits;

pub use cost::OperationCost;
pub use document::Document;
pub use params::Params;
pub use persisted::{TrustedDocuments, TrustedDocumentsError};
pub use rate_limit::{ClientNetwork, ClientRateLimiter, RATE_LIMIT_WINDOW, RateLimitStatus};

use crate::graphql::{ApiError, ApiSchema, ResumeCursor, SubscriptionProgress, is_request_error};
use async_graphql::parser::types::{OperationDefinition, OperationType, VariableDefinition};
use async_graphql::{Name, Positioned, Request, Response, Value, Variables};
use document::DocumentCache;
use futures_util::stream::BoxStream;
use persisted::{PersistedQueries, ResolvedDocument};
use std::sync::Arc;
use std::time::Duration;

/// What a hub allows.
#[derive(Debug, Default)]
pub struct PipelineConfig {
    /// How long an answer may take; none for ever.
    pub timeout: Option<Duration>,
    /// None where clients may ask for as much as they like.
    pub rate_limiter: Option<ClientRateLimiter>,
    pub trusted_documents: TrustedDocuments,
}

/// The way of all requests.
#[derive(Debug)]
pub struct Pipeline {
    graph: ApiSchema,
    documents: DocumentCache,
    persisted: PersistedQueries,
    timeout: Option<Duration>,
    rate_limiter: Option<ClientRateLimiter>,
}

/// An operation that may be executed: within all limits, and paid for.
#[derive(Clone, Debug)]
pub struct PreparedOperation {
    pub document: Arc<Document>,
    /// Its name in the document, if the client gave one.
    pub operation_name: Option<Arc<str>>,
    pub operation_type: OperationType,
    pub variables: Variables,
    pub cost: OperationCost,
    /// What is left to the client, if there is a budget.
    pub rate_limit: Option<RateLimitStatus>,
    wants_cost: bool,
    /// A cursor after which a subscription begins, whatever it says itself.
    pub resume_cursor: Option<Arc<str>>,
}

/// Below so many points of cost, answering costs no more than finding out whether somebody else asks the same.
const MIN_COALESCE_COST: u64 = 10;

/// What two queries have in common that may share an execution. Once clients have rights, what they may see belongs here
/// too.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CoalesceKey {
    document: Arc<str>,
    operation: Option<Arc<str>>,
    /// As JSON.
    variables: Box<str>,
}

impl Pipeline {
    pub fn new(graph: ApiSchema, rules: PipelineConfig) -> Arc<Pipeline> {
        let PipelineConfig { timeout, rate_limiter: budgets, trusted_documents: trusted } = rules;
        let (documents, known) = (DocumentCache::default(), PersistedQueries::new(trusted));
        known.warm(&documents);
        Arc::new(Pipeline { graph, documents, persisted: known, timeout, rate_limiter: budgets })
    }

    /// Finds out what a request asks for, and whether it may. Takes time in proportion to the document, whatever is in it.
    ///
    /// # Errors
    /// Why it may not: nothing was executed then.
    pub fn prepare(&self, params: Params, client: Option<ClientNetwork>) -> Result<PreparedOperation, ApiError> {
        self.prepare_if(params, client, |_| Ok(()))
    }

    /// The same, for operations of a kind that this transport has.
    ///
    /// # Errors
    /// Why it may not, or what `allows` says of its kind.
    pub fn prepare_if<E: From<ApiError>>(
        &self,
        params: Params,
        client: Option<ClientNetwork>,
        allows: impl FnOnce(OperationType) -> Result<(), E>,
    ) -> Result<PreparedOperation, E> {
        let ResolvedDocument { text, hash_to_register: teaches } = self.persisted.resolve(params.document_ref()?)?;
        let document = self.documents.get(&text)?;
        let name = params.operation_name().cloned();
        let operation = document.operation(name.as_deref())?;
        allows(operation.ty)?;
        params.check_variables()?;
        has_variables(operation, &params.variables)?;
        let price = document.operation_cost(operation, &params.variables);
        price.check_limits()?;
        let budget = self.rate_limiter.as_ref().zip(client);
        let allowance = budget.map(|(budgets, client)| budgets.charge(client, price.rate_limit_cost())).transpose()?;
        let (kind, wants_cost) = (operation.ty, params.wants_cost());
        let prepared = PreparedOperation {
            document: document.clone(),
            operation_name: name,
            operation_type: kind,
            variables: params.variables,
            cost: price,
            rate_limit: allowance,
            wants_cost,
            resume_cursor: None,
        };
        if let Some(hash) = teaches
            && self.graph.is_valid(prepared.request(), &document.parsed)
        {
            self.persisted.register(hash, &text);
        }
        Ok(prepared)
    }

    /// Answers a query. Whoever drops this cancels it.
    pub async fn execute(&self, prepared: &PreparedOperation) -> Response {
        let answer = self.graph.execute_parsed(prepared.request(), &prepared.document.parsed);
        let mut answer = self.with_timeout(answer).await.unwrap_or_else(ApiError::into_graphql_response);
        if prepared.wants_cost && !is_request_error(&answer) {
            let cost = prepared.cost_extension(&answer);
            answer.extensions.insert("cost".to_owned(), cost);
        }
        answer
    }

    /// What comes of something, if it takes no longer than an answer may.
    ///
    /// # Errors
    /// If it does.
    pub async fn with_timeout<T>(&self, doing: impl Future<Output = T>) -> Result<T, ApiError> {
        let Some(limit) = self.timeout else { return Ok(doing.await) };
        let done = tokio::time::timeout(limit, doing).await;
        done.map_err(|_| ApiError::Timeout { milliseconds: limit.as_millis() })
    }

    /// Answers a subscription with each of its changes.
    pub fn subscribe(
        &self,
        prepared: &PreparedOperation,
        walk: &Arc<SubscriptionProgress>,
    ) -> BoxStream<'static, Response> {
        self.graph.subscribe(prepared.request(), &prepared.document.parsed, walk)
    }
}

impl PreparedOperation {
    /// The operation to execute.
    ///
    /// # Errors
    /// Never: it was found before.
    pub fn operation(&self) -> Result<&OperationDefinition, ApiError> {
        self.document.operation(self.operation_name.as_deref())
    }

    /// Whether its answer is the same as long as the history is. That something is stalled depends on the time too.
    pub fn is_cacheable_by_position(&self) -> bool {
        const TIME_DEPENDENT_ARGUMENT: &str = "stalledFor";
        let says = |text: &str| text.contains(TIME_DEPENDENT_ARGUMENT);
        !self.cost.is_volatile
            && !self.wants_cost
            && !says(&self.document.text)
            && !serde_json::to_string(&self.variables).is_ok_and(|variables| says(&variables))
    }

    /// What another query must have in common with it to share its execution; none if it has to have its own.
    pub fn coalesce_key(&self) -> Option<CoalesceKey> {
        if self.operation_type != OperationType::Query
            || self.wants_cost
            || self.cost.rate_limit_cost() < MIN_COALESCE_COST
        {
            return None;
        }
        let variables = serde_json::to_string(&self.variables).ok()?.into();
        Some(CoalesceKey { document: self.document.text.clone(), operation: self.operation_name.clone(), variables })
    }

    fn request(&self) -> Request {
        // It is parsed already: nobody reads the text again.
        let mut request = Request::new(String::new()).variables(self.variables.clone());
        if let Some(cursor) = &self.resume_cursor {
            request = request.data(ResumeCursor(cursor.clone()));
        }
        match &self.operation_name {
            Some(name) => request.operation_name(&**name),
            None => request,
        }
    }

    fn cost_extension(&self, answer: &Response) -> Value {
        let available = self.rate_limit.map_or(Value::Null, |allowance| allowance.remaining.into());
        let figures = [
            ("requested", Value::from(self.cost.rate_limit_cost())),
            ("actual", fields_of(&answer.data).into()),
            ("available", available),
        ];
        Value::Object(figures.into_iter().map(|(name, value)| (Name::new(name), value)).collect())
    }
}

/// Whether all variables are there that must be (GraphQL, October 2021, section 6.1.2). Their types are validated later.
fn has_variables(operation: &OperationDefinition, given: &Variables) -> Result<(), ApiError> {
    let is_missing = |variable: &&Positioned<VariableDefinition>| {
        let VariableDefinition { name, var_type, default_value, .. } = &variable.node;
        let value = given.get(&name.node);
        !var_type.node.nullable && value.map_or(default_value.is_none(), |value| *value == Value::Null)
    };
    let Some(missing) = operation.variable_definitions.iter().find(is_missing) else { return Ok(()) };
    let VariableDefinition { name, var_type, .. } = &missing.node;
    Err(ApiError::bad_user_input(
        format!("the variable `${}` is missing", name.node),
        format!("It must be a value of the type `{}`.", var_type.node),
    ))
}

/// How many fields an answer has.
fn fields_of(data: &Value) -> u64 {
    match data {
        Value::List(values) => values.iter().map(fields_of).sum(),
        Value::Object(object) => object.len() as u64 + object.values().map(fields_of).sum::<u64>(),
        _ => 0,
    }
}
