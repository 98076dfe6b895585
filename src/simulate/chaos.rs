//! What goes wrong between a vendor and the hub: deliveries come twice, come late, come from somebody else, or come as
//! garbage. All of it is added to the traffic or moves it; of what the vendors say, nothing is lost.

use super::forgery::Forgery;
use super::garbage::Garbage;
use super::traffic::{SimulatedDelivery, Traffic};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::VecDeque;
use std::sync::Arc;

/// Posts that may come again.
const RECENT_DELIVERIES: usize = 64;
/// A delivery is late by so many deliveries of its scenario at most …
const MAX_OVERTAKERS: u32 = 3;
/// … or by so many of all: its scenario may be at its end.
const MAX_DELAY: u64 = 400;

/// The shares of all deliveries that something is wrong with, from 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ChaosRates {
    pub duplicates: f64,
    pub reorder: f64,
    /// Of the deliveries to sources that verify.
    pub bad_signatures: f64,
    pub garbage: f64,
}

/// A delivery on its way.
#[derive(Clone, Debug)]
pub struct SimulatedRequest {
    pub delivery: Arc<SimulatedDelivery>,
    pub mode: SendMode,
}

/// In which way a delivery is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendMode {
    /// As the vendor does.
    Genuine,
    /// As the vendor does, but after later ones.
    Reordered,
    /// Once more.
    Duplicate,
    /// By somebody who is not the vendor.
    Forged(Forgery),
    /// With a body that cannot be read.
    Garbage(Garbage),
}

/// Traffic with mischief. It ends only where the traffic does.
#[derive(Debug)]
pub struct Chaos {
    traffic: Traffic,
    rates: ChaosRates,
    /// Whether each source verifies.
    verifies: Vec<bool>,
    rng: StdRng,
    recent: VecDeque<Arc<SimulatedDelivery>>,
    held: Vec<HeldDelivery>,
    sent: u64,
}

/// A delivery that is late.
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

    // Something about a delivery of the recent past, if it is drawn.
    fn draw_extra(&mut self) -> Option<SimulatedRequest> {
        let ChaosRates { duplicates, bad_signatures, garbage, .. } = self.rates;
        let drawn: f64 = self.rng.random();
        let mode = if drawn < duplicates {
            SendMode::Duplicate
        } else if drawn < duplicates + garbage {
            SendMode::Garbage(Garbage::random(&mut self.rng))
        } else if drawn < duplicates + garbage + bad_signatures {
            SendMode::Forged(Forgery::random(&mut self.rng))
        } else {
            return None;
        };
        let place = self.rng.random_range(0..self.recent.len().max(1));
        let delivery = self.recent.get(place)?.clone();
        let forged_in_vain = matches!(mode, SendMode::Forged(_)) && self.verifies.get(delivery.source) != Some(&true);
        (!forged_in_vain).then_some(SimulatedRequest { delivery, mode })
    }

    fn next_held(&mut self) -> Option<Arc<SimulatedDelivery>> {
        let sent = self.sent;
        let place = self.held.iter().position(|held| held.overtakers == 0 || held.until <= sent)?;
        Some(self.held.remove(place).delivery)
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
