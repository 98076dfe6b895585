//! Limits of size, number and time of a socket.

use rand::Rng;
use std::time::Duration;

#[derive(Clone, Copy, Debug)]
pub struct SocketLimits {
    /// Bytes of a message.
    pub max_message_bytes: usize,
    /// Concurrent operations.
    pub max_operations: usize,
    /// Until `connection_init`.
    pub init_timeout: Duration,
    /// From the last byte received or sent to a ping: with the jitter, less than the 30 seconds after which some proxies close
    /// a connection.
    pub ping_after: Duration,
    /// So that sockets opened together are not pinged together.
    pub ping_jitter: Duration,
    /// From a ping to anything received.
    pub pong_timeout: Duration,
    /// How long a client may take no bytes while there are some for it.
    pub write_timeout: Duration,
    /// How long the client may take to close after the server did.
    pub close_timeout: Duration,
}

impl Default for SocketLimits {
    fn default() -> Self {
        SocketLimits {
            max_message_bytes: 1 << 20,
            max_operations: 100,
            init_timeout: Duration::from_secs(10),
            ping_after: Duration::from_secs(20),
            ping_jitter: Duration::from_secs(5),
            pong_timeout: Duration::from_secs(20),
            write_timeout: Duration::from_secs(30),
            close_timeout: Duration::from_secs(2),
        }
    }
}

impl SocketLimits {
    pub fn with_jitter(self) -> Self {
        let fraction = rand::rng().random_range(0.0..1.0);
        SocketLimits { ping_after: self.ping_after + self.ping_jitter.mul_f64(fraction), ..self }
    }
}
