//! Queries that ask for the same at the same time share one execution and the bytes of its answer.
//!
//! An answer is never older than its question, and nothing is kept: whoever asks while the same is being executed does not
//! take that answer, which may have read already, but shares the next execution with all who ask until that begins.

use super::reply::Reply;
use crate::request::Same;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Semaphore;
use tokio_util::task::AbortOnDropHandle;

/// Executions of the same query at a time: the second begins before the first ends, so that whoever comes too late for one
/// need not wait for all of it.
const AT_A_TIME: usize = 2;

/// The executions that are under way, or wait for their turn.
#[derive(Clone, Debug, Default)]
pub struct Together(Arc<Mutex<Flights>>);

#[derive(Debug, Default)]
struct Flights {
    /// The newest of each query.
    of: HashMap<Same, Flight>,
    /// How many there were so far.
    begun: u64,
}

/// An execution.
#[derive(Debug)]
struct Flight {
    number: u64,
    /// Whether it has begun: then it is too late to join.
    begun: bool,
    turns: Arc<Semaphore>,
    reply: WeakShared<BoxFuture<'static, Reply>>,
}

impl Together {
    /// What the query is answered. `execute` is called if nobody else's execution will do. It begins when somebody waits for
    /// it, in a task of its own, and is given up when nobody does any more. Must be awaited within tokio.
    pub fn ask<F>(&self, same: Same, execute: impl FnOnce() -> F) -> Shared<BoxFuture<'static, Reply>>
    where
        F: Future<Output = Reply> + Send + 'static,
    {
        let mut flights = self.flights();
        let last = flights.of.get(&same);
        if let Some(reply) = last.filter(|flight| !flight.begun).and_then(|flight| flight.reply.upgrade()) {
            return reply;
        }
        let turns = last.map_or_else(|| Arc::new(Semaphore::new(AT_A_TIME)), |flight| flight.turns.clone());
        flights.begun += 1;
        let number = flights.begun;
        let (turn, execution) = (turns.clone().acquire_owned(), execute());
        let seat = Seat { together: self.clone(), same: same.clone(), number };
        let execution = async move {
            let _turn = turn.await;
            seat.begin();
            execution.await
        };
        // Not spawned here: a runtime that ends would drop it at once, and with it the seat, which wants the lock.
        let reply = async { AbortOnDropHandle::new(tokio::spawn(execution)).await };
        let reply = reply.map(|reply| reply.unwrap_or_else(|failed| Reply::failed(&failed))).boxed().shared();
        if let Some(weak) = reply.downgrade() {
            flights.of.insert(same, Flight { number, begun: false, turns, reply: weak });
        }
        reply
    }

    // A panic elsewhere leaves nothing half done here.
    fn flights(&self) -> MutexGuard<'_, Flights> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of one execution, given up when it ends.
struct Seat {
    together: Together,
    same: Same,
    number: u64,
}

impl Seat {
    fn begin(&self) {
        let mut flights = self.together.flights();
        if let Some(flight) = flights.of.get_mut(&self.same).filter(|flight| flight.number == self.number) {
            flight.begun = true;
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut flights = self.together.flights();
        if flights.of.get(&self.same).is_some_and(|flight| flight.number == self.number) {
            flights.of.remove(&self.same);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::reply::Standing;
    use super::*;
    use crate::graphql::tests::Hub;
    use crate::request::Params;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::Notify;
    use tokio::task::yield_now;

    /// Executions that end when they are told to, each with its number.
    #[derive(Clone, Default)]
    struct Work {
        begun: Arc<AtomicUsize>,
        end: Arc<Notify>,
    }

    impl Work {
        fn execute(&self) -> impl Future<Output = Reply> + Send + 'static {
            let Work { begun, end } = self.clone();
            async move {
                let number = begun.fetch_add(1, Ordering::SeqCst) + 1;
                end.notified().await;
                Reply { json: number.to_string().into(), standing: Standing::Good }
            }
        }

        fn begun(&self) -> usize {
            self.begun.load(Ordering::SeqCst)
        }
    }

    async fn same(query: &str) -> Same {
        let pipeline = Hub::new().await.pipeline();
        pipeline.prepare(Params::of(query), None).expect("fine").same().expect("worth sharing")
    }

    async fn settle() {
        for _ in 0..20 {
            yield_now().await;
        }
    }

    const LIST: &str = "{ inspections { nodes { id status } } }";

    #[tokio::test]
    async fn who_asks_meanwhile_shares_what_begins_later() {
        let (together, work) = (Together::default(), Work::default());
        let same = same(LIST).await;
        let ask = || AbortOnDropHandle::new(tokio::spawn(together.ask(same.clone(), || work.execute())));
        let first = ask();
        settle().await;
        let second = ask();
        settle().await;
        assert_eq!(work.begun(), AT_A_TIME);
        // Both have begun, and may have read already.
        let later: Vec<_> = (0..10).map(|_| ask()).collect();
        settle().await;
        assert_eq!(work.begun(), AT_A_TIME);
        for number in 1..=3 {
            work.end.notify_one();
            settle().await;
            assert_eq!(work.begun(), 3.min(AT_A_TIME + number));
        }
        for (reply, number) in
            [(first, b"1"), (second, b"2")].into_iter().chain(later.into_iter().map(|one| (one, b"3")))
        {
            assert_eq!(&*reply.await.expect("an answer").json, number);
        }
        assert!(together.flights().of.is_empty());
    }

    #[tokio::test]
    async fn another_query_is_another_execution() {
        let (together, work) = (Together::default(), Work::default());
        let queries = [
            LIST,
            "query($n: Int = 20) { inspections(first: $n) { nodes { id status } } }",
            "{ inspections { nodes { id state } } }",
        ];
        let mut all = Vec::new();
        for query in queries {
            all.push(same(query).await);
        }
        let twice = all.iter().chain(&all);
        let ask = |same: &Same| AbortOnDropHandle::new(tokio::spawn(together.ask(same.clone(), || work.execute())));
        let replies: Vec<_> = twice.map(ask).collect();
        settle().await;
        assert_eq!(work.begun(), queries.len());
        drop(replies);
        settle().await;
        assert!(together.flights().of.is_empty());
    }

    #[tokio::test]
    async fn what_nobody_waits_for_is_given_up() {
        let (together, work) = (Together::default(), Work::default());
        let same = same(LIST).await;
        let ask = || AbortOnDropHandle::new(tokio::spawn(together.ask(same.clone(), || work.execute())));
        let (one, other) = (ask(), ask());
        settle().await;
        assert_eq!(work.begun(), 1);
        drop(one);
        settle().await;
        assert_eq!(Arc::strong_count(&work.begun), 2, "one still waits");
        drop(other);
        settle().await;
        assert_eq!(Arc::strong_count(&work.begun), 1, "nobody does");
        assert!(together.flights().of.is_empty());
        let next = ask();
        work.end.notify_one();
        assert_eq!(&*next.await.expect("an answer").json, b"2");
    }

    #[tokio::test]
    async fn a_panic_is_an_answer() {
        let reply = Together::default().ask(same(LIST).await, async || panic!("no")).await;
        assert_eq!(reply.standing, Standing::Failed);
        let text = String::from_utf8_lossy(&reply.json);
        assert!(text.contains("INTERNAL") && !text.contains("panic"), "{text}");
    }

    #[tokio::test]
    async fn what_has_a_cost_of_its_own_or_hardly_any_is_executed_alone() {
        let pipeline = Hub::new().await.pipeline();
        let params = |text: &str| serde_json::from_str::<Params>(text).expect("parameters");
        for text in [
            r#"{ "query": "{ head { position } }" }"#,
            r#"{ "query": "{ inspections { nodes { id status } } }", "extensions": { "cost": true } }"#,
        ] {
            assert!(pipeline.prepare(params(text), None).expect("fine").same().is_none(), "{text}");
        }
    }
}
