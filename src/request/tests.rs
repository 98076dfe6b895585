//! Requests on their way to a response.

use super::*;
use crate::access::{ClientNetwork, Scopes};
use crate::graphql::ApiErrorCode;
use crate::graphql::tests::ApiFixture;
use entity::Scope;
use serde_json::json;
use std::num::NonZeroU32;

/// A request that may be executed.
pub(crate) fn prepared(query: &str, variables: serde_json::Value) -> PreparedOperation {
    let document = Arc::new(Document::parse(&query.into()).expect("a document"));
    let variables = Variables::from_json(variables);
    let operation = document.operation(None).expect("one operation");
    let cost = document.operation_cost(operation, &variables).expect("measured before");
    let operation_type = operation.ty;
    PreparedOperation {
        document,
        operation_name: None,
        operation_type,
        principal: Caller::unlimited(None).principal,
        variables,
        cost,
        rate_limit: None,
        wants_cost: false,
        start: StartPosition::FromOperation,
    }
}

fn client() -> Caller {
    Caller::unlimited(Some(ClientNetwork::new([192, 0, 2, 1].into())))
}

fn params(json: serde_json::Value) -> Params {
    serde_json::from_value(json).expect("a request")
}

fn code(result: Result<PreparedOperation, ApiError>) -> ApiErrorCode {
    result.expect_err("refused").code
}

fn limited(scopes: Scopes, sources: &[&str]) -> Caller {
    let sources = sources.iter().map(|source| (*source).to_owned()).collect();
    let principal = Principal { view: View::new(scopes, Some(sources)), ..Principal::anyone(Scopes::NONE) };
    Caller { principal: Arc::new(principal), network: None }
}

#[tokio::test]
async fn an_operation_needs_the_scopes_of_its_fields() {
    let pipeline = ApiFixture::new().await.pipeline();
    let metrics = limited([Scope::Metrics].into_iter().collect(), &[]);
    for (query, needs) in [
        ("{ head { position } }", true),
        ("{ viewer { subject } ...F } fragment F on Query { sources { name } }", true),
        ("subscription { changes { position } }", true),
        ("{ viewer { subject scopes sources expiresAt } }", false),
        ("{ __schema { queryType { name } } __typename }", false),
    ] {
        match pipeline.prepare(Params::from_document(query), &metrics) {
            Ok(_) => assert!(!needs, "{query}"),
            Err(error) => {
                assert_eq!((error.code, &*error.message), (ApiErrorCode::Forbidden, "this needs the scope `read`"));
                assert!(needs, "{query}");
            }
        }
        assert!(pipeline.prepare(Params::from_document(query), &Caller::unlimited(None)).is_ok(), "{query}");
    }
}

#[tokio::test]
async fn executions_are_shared_by_callers_with_the_same_view() {
    let pipeline = ApiFixture::new().await.pipeline();
    let key = |query: &str, caller: &Caller| {
        pipeline.prepare(Params::from_document(query), caller).expect("fine").coalesce_key()
    };
    let list = "{ inspections { nodes { id status } } }";
    let read: Scopes = [Scope::Read].into_iter().collect();
    let views = [
        limited(read, &["lot"]),
        limited(read, &["lot", "yard"]),
        limited(Scopes::ALL, &["lot"]),
        Caller::unlimited(None),
    ];
    for (place, one) in views.iter().enumerate() {
        for (other_place, other) in views.iter().enumerate() {
            assert_eq!(key(list, one) == key(list, other), place == other_place);
        }
    }
    let another_person = Caller {
        principal: Arc::new(Principal { subject: "key:2".into(), ..(*views[0].principal).clone() }),
        network: None,
    };
    assert_eq!(key(list, &views[0]), key(list, &another_person));
    let own = "{ viewer { subject } inspections { nodes { id status } } }";
    assert_eq!(key(own, &views[0]), None, "the subject is not part of the view");
}

async fn json_of(answer: Response) -> serde_json::Value {
    serde_json::to_value(&answer).expect("JSON")
}

#[tokio::test]
async fn a_refused_request_reaches_no_database() {
    let hub = ApiFixture::new().await;
    let pipeline = hub.pipeline();
    let deep = format!("{{ {}id{} }}", "inspections { nodes { ".repeat(12), " } }".repeat(12));
    let rows = "{ inspections(first: 100) { nodes { items(first: 100) { nodes { history(first: 100) { nodes { position } } } } } } }";
    for (query, expected) in [
        ("{", ApiErrorCode::GraphqlParseFailed),
        (&*"{a".repeat(10_000), ApiErrorCode::QueryTooCostly),
        (&*deep, ApiErrorCode::QueryTooCostly),
        (rows, ApiErrorCode::QueryTooCostly),
        ("{ ...F } fragment F on Query { ...F }", ApiErrorCode::GraphqlValidationFailed),
        ("query A { a } query B { b }", ApiErrorCode::BadUserInput),
    ] {
        hub.statements.lock().expect("a log").clear();
        assert_eq!(code(pipeline.prepare(Params::from_document(query), &client())), expected, "{query}");
        assert!(hub.statements.lock().expect("a log").is_empty(), "{query}");
    }
}

#[tokio::test]
async fn variables_decide_what_a_list_costs() {
    let pipeline = ApiFixture::new().await.pipeline();
    let query = "query($n: Int) { inspections(first: $n) { nodes { items(first: $n) { nodes { history(first: $n) { nodes { position } } } } } } }";
    let asked = |n: i32| pipeline.prepare(params(json!({ "query": query, "variables": { "n": n } })), &client());
    assert!(asked(10).is_ok());
    assert_eq!(code(asked(100)), ApiErrorCode::QueryTooCostly);
}

#[tokio::test]
async fn the_cost_is_charged_before_anything_is_read() {
    let hub = ApiFixture::new().await;
    let config =
        PipelineConfig { rate_limiter: NonZeroU32::new(100).map(ClientRateLimiter::new), ..PipelineConfig::default() };
    let pipeline = Pipeline::new(hub.graph.clone(), config);
    let asked = || pipeline.prepare(Params::from_document("{ inspections(first: 30) { nodes { id } } }"), &client());
    assert_eq!(asked().expect("within").rate_limit, Some(RateLimitStatus { quota: 100, remaining: 39 }));
    assert_eq!(code(asked()), ApiErrorCode::RateLimited);
    let dear = Params::from_document("{ inspections(first: 100) { nodes { id } } }");
    assert_eq!(code(pipeline.prepare(dear, &client())), ApiErrorCode::QueryTooCostly, "more than the quota");
    assert!(
        pipeline.prepare(Params::from_document("{ __typename }"), &Caller::unlimited(None)).is_ok(),
        "no client to charge"
    );
}

#[tokio::test]
async fn a_response_reports_its_cost_on_request() {
    let hub = ApiFixture::new().await;
    hub.inspection(1).await;
    let pipeline = hub.pipeline();
    let query = "{ inspections(first: 5) { nodes { id status } } }";
    let silent = pipeline.prepare(Params::from_document(query), &client()).expect("fine");
    assert!(json_of(pipeline.execute(&silent).await).await.get("extensions").is_none());
    let asked = pipeline.prepare(params(json!({ "query": query, "extensions": { "cost": true } })), &client());
    let answer = json_of(pipeline.execute(&asked.expect("fine")).await).await;
    assert_eq!(answer["extensions"]["cost"], json!({ "requested": 16, "actual": 4, "available": null }));
}

#[tokio::test]
async fn only_a_valid_document_is_registered() {
    let pipeline = ApiFixture::new().await.pipeline();
    let with = |query: Option<&str>, text: &str| {
        let hash = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(text));
        let extensions = json!({ "persistedQuery": { "version": 1, "sha256Hash": hash } });
        pipeline.prepare(params(json!({ "query": query, "extensions": extensions })), &client())
    };
    let subscription = "subscription { changes { position } }";
    for good in ["{ head { position } }", subscription, "query($n: Int) { inspections(first: $n) { totalCount } }"] {
        assert_eq!(code(with(None, good)), ApiErrorCode::PersistedQueryNotFound);
        assert!(with(Some(good), good).is_ok(), "{good}");
        assert_eq!(&*with(None, good).expect("known").document.text, good);
    }
    for bad in ["{ nothing }", "subscription { nothing }", "{ head }", "{ inspections(first: \"x\") { totalCount } }"] {
        assert!(with(Some(bad), bad).is_ok(), "{bad}: the execution reports what is wrong");
        assert_eq!(code(with(None, bad)), ApiErrorCode::PersistedQueryNotFound, "{bad}");
    }
    assert!(with(Some("{"), "{").is_err());
    assert_eq!(code(with(None, "{")), ApiErrorCode::PersistedQueryNotFound);
}

#[tokio::test]
async fn a_response_that_takes_too_long_is_cancelled() {
    let hub = ApiFixture::new().await;
    let config = PipelineConfig { timeout: Some(Duration::ZERO), ..PipelineConfig::default() };
    let pipeline = Pipeline::new(hub.graph.clone(), config);
    let asked = pipeline.prepare(Params::from_document("{ inspections { totalCount } }"), &client()).expect("fine");
    let answer = json_of(pipeline.execute(&asked).await).await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "TIMEOUT", "{answer}");
}

#[tokio::test]
async fn errors_are_few_and_each_has_a_code() {
    let pipeline = ApiFixture::new().await.pipeline();
    let fields: String = (0..30).map(|number| format!("nothing{number} ")).collect();
    let asked =
        pipeline.prepare(Params::from_document(format!("{{ {fields} }}")), &client()).expect("validation comes later");
    let answer = json_of(pipeline.execute(&asked).await).await;
    let errors = answer["errors"].as_array().expect("errors");
    assert_eq!(errors.len(), 10);
    for error in errors {
        assert_eq!(error["extensions"]["code"], "GRAPHQL_VALIDATION_FAILED");
        assert!(!error["message"].as_str().expect("text").contains("Did you mean"), "{error}");
    }
}

/// A client that disconnects drops the future.
#[tokio::test]
async fn a_dropped_execution_reads_no_more() {
    let hub = ApiFixture::new().await;
    hub.inspection(1).await;
    let pipeline = hub.pipeline();
    let query = "{ inspections { nodes { history { totalCount } items { totalCount nodes { id } } } } }";
    let asked = pipeline.prepare(Params::from_document(query), &client()).expect("fine");
    let count = || hub.statements.lock().expect("a log").len();
    pipeline.execute(&asked).await;
    let all = count();
    assert!(all >= 4, "{all}");
    hub.statements.lock().expect("a log").clear();
    let mut answer = Box::pin(pipeline.execute(&asked));
    while count() == 0 {
        assert!(futures_util::poll!(answer.as_mut()).is_pending());
        tokio::task::yield_now().await;
    }
    let before = count();
    drop(answer);
    // The statement that is running ends before ten others do.
    let other = pipeline.prepare(Params::from_document("{ head { position } }"), &client()).expect("fine");
    for _ in 0..10 {
        pipeline.execute(&other).await;
    }
    assert!(before < all && count() == before + 10, "{before} of {all}, then {}", count());
}
