//! What a socket may cost, and how long it may take.

use rand::Rng;
use std::time::Duration;

#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of a message.
    pub message: usize,
    /// Operations at the same time.
    pub operations: usize,
    /// Until `connection_init`.
    pub init: Duration,
    /// From the last that was heard, or written, to a ping: with the jitter, less than the 30 seconds after which the more
    /// impatient of proxies give up.
    pub idle: Duration,
    /// So that sockets opened together are not pinged together.
    pub jitter: Duration,
    /// From a ping to anything at all.
    pub pong: Duration,
    /// How long a socket may take no bytes while there are some for it.
    pub stuck: Duration,
    /// How long the other side may take to close, once we did.
    pub close: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            message: 1 << 20,
            operations: 100,
            init: Duration::from_secs(10),
            idle: Duration::from_secs(20),
            jitter: Duration::from_secs(5),
            pong: Duration::from_secs(20),
            stuck: Duration::from_secs(30),
            close: Duration::from_secs(2),
        }
    }
}

impl Limits {
    /// With an idle time of its own.
    pub fn jittered(self) -> Self {
        let share = rand::rng().random_range(0.0..1.0);
        Limits { idle: self.idle + self.jitter.mul_f64(share), ..self }
    }
}
