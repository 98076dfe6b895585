//! The operations of one connection, polled in turn: an operation that always has messages does not starve the others.

use super::{StreamMessage, SubscriptionStream};
use futures_util::StreamExt;
use std::task::{Context, Poll};

/// Operations, each with what its connection knows of it.
#[derive(Debug)]
pub struct RoundRobin<T> {
    operations: Vec<(T, SubscriptionStream)>,
    /// The index of the operation that is polled first next time.
    next_turn: usize,
}

impl<T> Default for RoundRobin<T> {
    fn default() -> Self {
        RoundRobin { operations: Vec::new(), next_turn: 0 }
    }
}

impl<T> RoundRobin<T> {
    pub fn push(&mut self, operation: T, messages: SubscriptionStream) {
        self.operations.push((operation, messages));
    }

    pub fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        self.operations.retain(|(operation, _)| keep(operation));
    }

    pub fn clear(&mut self) {
        self.operations.clear();
    }

    pub fn count(&self) -> usize {
        self.operations.len()
    }

    pub fn contains(&self, is_it: impl Fn(&T) -> bool) -> bool {
        self.operations.iter().any(|(operation, _)| is_it(operation))
    }

    /// Passes the next message of the first operation that has one to `send`; null if it has ended. An operation is removed
    /// with its last message.
    pub fn poll_next<R>(
        &mut self,
        context: &mut Context<'_>,
        send: impl FnOnce(&T, Option<StreamMessage>) -> R,
    ) -> Poll<R> {
        let count = self.operations.len();
        for turn in 0..count {
            let index = (self.next_turn + turn) % count;
            let (operation, messages) = &mut self.operations[index];
            let Poll::Ready(message) = messages.poll_next_unpin(context) else { continue };
            let is_last = !matches!(message, Some(StreamMessage::Next(_)));
            let sent = send(operation, message);
            self.next_turn = index + 1;
            if is_last {
                self.operations.remove(index);
                self.next_turn = index;
            }
            return Poll::Ready(sent);
        }
        Poll::Pending
    }
}
