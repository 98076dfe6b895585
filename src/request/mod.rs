//! The way of every request, whatever its transport: from its parameters to an operation that may be executed, and its response
//! within a deadline. Nothing here knows of HTTP or sockets.
//!
//! `caller` is who sends a request, `params` what is sent; `persisted` finds documents by hash or id; `document` parses and caches
//! them; `token_limits`, `complexity` and `cost` analyse a document before anything expensive reads it, the latter two by one
//! `visitor`; `limits` has the limits; `rate_limit` is what a client may request in a minute.

mod caller;
mod complexity;
mod cost;
mod document;
pub mod limits;
mod params;
mod persisted;
mod rate_limit;
#[cfg(test)]
pub(crate) mod tests;
mod text_cache;
mod token_limits;
mod visitor;

pub use caller::Caller;
pub use cost::OperationCost;
pub use document::Document;
pub use params::Params;
pub use persisted::{TrustedDocuments, TrustedDocumentsError};
pub use rate_limit::{ClientRateLimiter, RATE_LIMIT_WINDOW, RateLimitStatus};

use crate::access::{Principal, View};
use crate::graphql::{ApiError, ApiSchema, StartPosition, SubscriptionProgress, is_request_error};
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
    /// How long a response may take; null for no limit.
    pub timeout: Option<Duration>,
    /// Null for no rate limit.
    pub rate_limiter: Option<ClientRateLimiter>,
    pub trusted_documents: TrustedDocuments,
}

#[derive(Debug)]
pub struct Pipeline {
    schema: ApiSchema,
    documents: DocumentCache,
    persisted: PersistedQueries,
    timeout: Option<Duration>,
    rate_limiter: Option<ClientRateLimiter>,
}

/// An operation that may be executed: within all limits, and charged.
#[derive(Clone, Debug)]
pub struct PreparedOperation {
    pub document: Arc<Document>,
    /// Its name in the document, if the client gave one.
    pub operation_name: Option<Arc<str>>,
    pub operation_type: OperationType,
    pub principal: Arc<Principal>,
    pub variables: Variables,
    pub cost: OperationCost,
    /// What remains to the client, if there is a rate limit.
    pub rate_limit: Option<RateLimitStatus>,
    wants_cost: bool,
    /// Of a subscription.
    pub start: StartPosition,
}

/// Below this cost, executing a query costs no more than looking for another one to share with.
const MIN_COALESCE_COST: u64 = 10;

/// Operations with the same key may share an execution: their callers see the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ExecutionKey {
    view: View,
    document: Arc<str>,
    operation_name: Option<Arc<str>>,
    /// As JSON.
    variables: Box<str>,
}

impl Pipeline {
    pub fn new(schema: ApiSchema, config: PipelineConfig) -> Arc<Pipeline> {
        let PipelineConfig { timeout, rate_limiter, trusted_documents } = config;
        let (documents, persisted) = (DocumentCache::default(), PersistedQueries::new(trusted_documents));
        persisted.warm(&documents);
        Arc::new(Pipeline { schema, documents, persisted, timeout, rate_limiter })
    }

    /// Resolves, analyses and charges a request, in time proportional to its document.
    ///
    /// # Errors
    /// If it must not be executed.
    pub fn prepare(&self, params: Params, caller: &Caller) -> Result<PreparedOperation, ApiError> {
        self.prepare_if(params, caller, |_| Ok(()))
    }

    /// Like [`Self::prepare`], for operation types that a transport supports.
    ///
    /// # Errors
    /// If it must not be executed, or the error of `allows` for its type.
    pub fn prepare_if<E: From<ApiError>>(
        &self,
        params: Params,
        caller: &Caller,
        allows: impl FnOnce(OperationType) -> Result<(), E>,
    ) -> Result<PreparedOperation, E> {
        let ResolvedDocument { text, hash_to_register } = self.persisted.resolve(params.document_ref()?)?;
        let document = self.documents.get(&text)?;
        let operation_name = params.operation_name().cloned();
        let operation = document.operation(operation_name.as_deref())?;
        allows(operation.ty)?;
        params.check_variables()?;
        check_required_variables(operation, &params.variables)?;
        let cost = document.operation_cost(operation, &params.variables)?;
        cost.check_scopes(caller.principal.view.scopes())?;
        cost.check_limits()?;
        let limited = self.rate_limiter.as_ref().zip(caller.network);
        let rate_limit = limited.map(|(limiter, client)| limiter.charge(client, cost.rate_limit_cost())).transpose()?;
        let prepared = PreparedOperation {
            operation_type: operation.ty,
            principal: caller.principal.clone(),
            wants_cost: params.wants_cost(),
            document: document.clone(),
            operation_name,
            variables: params.variables,
            cost,
            rate_limit,
            start: StartPosition::FromOperation,
        };
        if let Some(hash) = hash_to_register
            && self.schema.is_valid(prepared.request(), &document.parsed, &prepared.principal)
        {
            self.persisted.register(hash, &text);
        }
        Ok(prepared)
    }

    /// Executes a query. Dropping the future cancels it.
    pub async fn execute(&self, prepared: &PreparedOperation) -> Response {
        let execution = self.schema.execute_parsed(prepared.request(), &prepared.document.parsed, &prepared.principal);
        let mut response = self.with_timeout(execution).await.unwrap_or_else(ApiError::into_graphql_response);
        if prepared.wants_cost && !is_request_error(&response) {
            let cost = prepared.cost_extension(&response);
            response.extensions.insert("cost".to_owned(), cost);
        }
        response
    }

    /// # Errors
    /// If it takes longer than a response may.
    pub async fn with_timeout<T>(&self, future: impl Future<Output = T>) -> Result<T, ApiError> {
        let Some(limit) = self.timeout else { return Ok(future.await) };
        tokio::time::timeout(limit, future).await.map_err(|_| ApiError::timeout(limit))
    }

    /// Executes a subscription, from the start that is in `progress`: a response for each change.
    pub fn subscribe(
        &self,
        prepared: &PreparedOperation,
        progress: &Arc<SubscriptionProgress>,
    ) -> BoxStream<'static, Response> {
        self.schema.subscribe(prepared.request(), &prepared.document.parsed, &prepared.principal, progress)
    }
}

impl PreparedOperation {
    /// The operation to execute.
    ///
    /// # Errors
    /// None: it was found before.
    pub fn operation(&self) -> Result<&OperationDefinition, ApiError> {
        self.document.operation(self.operation_name.as_deref())
    }

    /// Whether its response depends on the history alone. What is stalled or overdue also depends on the time.
    pub fn is_cacheable_by_position(&self) -> bool {
        const TIME_DEPENDENT_ARGUMENTS: [&str; 2] = ["stalledFor", "overdue"];
        let is_in = |text: &str| TIME_DEPENDENT_ARGUMENTS.iter().any(|argument| text.contains(argument));
        !self.cost.is_volatile
            && !self.wants_cost
            && !is_in(&self.document.text)
            && !serde_json::to_string(&self.variables).is_ok_and(|variables| is_in(&variables))
    }

    /// The key of this operation with this text and these variables.
    pub fn execution_key(&self, document: Arc<str>, variables: &Variables) -> Option<ExecutionKey> {
        let variables = serde_json::to_string(variables).ok()?.into();
        let view = self.principal.view.clone();
        Some(ExecutionKey { view, document, operation_name: self.operation_name.clone(), variables })
    }

    /// Null for an operation that must not share an execution, or is too cheap to.
    pub fn coalesce_key(&self) -> Option<ExecutionKey> {
        if self.operation_type != OperationType::Query
            || self.wants_cost
            || self.cost.depends_on_principal
            || self.cost.rate_limit_cost() < MIN_COALESCE_COST
        {
            return None;
        }
        self.execution_key(self.document.text.clone(), &self.variables)
    }

    fn request(&self) -> Request {
        // The document is parsed already: the text is not read again.
        let request = Request::new(String::new()).variables(self.variables.clone());
        match &self.operation_name {
            Some(name) => request.operation_name(&**name),
            None => request,
        }
    }

    fn cost_extension(&self, response: &Response) -> Value {
        let figures = [
            ("requested", Value::from(self.cost.rate_limit_cost())),
            ("actual", field_count(&response.data).into()),
            ("available", self.rate_limit.map_or(Value::Null, |status| status.remaining.into())),
        ];
        Value::Object(figures.into_iter().map(|(name, value)| (Name::new(name), value)).collect())
    }
}

/// Whether all required variables are given (GraphQL, October 2021, section 6.1.2). Their types are validated later.
fn check_required_variables(operation: &OperationDefinition, given: &Variables) -> Result<(), ApiError> {
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

fn field_count(data: &Value) -> u64 {
    match data {
        Value::List(values) => values.iter().map(field_count).sum(),
        Value::Object(object) => object.len() as u64 + object.values().map(field_count).sum::<u64>(),
        _ => 0,
    }
}
