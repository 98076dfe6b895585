//! What happens to the things that vendors report on, one file per vendor. A scenario contains only what the vendor's
//! pages allow, in the order in which it happens; `chaos` adds what goes wrong on the way to the hub.

mod hover;
mod pave;
mod record360;
mod truepic;
mod truto;

use super::script::VendorScenario;

pub const VENDOR_SCENARIOS: &[VendorScenario] =
    &[truepic::SCENARIO, pave::SCENARIO, hover::SCENARIO, truto::SCENARIO, record360::SCENARIO];
