//! What goes wrong between a vendor and the hub: deliveries come twice, come late, come from somebody else, or come as
//! garbage. All of it is added to the traffic or moves it; of what the vendors say, nothing is lost.

use super::forgery::Forgery;
use super::garbage::Garbage;
use super::traffic::{Post, Traffic};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::VecDeque;
use std::sync::Arc;

/// Posts that may come again.
const RECENT: usize = 64;
/// A post is late by so many posts of its life at most …
const OVERTAKERS: u32 = 3;
/// … or by so many of all: its life may be at its end.
const LATEST: u64 = 400;

/// The shares of all deliveries that something is wrong with, from 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Shares {
    pub duplicates: f64,
    pub reorder: f64,
    /// Of the deliveries to sources that verify.
    pub bad_signatures: f64,
    pub garbage: f64,
}

/// A post on its way.
#[derive(Clone, Debug)]
pub struct Sending {
    pub post: Arc<Post>,
    pub manner: Manner,
}

/// In which way a post is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// As the vendor does.
    Genuine,
    /// As the vendor does, but after later ones.
    Late,
    /// Once more.
    Again,
    /// By somebody who is not the vendor.
    Forged(Forgery),
    /// With a body that cannot be read.
    Garbage(Garbage),
}

/// Traffic with mischief. It ends only where the traffic does.
#[derive(Debug)]
pub struct Mischief {
    traffic: Traffic,
    shares: Shares,
    /// Whether each source verifies.
    verifies: Vec<bool>,
    rng: StdRng,
    recent: VecDeque<Arc<Post>>,
    held: Vec<Held>,
    sent: u64,
}

/// A post that is late.
#[derive(Debug)]
struct Held {
    post: Arc<Post>,
    overtakers: u32,
    until: u64,
}

impl Mischief {
    pub fn new(seed: u32, traffic: Traffic, shares: Shares, verifies: Vec<bool>) -> Mischief {
        let rng = StdRng::seed_from_u64(!u64::from(seed));
        Mischief { traffic, shares, verifies, rng, recent: VecDeque::new(), held: Vec::new(), sent: 0 }
    }

    // Something about a post of the recent past, if it is drawn.
    fn extra(&mut self) -> Option<Sending> {
        let Shares { duplicates, bad_signatures, garbage, .. } = self.shares;
        let drawn: f64 = self.rng.random();
        let manner = if drawn < duplicates {
            Manner::Again
        } else if drawn < duplicates + garbage {
            Manner::Garbage(Garbage::any(&mut self.rng))
        } else if drawn < duplicates + garbage + bad_signatures {
            Manner::Forged(Forgery::any(&mut self.rng))
        } else {
            return None;
        };
        let place = self.rng.random_range(0..self.recent.len().max(1));
        let post = self.recent.get(place)?.clone();
        let forged_in_vain = matches!(manner, Manner::Forged(_)) && self.verifies.get(post.source) != Some(&true);
        (!forged_in_vain).then_some(Sending { post, manner })
    }

    fn late(&mut self) -> Option<Arc<Post>> {
        let sent = self.sent;
        let place = self.held.iter().position(|held| held.overtakers == 0 || held.until <= sent)?;
        Some(self.held.remove(place).post)
    }

    fn said(&mut self, post: &Arc<Post>) {
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(post.clone());
    }
}

impl Iterator for Mischief {
    type Item = Sending;

    fn next(&mut self) -> Option<Sending> {
        self.sent += 1;
        if let Some(post) = self.late() {
            self.said(&post);
            return Some(Sending { post, manner: Manner::Late });
        }
        if let Some(extra) = self.extra() {
            return Some(extra);
        }
        loop {
            let post = self.traffic.next()?;
            let waits = self.held.iter().any(|held| held.post.life == post.life);
            if !waits && self.rng.random_bool(self.shares.reorder) {
                let overtakers = self.rng.random_range(1..=OVERTAKERS);
                self.held.push(Held { post, overtakers, until: self.sent + LATEST });
                continue;
            }
            if let Some(held) = self.held.iter_mut().find(|held| held.post.life == post.life) {
                held.overtakers -= 1;
            }
            self.said(&post);
            return Some(Sending { post, manner: Manner::Genuine });
        }
    }
}
