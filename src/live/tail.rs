//! What an execution has told, kept until all who follow have taken it, and no longer than there is room.
//!
//! Whoever is further behind than there is room for is cut off, so that memory stays bounded. But if most are behind, it
//! is the hub that is slow and not they: then the execution waits for them, as long as they come on.

use super::Live;
use super::news::{Batch, Payloads};
use super::operation::Key;
use bytes::Bytes;
use slab::Slab;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::Instant;

/// How often it is looked whether those who are behind have come on.
const LOOK: Duration = Duration::from_millis(5);

/// What is kept for those who are behind.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    pub answers: u64,
    pub bytes: usize,
    /// How long the execution waits for most of them if none of them comes on.
    pub stalled: Duration,
    /// How long it waits for them at all.
    pub patience: Duration,
}

impl Default for Room {
    fn default() -> Self {
        let (stalled, patience) = (Duration::from_secs(1), Duration::from_secs(10));
        Room { answers: 4096, bytes: 8 << 20, stalled, patience }
    }
}

/// What one execution has told, and who follows it.
#[derive(Debug)]
pub struct Tail {
    key: Key,
    room: Room,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Without holes: each begins with the number after the end of the one before.
    batches: VecDeque<Arc<Batch>>,
    bytes: usize,
    /// The number of the next answer.
    end: u64,
    /// All changes up to this position are told, or are not for these subscribers.
    seen: i64,
    places: Slab<Place>,
    ended: Option<End>,
    execution: Option<AbortHandle>,
}

/// One who follows.
#[derive(Debug, Default)]
struct Place {
    /// The number that is taken next; none as long as nothing is taken.
    next: Option<u64>,
    waker: Option<Waker>,
    /// It was waited for in vain. Once it takes something, it counts again.
    given_up: bool,
}

/// Why an execution has ended: with these errors, or by itself.
pub type End = Option<Bytes>;

impl Tail {
    pub fn new(key: Key, seen: i64, room: Room) -> Arc<Tail> {
        Arc::new(Tail { key, room, state: Mutex::new(State { seen, ..State::default() }) })
    }

    pub fn key(&self) -> &Key {
        &self.key
    }

    /// This execution tells what is kept here.
    pub fn runs(&self, execution: JoinHandle<()>) {
        self.state().execution = Some(execution.abort_handle());
    }

    /// Ends the execution.
    pub fn stop(&self) {
        let execution = self.state().execution.take();
        if let Some(execution) = execution {
            execution.abort();
        }
    }

    /// Answers that find room beside those that most have not taken yet.
    pub fn most_at_once(&self) -> usize {
        usize::try_from(self.room.answers / 2).unwrap_or(usize::MAX).max(1)
    }

    /// Waits until there is room for more, or until waiting makes no sense.
    pub async fn has_room(&self) {
        let begun = Instant::now();
        let mut came_on = (begun, None);
        while let Some(taken) = self.crowded() {
            let now = Instant::now();
            if came_on.1 != Some(taken) {
                came_on = (now, Some(taken));
            }
            if now - came_on.0 >= self.room.stalled || now - begun >= self.room.patience {
                self.state().give_up();
                return;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    // What those who are waited for have taken together, if most of them are behind.
    fn crowded(&self) -> Option<u64> {
        let state = self.state();
        if state.end - state.begin() < self.room.answers / 2 && state.bytes < self.room.bytes / 2 {
            return None;
        }
        let middle = state.middle();
        let (mut taken, mut readers, mut behind) = (0, 0, 0);
        for (_, place) in &state.places {
            let Some(next) = place.next.filter(|_| !place.given_up) else { continue };
            readers += 1;
            behind += usize::from(next < middle);
            taken += next;
        }
        (behind * 2 > readers).then_some(taken)
    }

    /// Tells these answers. All changes up to `seen` are told with them.
    pub fn tell(&self, mut batch: Batch, seen: i64) {
        let mut state = self.state();
        state.seen = seen;
        if batch.entries.is_empty() {
            return;
        }
        batch.first = state.end;
        state.end = batch.end();
        state.bytes += batch.bytes();
        state.batches.push_back(Arc::new(batch));
        state.trim(self.room);
        let wakers = state.wakers();
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// There was nothing to tell up to this position.
    pub fn passed(&self, seen: i64) {
        self.state().seen = seen;
    }

    /// Nothing more will be told.
    pub fn end(&self, end: End) {
        let mut state = self.state();
        state.ended = Some(end);
        let wakers = state.wakers();
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Whether the last one has left.
    pub fn leave(&self, place: usize) -> bool {
        let mut state = self.state();
        state.places.try_remove(place);
        state.places.is_empty()
    }

    // A panic elsewhere leaves nothing half done here.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The number of the first answer that is kept.
    fn begin(&self) -> u64 {
        self.batches.front().map_or(self.end, |batch| batch.first)
    }

    /// Who has not come so far is behind.
    fn middle(&self) -> u64 {
        self.end - (self.end - self.begin()) / 2
    }

    /// Those who are behind are not waited for any more.
    fn give_up(&mut self) {
        let middle = self.middle();
        for (_, place) in &mut self.places {
            place.given_up = place.next.is_some_and(|next| next < middle);
        }
    }

    /// Drops what all have taken, and what there is no room for. The newest batch always stays.
    fn trim(&mut self, room: Room) {
        let taken = self.places.iter().filter_map(|(_, place)| place.next).min().unwrap_or(self.end);
        while self.batches.len() > 1 {
            let Some(first) = self.batches.front() else { return };
            if first.end() > taken && self.end - first.first <= room.answers && self.bytes <= room.bytes {
                return;
            }
            self.bytes -= first.bytes();
            self.batches.pop_front();
        }
    }

    fn wakers(&mut self) -> Vec<Waker> {
        self.places.iter_mut().filter_map(|(_, place)| place.waker.take()).collect()
    }
}

/// A place among those who follow. The execution goes on as long as one is taken.
#[derive(Debug)]
pub struct Seat {
    live: Arc<Live>,
    tail: Arc<Tail>,
    place: usize,
}

/// What comes next for one who follows.
#[derive(Debug)]
pub enum Next {
    Told(Payloads),
    /// It is not kept any more.
    Missed,
    Ended(End),
}

impl Seat {
    /// Takes a place. Nothing is kept for it yet.
    pub fn new(live: Arc<Live>, tail: Arc<Tail>) -> Seat {
        let place = tail.state().places.insert(Place::default());
        Seat { live, tail, place }
    }

    pub fn live(&self) -> &Arc<Live> {
        &self.live
    }

    /// All changes up to this position are told.
    pub fn seen(&self) -> i64 {
        self.tail.state().seen
    }

    /// From here on all is kept for this one: the changes after the position that is returned.
    pub fn begin(&self) -> i64 {
        let mut state = self.tail.state();
        let end = state.end;
        if let Some(place) = state.places.get_mut(self.place) {
            place.next = Some(end);
        }
        state.seen
    }

    /// Nothing is kept for this one any more.
    pub fn rest(&self) {
        if let Some(place) = self.tail.state().places.get_mut(self.place) {
            place.next = None;
        }
    }

    /// Takes what is there, without what is not after this position.
    pub fn poll(&self, context: &Context<'_>, after: i64) -> Poll<Next> {
        let mut state = self.tail.state();
        let state = &mut *state;
        let begin = state.begin();
        let Some(place) = state.places.get_mut(self.place) else { return Poll::Ready(Next::Missed) };
        let next = place.next.unwrap_or(state.end);
        if next < begin {
            return Poll::Ready(Next::Missed);
        }
        let found = state.batches.partition_point(|batch| batch.end() <= next);
        if let Some(batch) = state.batches.get(found) {
            place.next = Some(batch.end());
            place.given_up = false;
            let from = usize::try_from(next - batch.first).unwrap_or_default();
            return Poll::Ready(Next::Told(Payloads::new(batch.clone(), from, after)));
        }
        if let Some(end) = &state.ended {
            return Poll::Ready(Next::Ended(end.clone()));
        }
        match &mut place.waker {
            Some(waker) => waker.clone_from(context.waker()),
            none => *none = Some(context.waker().clone()),
        }
        Poll::Pending
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.live.leave(&self.tail, self.place);
    }
}
