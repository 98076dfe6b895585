//! What goes wrong between a vendor and the hub: duplicates, late deliveries, forgeries and garbage. Chaos adds and reorders
//! deliveries; it drops none.

use super::forgery::Forgery;
use super::garbage::Garbage;
use super::traffic::{SimulatedDelivery, Traffic};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use std::collections::VecDeque;
use std::sync::Arc;

/// The number of recent deliveries that duplicates, forgeries and garbage are made from.
const RECENT_DELIVERIES: usize = 64;
/// A late delivery is overtaken by at most this many deliveries of its scenario …
const MAX_OVERTAKERS: u32 = 3;
/// … or by this many of all, in case its scenario has ended.
const MAX_DELAY: u64 = 400;

/// The shares of deliveries that something is wrong with, from 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ChaosRates {
    pub duplicates: f64,
    pub reorder: f64,
    /// Of deliveries to sources that verify.
    pub bad_signatures: f64,
    pub garbage: f64,
}

#[derive(Clone, Debug)]
pub struct SimulatedRequest {
    pub delivery: Arc<SimulatedDelivery>,
    pub mode: SendMode,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendMode {
    /// As the vendor does.
    Genuine,
    /// As the vendor does, but after later deliveries.
    Reordered,
    /// As the vendor does, again.
    Duplicate,
    /// Without the vendor's secret.
    Forged(Forgery),
    /// With an unreadable body.
    Garbage(Garbage),
}

/// Traffic with chaos. Ends with the traffic.
#[derive(Debug)]
pub struct Chaos {
    traffic: Traffic,
    rates: ChaosRates,
    /// For each source, whether it verifies.
    verifies: Vec<bool>,
    rng: StdRng,
    recent: VecDeque<Arc<SimulatedDelivery>>,
    held: Vec<HeldDelivery>,
    sent: u64,
}

#[derive(Debug)]
struct HeldDelivery {
    delivery: Arc<SimulatedDelivery>,
    overtakers: u32,
    until: u64,
}

impl Chaos {
    pub fn new(seed: u32, traffic: Traffic, rates: ChaosRates, verifies: Vec<bool>) -> Chaos {
        let rng = StdRng::seed_from_u64(!u64::from(seed));
        Chaos { traffic, rates, verifies, rng, recent: VecDeque::new(), held: Vec::new(), sent: 0 }
    }

    // Draws whether to send something wrong, made from a recent delivery.
    fn draw_extra(&mut self) -> Option<SimulatedRequest> {
        let ChaosRates { duplicates, bad_signatures, garbage, .. } = self.rates;
        let drawn: f64 = self.rng.random();
        let mode = if drawn < duplicates {
            SendMode::Duplicate
        } else if drawn < duplicates + garbage {
            SendMode::Garbage(*Garbage::ALL.choose(&mut self.rng)?)
        } else if drawn < duplicates + garbage + bad_signatures {
            SendMode::Forged(*Forgery::ALL.choose(&mut self.rng)?)
        } else {
            return None;
        };
        let index = self.rng.random_range(0..self.recent.len().max(1));
        let delivery = self.recent.get(index)?.clone();
        let not_verified = matches!(mode, SendMode::Forged(_)) && self.verifies.get(delivery.source) != Some(&true);
        (!not_verified).then_some(SimulatedRequest { delivery, mode })
    }

    fn next_held(&mut self) -> Option<Arc<SimulatedDelivery>> {
        let sent = self.sent;
        let index = self.held.iter().position(|held| held.overtakers == 0 || held.until <= sent)?;
        Some(self.held.remove(index).delivery)
    }

    fn remember(&mut self, delivery: &Arc<SimulatedDelivery>) {
        if self.recent.len() == RECENT_DELIVERIES {
            self.recent.pop_front();
        }
        self.recent.push_back(delivery.clone());
    }
}

impl Iterator for Chaos {
    type Item = SimulatedRequest;

    fn next(&mut self) -> Option<SimulatedRequest> {
        self.sent += 1;
        if let Some(delivery) = self.next_held() {
            self.remember(&delivery);
            return Some(SimulatedRequest { delivery, mode: SendMode::Reordered });
        }
        if let Some(extra) = self.draw_extra() {
            return Some(extra);
        }
        loop {
            let delivery = self.traffic.next()?;
            let waits = self.held.iter().any(|held| held.delivery.scenario == delivery.scenario);
            if !waits && self.rng.random_bool(self.rates.reorder) {
                let overtakers = self.rng.random_range(1..=MAX_OVERTAKERS);
                self.held.push(HeldDelivery { delivery, overtakers, until: self.sent + MAX_DELAY });
                continue;
            }
            if let Some(held) = self.held.iter_mut().find(|held| held.delivery.scenario == delivery.scenario) {
                held.overtakers -= 1;
            }
            self.remember(&delivery);
            return Some(SimulatedRequest { delivery, mode: SendMode::Genuine });
        }
    }
}
