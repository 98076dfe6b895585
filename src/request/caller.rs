//! The caller of a request.

use crate::access::{ClientNetwork, Principal};
use std::sync::Arc;

/// The principal of a request, and where it comes from.
#[derive(Clone, Debug)]
pub struct Caller {
    pub principal: Arc<Principal>,
    /// For the rate limit; null where no address is known.
    pub network: Option<ClientNetwork>,
}

impl Caller {
    /// A caller with all scopes.
    pub fn unlimited(network: Option<ClientNetwork>) -> Caller {
        Caller { principal: Principal::unlimited(), network }
    }
}
