//! Request coalescing (single-flight): concurrent equal queries share one execution and the bytes of its response.
//!
//! A response is never older than its request, and nothing is cached. A request that arrives during an execution does not
//! join it, because it may have read the database already; it shares the next execution with all requests that arrive before
//! that starts.

use super::response::SerializedResponse;
use crate::request::ExecutionKey;
use crate::sync::lock;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::Semaphore;
use tokio_util::task::AbortOnDropHandle;

/// Concurrent executions of the same query. The second starts before the first ends, so that a request that is too late for
/// one need not wait for all of it.
const MAX_CONCURRENT: usize = 2;

/// The newest execution of each query that is running or waiting.
#[derive(Clone, Debug, Default)]
pub struct Coalescer(Arc<Mutex<HashMap<ExecutionKey, Flight>>>);

#[derive(Debug)]
struct Flight {
    /// Then it is too late to join.
    has_started: Arc<AtomicBool>,
    permits: Arc<Semaphore>,
    response: WeakShared<BoxFuture<'static, SerializedResponse>>,
}

impl Coalescer {
    /// The response to a query. `execute` is called if there is no execution to join. The execution starts when its response
    /// is first awaited, in a task of its own, and is aborted when nobody awaits it any more. Must be awaited within tokio.
    pub fn coalesce<F>(
        &self,
        key: ExecutionKey,
        execute: impl FnOnce() -> F,
    ) -> Shared<BoxFuture<'static, SerializedResponse>>
    where
        F: Future<Output = SerializedResponse> + Send + 'static,
    {
        let mut flights = lock(&self.0);
        let newest = flights.get(&key);
        let joinable = newest.filter(|flight| !flight.has_started.load(Ordering::SeqCst));
        if let Some(response) = joinable.and_then(|flight| flight.response.upgrade()) {
            return response;
        }
        let permits = newest.map_or_else(|| Arc::new(Semaphore::new(MAX_CONCURRENT)), |flight| flight.permits.clone());
        let has_started = Arc::<AtomicBool>::default();
        let (permit, execution) = (permits.clone().acquire_owned(), execute());
        let guard = FlightGuard { coalescer: self.clone(), key: key.clone(), has_started: has_started.clone() };
        let execution = async move {
            let _permit = permit.await;
            guard.has_started.store(true, Ordering::SeqCst);
            execution.await
        };
        // Not spawned here: a runtime that is shutting down would drop it at once, and with it the guard, which takes the lock.
        let response = async { AbortOnDropHandle::new(tokio::spawn(execution)).await };
        let response = response
            .map(|done| done.unwrap_or_else(|failed| SerializedResponse::internal_error(&failed)))
            .boxed()
            .shared();
        if let Some(weak) = response.downgrade() {
            flights.insert(key, Flight { has_started, permits, response: weak });
        }
        response
    }
}

/// Removes an execution from the map when it ends.
struct FlightGuard {
    coalescer: Coalescer,
    key: ExecutionKey,
    /// The execution's own, by which the map has it.
    has_started: Arc<AtomicBool>,
}

impl Drop for FlightGuard {
    fn drop(&mut self) {
        let mut flights = lock(&self.coalescer.0);
        if flights.get(&self.key).is_some_and(|flight| Arc::ptr_eq(&flight.has_started, &self.has_started)) {
            flights.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graphql::tests::ApiFixture;
    use crate::request::{Caller, Params};
    use axum::http::StatusCode;
    use std::sync::atomic::AtomicUsize;
    use tokio::sync::Notify;
    use tokio::task::yield_now;

    /// Executions that end on command, each with its number.
    #[derive(Clone, Default)]
    struct ControlledExecutions {
        begun: Arc<AtomicUsize>,
        end: Arc<Notify>,
    }

    impl ControlledExecutions {
        fn execute(&self) -> impl Future<Output = SerializedResponse> + Send + 'static {
            let ControlledExecutions { begun, end } = self.clone();
            async move {
                let number = begun.fetch_add(1, Ordering::SeqCst) + 1;
                end.notified().await;
                SerializedResponse { json: number.to_string().into(), status: StatusCode::OK, has_errors: false }
            }
        }

        fn begun(&self) -> usize {
            self.begun.load(Ordering::SeqCst)
        }
    }

    async fn coalesce_key(query: &str) -> ExecutionKey {
        let pipeline = ApiFixture::new().await.pipeline();
        pipeline
            .prepare(Params::from_document(query), &Caller::unlimited(None))
            .expect("fine")
            .coalesce_key()
            .expect("worth sharing")
    }

    async fn settle() {
        for _ in 0..20 {
            yield_now().await;
        }
    }

    const LIST: &str = "{ inspections { nodes { id status } } }";

    #[tokio::test]
    async fn requests_during_an_execution_share_the_next_one() {
        let (coalescer, work) = (Coalescer::default(), ControlledExecutions::default());
        let key = coalesce_key(LIST).await;
        let ask = || AbortOnDropHandle::new(tokio::spawn(coalescer.coalesce(key.clone(), || work.execute())));
        let first = ask();
        settle().await;
        let second = ask();
        settle().await;
        assert_eq!(work.begun(), MAX_CONCURRENT);
        // Both have started, and may have read already.
        let later: Vec<_> = (0..10).map(|_| ask()).collect();
        settle().await;
        assert_eq!(work.begun(), MAX_CONCURRENT);
        for number in 1..=3 {
            work.end.notify_one();
            settle().await;
            assert_eq!(work.begun(), 3.min(MAX_CONCURRENT + number));
        }
        for (reply, number) in
            [(first, b"1"), (second, b"2")].into_iter().chain(later.into_iter().map(|one| (one, b"3")))
        {
            assert_eq!(&*reply.await.expect("an answer").json, number);
        }
        assert!(lock(&coalescer.0).is_empty());
    }

    #[tokio::test]
    async fn another_query_is_another_execution() {
        let (coalescer, work) = (Coalescer::default(), ControlledExecutions::default());
        let queries = [
            LIST,
            "query($n: Int = 20) { inspections(first: $n) { nodes { id status } } }",
            "{ inspections { nodes { id state } } }",
        ];
        let mut all = Vec::new();
        for query in queries {
            all.push(coalesce_key(query).await);
        }
        let twice = all.iter().chain(&all);
        let ask = |key: &ExecutionKey| {
            AbortOnDropHandle::new(tokio::spawn(coalescer.coalesce(key.clone(), || work.execute())))
        };
        let replies: Vec<_> = twice.map(ask).collect();
        settle().await;
        assert_eq!(work.begun(), queries.len());
        drop(replies);
        settle().await;
        assert!(lock(&coalescer.0).is_empty());
    }

    #[tokio::test]
    async fn an_execution_that_nobody_awaits_is_aborted() {
        let (coalescer, work) = (Coalescer::default(), ControlledExecutions::default());
        let key = coalesce_key(LIST).await;
        let ask = || AbortOnDropHandle::new(tokio::spawn(coalescer.coalesce(key.clone(), || work.execute())));
        let (one, other) = (ask(), ask());
        settle().await;
        assert_eq!(work.begun(), 1);
        drop(one);
        settle().await;
        assert_eq!(Arc::strong_count(&work.begun), 2, "one still awaits it");
        drop(other);
        settle().await;
        assert_eq!(Arc::strong_count(&work.begun), 1, "nobody does any more");
        assert!(lock(&coalescer.0).is_empty());
        let next = ask();
        work.end.notify_one();
        assert_eq!(&*next.await.expect("an answer").json, b"2");
    }

    #[tokio::test]
    async fn a_panic_is_an_internal_error() {
        let reply = Coalescer::default().coalesce(coalesce_key(LIST).await, async || panic!("no")).await;
        assert_eq!(reply.status, StatusCode::INTERNAL_SERVER_ERROR);
        let text = String::from_utf8_lossy(&reply.json);
        assert!(text.contains("INTERNAL") && !text.contains("panic"), "{text}");
    }

    #[tokio::test]
    async fn cheap_queries_and_those_that_report_their_cost_are_not_coalesced() {
        let pipeline = ApiFixture::new().await.pipeline();
        let params = |text: &str| serde_json::from_str::<Params>(text).expect("parameters");
        for text in [
            r#"{ "query": "{ head { position } }" }"#,
            r#"{ "query": "{ inspections { nodes { id status } } }", "extensions": { "cost": true } }"#,
        ] {
            assert!(
                pipeline.prepare(params(text), &Caller::unlimited(None)).expect("fine").coalesce_key().is_none(),
                "{text}"
            );
        }
    }
}
