//! Where a request comes from.

use std::net::IpAddr;

/// A client: an IPv4 address, or an IPv6 network of 64 bits, which is what one household gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientNetwork(IpAddr);

impl ClientNetwork {
    /// Whether it is this machine.
    pub fn is_loopback(self) -> bool {
        // The first 64 bits of `::1` are zero.
        self.0.is_loopback() || self.0.is_unspecified()
    }

    pub fn new(address: IpAddr) -> ClientNetwork {
        match address.to_canonical() {
            IpAddr::V6(address) => ClientNetwork(IpAddr::V6((address.to_bits() >> 64 << 64).into())),
            address => ClientNetwork(address),
        }
    }

    /// The address, or the first one of the network.
    pub fn address(self) -> IpAddr {
        self.0
    }
}
