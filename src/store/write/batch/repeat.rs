//! Whether a delivery's news has come before, and what then.

use super::super::session::First;
use super::super::{Incoming, Leading, Receipt};
use super::Batch;
use crate::event::{Event, News};
use crate::machine::START;
use crate::store::StoreError;
use crate::vendor::Vendor;
use std::collections::HashMap;
use uuid::Uuid;

/// What is done with a delivery that repeats another's news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repetitions {
    /// It is counted on the first one.
    Counted,
    /// It stays a delivery, which changes nothing: so when the raw log is applied anew, where each has its number.
    Kept,
}

/// Deliveries of earlier batches that some of this one seem to repeat.
#[derive(Default)]
pub struct BroughtBefore {
    /// By the positions of the rows of history that have the news.
    pub firsts: HashMap<i64, First>,
    /// By the news, if it is about no entity.
    pub about_nothing: HashMap<i64, First>,
}

impl Batch<'_> {
    // As the entities stand before the batch. What turns out otherwise is looked up then.
    pub(super) fn foresee_repetitions(&mut self, deliveries: &[Incoming]) -> Result<(), StoreError> {
        let (mut positions, mut about_nothing) = (Vec::new(), Vec::new());
        for delivery in deliveries {
            let leading = delivery.leading();
            let news = delivery.digest.in_cycle(self.digest_cycle(delivery, leading));
            match leading {
                Some(leading) => positions.extend(self.told_at(leading.names.about, news)),
                None => about_nothing.push(news),
            }
        }
        if !positions.is_empty() {
            self.brought_before.firsts = self.session.firsts(&positions)?;
        }
        if !about_nothing.is_empty() {
            self.brought_before.about_nothing = self.session.about_nothing(&about_nothing)?;
        }
        Ok(())
    }

    // Within which cycle of its leading entity the same bytes are the same news.
    pub(super) fn digest_cycle(&self, incoming: &Incoming, leading: Option<Leading<'_>>) -> i32 {
        let Some(Leading { event, names }) = leading.filter(|_| incoming.digest.per_cycle) else { return 0 };
        let Some(slot) = self.slots.get(&names.about) else {
            return first_cycle(incoming.vendor, event);
        };
        let tip = &slot.entity.tip;
        match (&event.news, slot.machine) {
            (News::State(word), Some(machine)) => match machine.state(word) {
                Some(to) => tip.place(machine, to, false, None, 0).cycle,
                None => tip.cycle,
            },
            _ => tip.cycle,
        }
    }

    // The delivery that brought the same news. It is known by the history of the entity that the news is about, so that
    // the look-up stays where that entity's rows are, however many deliveries there are.
    pub(super) fn first(&mut self, about: Option<Uuid>, news: i64) -> Result<Option<First>, StoreError> {
        let Some(id) = about else {
            return Ok(match self.about_nothing.get(&news) {
                Some(number) => self.of_this_batch(*number),
                None => self.brought_before.about_nothing.get(&news).cloned(),
            });
        };
        let Some(position) = self.told_at(id, news) else { return Ok(None) };
        if let Ok(here) = self.changes.binary_search_by_key(&position, |change| change.position) {
            let number = self.changes.get(here).map_or(0, |change| change.delivery);
            return Ok(self.of_this_batch(number));
        }
        match self.brought_before.firsts.get(&position) {
            Some(first) => Ok(Some(first.clone())),
            None => Ok(self.session.firsts(&[position])?.remove(&position)),
        }
    }

    // The position at which the history of an entity has this news.
    pub(super) fn told_at(&self, about: Uuid, news: i64) -> Option<i64> {
        self.slots.get(&about)?.known_news.as_ref()?.get(&news).copied()
    }

    // The deliveries of this batch stand in the order of their numbers.
    fn of_this_batch(&self, number: i64) -> Option<First> {
        let here = self.deliveries.binary_search_by_key(&number, |delivery| delivery.number).ok()?;
        let delivery = self.deliveries.get(here)?;
        Some(First { number, verdict: delivery.verdict, reason: delivery.reason.clone() })
    }

    pub(super) fn repeat(&mut self, incoming: &Incoming, at: i64, first: First) -> Receipt {
        // The deliveries of this batch stand in the order of their numbers.
        let here = self.deliveries.binary_search_by_key(&first.number, |delivery| delivery.number).ok();
        match here.and_then(|here| self.deliveries.get_mut(here)) {
            Some(delivery) => {
                delivery.duplicates += 1;
                delivery.duplicate_at = Some(at);
            }
            None => {
                let (count, latest) = self.repeated.entry(first.number).or_default();
                *count += 1;
                *latest = at.max(*latest);
            }
        }
        let ledger = self.ledger_of(incoming, at);
        ledger.duplicates += 1;
        Receipt { delivery: first.number, duplicate: true, verdict: first.verdict, reason: first.reason }
    }
}

// The cycle of news about an entity that is not known yet.
fn first_cycle(vendor: &Vendor, event: &Event) -> i32 {
    let (News::State(word), Some(machine)) = (&event.news, vendor.machine(event.about.subject)) else { return 0 };
    let reopens = machine.path(START, word).is_some_and(|path| path.reopens);
    i32::from(reopens)
}
