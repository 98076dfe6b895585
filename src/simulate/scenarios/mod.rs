//! What happens to the things that vendors report on, one file per vendor. A scenario says only what the vendor's pages
//! allow, in the order in which it happens; what goes wrong on the way to the hub is made elsewhere.

mod hover;
mod pave;
mod record360;
mod truepic;
mod truto;

use super::scenario::Scenario;

/// How a vendor's scenarios are planned.
#[derive(Debug)]
pub struct VendorScenario {
    pub vendor: &'static str,
    /// How many of its scenarios begin while others begin theirs.
    pub weight: u32,
    pub plan: fn(&mut Scenario),
}

/// All vendors that can be simulated.
pub const VENDOR_SCENARIOS: &[VendorScenario] = &[
    VendorScenario { vendor: "truepic", weight: 9, plan: truepic::plan },
    VendorScenario { vendor: "pave", weight: 6, plan: pave::plan },
    VendorScenario { vendor: "hover", weight: 8, plan: hover::plan },
    VendorScenario { vendor: "truto", weight: 5, plan: truto::plan },
    VendorScenario { vendor: "record360", weight: 9, plan: record360::plan },
];
