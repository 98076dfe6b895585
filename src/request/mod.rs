//! One way for every request, whatever it comes by: from its parameters to an operation that may be executed, and its
//! answer within a deadline. Nothing here knows of HTTP or sockets.
//!
//! `params` is what a client sends, `known` finds documents by hash or id, `document` parses and keeps them; `scan`,
//! `shape` and `price` find out what a document asks for before anything expensive looks at it, `limits` how much is
//! taken; `budget` is what a client may ask for in a minute.

mod budget;
mod document;
mod known;
pub mod limits;
mod params;
mod price;
mod scan;
mod schema;
mod shape;
#[cfg(test)]
pub(crate) mod tests;

pub use budget::{Allowance, Budgets, Client, WINDOW};
pub use document::Document;
pub use known::{BadTrusted, Trusted};
pub use params::Params;
pub use price::Price;

use crate::graphql::{Fault, Graph, Resume, Walk, is_request_error};
use async_graphql::parser::types::{OperationDefinition, OperationType, VariableDefinition};
use async_graphql::{Name, Positioned, Request, Response, Value, Variables};
use document::Documents;
use futures_util::stream::BoxStream;
use known::{Known, Meant};
use std::sync::Arc;
use std::time::Duration;

/// What a hub allows.
#[derive(Debug, Default)]
pub struct Rules {
    /// How long an answer may take; none for ever.
    pub timeout: Option<Duration>,
    /// None where clients may ask for as much as they like.
    pub budgets: Option<Budgets>,
    pub trusted: Trusted,
}

/// The way of all requests.
#[derive(Debug)]
pub struct Pipeline {
    graph: Graph,
    documents: Documents,
    known: Known,
    timeout: Option<Duration>,
    budgets: Option<Budgets>,
}

/// An operation that may be executed: within all limits, and paid for.
#[derive(Clone, Debug)]
pub struct Prepared {
    pub document: Arc<Document>,
    /// Its name in the document, if the client gave one.
    pub name: Option<Arc<str>>,
    pub kind: OperationType,
    pub variables: Variables,
    pub price: Price,
    /// What is left to the client, if there is a budget.
    pub allowance: Option<Allowance>,
    wants_cost: bool,
    /// A cursor after which a subscription begins, whatever it says itself.
    pub resume: Option<Arc<str>>,
}

/// Below so many points of cost, answering costs no more than finding out whether somebody else asks the same.
const WORTH_SHARING: u64 = 10;

/// What two queries have in common that may share an execution. Once clients have rights, what they may see belongs here
/// too.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Same {
    document: Arc<str>,
    operation: Option<Arc<str>>,
    /// As JSON.
    variables: Box<str>,
}

impl Pipeline {
    pub fn new(graph: Graph, rules: Rules) -> Arc<Pipeline> {
        let Rules { timeout, budgets, trusted } = rules;
        let (documents, known) = (Documents::default(), Known::new(trusted));
        known.warm(&documents);
        Arc::new(Pipeline { graph, documents, known, timeout, budgets })
    }

    /// Finds out what a request asks for, and whether it may. Takes time in proportion to the document, whatever is in it.
    ///
    /// # Errors
    /// Why it may not: nothing was executed then.
    pub fn prepare(&self, params: Params, client: Option<Client>) -> Result<Prepared, Fault> {
        self.prepare_if(params, client, |_| Ok(()))
    }

    /// The same, for operations of a kind that this transport has.
    ///
    /// # Errors
    /// Why it may not, or what `allows` says of its kind.
    pub fn prepare_if<E: From<Fault>>(
        &self,
        params: Params,
        client: Option<Client>,
        allows: impl FnOnce(OperationType) -> Result<(), E>,
    ) -> Result<Prepared, E> {
        let Meant { text, teaches } = self.known.meant(params.names()?)?;
        let document = self.documents.get(&text)?;
        let name = params.operation_name().cloned();
        let operation = document.operation(name.as_deref())?;
        allows(operation.ty)?;
        params.variables_fit()?;
        has_variables(operation, &params.variables)?;
        let price = document.price(operation, &params.variables);
        price.fits()?;
        let budget = self.budgets.as_ref().zip(client);
        let allowance = budget.map(|(budgets, client)| budgets.take(client, price.points())).transpose()?;
        let (kind, wants_cost) = (operation.ty, params.wants_cost());
        let prepared = Prepared {
            document: document.clone(),
            name,
            kind,
            variables: params.variables,
            price,
            allowance,
            wants_cost,
            resume: None,
        };
        if let Some(hash) = teaches
            && self.graph.is_valid(prepared.request(), &document.parsed)
        {
            self.known.learn(hash, &text);
        }
        Ok(prepared)
    }

    /// Answers a query. Whoever drops this cancels it.
    pub async fn answer(&self, prepared: &Prepared) -> Response {
        let answer = self.graph.answer(prepared.request(), &prepared.document.parsed);
        let mut answer = self.in_time(answer).await.unwrap_or_else(Fault::answer);
        if prepared.wants_cost && !is_request_error(&answer) {
            let cost = prepared.cost_of(&answer);
            answer.extensions.insert("cost".to_owned(), cost);
        }
        answer
    }

    /// What comes of something, if it takes no longer than an answer may.
    ///
    /// # Errors
    /// If it does.
    pub async fn in_time<T>(&self, doing: impl Future<Output = T>) -> Result<T, Fault> {
        let Some(limit) = self.timeout else { return Ok(doing.await) };
        let done = tokio::time::timeout(limit, doing).await;
        done.map_err(|_| Fault::Timeout { milliseconds: limit.as_millis() })
    }

    /// Answers a subscription with each of its changes.
    pub fn follow(&self, prepared: &Prepared, walk: &Arc<Walk>) -> BoxStream<'static, Response> {
        self.graph.follow(prepared.request(), &prepared.document.parsed, walk)
    }
}

impl Prepared {
    /// The operation to execute.
    ///
    /// # Errors
    /// Never: it was found before.
    pub fn operation(&self) -> Result<&OperationDefinition, Fault> {
        self.document.operation(self.name.as_deref())
    }

    /// Whether its answer is the same as long as the history is. That something is stalled depends on the time too.
    pub fn stands_with_history(&self) -> bool {
        const OF_TIME: &str = "stalledFor";
        let says = |text: &str| text.contains(OF_TIME);
        !self.price.moves
            && !self.wants_cost
            && !says(&self.document.text)
            && !serde_json::to_string(&self.variables).is_ok_and(|variables| says(&variables))
    }

    /// What another query must have in common with it to share its execution; none if it has to have its own.
    pub fn same(&self) -> Option<Same> {
        if self.kind != OperationType::Query || self.wants_cost || self.price.points() < WORTH_SHARING {
            return None;
        }
        let variables = serde_json::to_string(&self.variables).ok()?.into();
        Some(Same { document: self.document.text.clone(), operation: self.name.clone(), variables })
    }

    fn request(&self) -> Request {
        // It is parsed already: nobody reads the text again.
        let mut request = Request::new(String::new()).variables(self.variables.clone());
        if let Some(cursor) = &self.resume {
            request = request.data(Resume(cursor.clone()));
        }
        match &self.name {
            Some(name) => request.operation_name(&**name),
            None => request,
        }
    }

    fn cost_of(&self, answer: &Response) -> Value {
        let available = self.allowance.map_or(Value::Null, |allowance| allowance.left.into());
        let figures = [
            ("requested", Value::from(self.price.points())),
            ("actual", fields_of(&answer.data).into()),
            ("available", available),
        ];
        Value::Object(figures.into_iter().map(|(name, value)| (Name::new(name), value)).collect())
    }
}

/// Whether all variables are there that must be (GraphQL, October 2021, section 6.1.2). Their types are validated later.
fn has_variables(operation: &OperationDefinition, given: &Variables) -> Result<(), Fault> {
    let is_missing = |variable: &&Positioned<VariableDefinition>| {
        let VariableDefinition { name, var_type, default_value, .. } = &variable.node;
        let value = given.get(&name.node);
        !var_type.node.nullable && value.map_or(default_value.is_none(), |value| *value == Value::Null)
    };
    let Some(missing) = operation.variable_definitions.iter().find(is_missing) else { return Ok(()) };
    let VariableDefinition { name, var_type, .. } = &missing.node;
    Err(Fault::input(
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
