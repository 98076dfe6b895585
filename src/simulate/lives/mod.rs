//! What happens to the things that vendors report on, one file per vendor. A life says only what the vendor's pages
//! allow, in the order in which it happens; what goes wrong on the way to the hub is made elsewhere.

mod hover;
mod pave;
mod record360;
mod truepic;
mod truto;

use super::life::Life;

/// How a vendor's lives are planned.
#[derive(Debug)]
pub struct Script {
    pub vendor: &'static str,
    /// How many of its lives begin while others begin theirs.
    pub weight: u32,
    pub live: fn(&mut Life),
}

/// All vendors that can be simulated.
pub const SCRIPTS: &[Script] = &[
    Script { vendor: "truepic", weight: 9, live: truepic::live },
    Script { vendor: "pave", weight: 6, live: pave::live },
    Script { vendor: "hover", weight: 8, live: hover::live },
    Script { vendor: "truto", weight: 5, live: truto::live },
    Script { vendor: "record360", weight: 9, live: record360::live },
];
