//! Refused webhooks: which, why, and what they would have passed with. Records are counted in memory when a request is refused, and
//! saved together later, so that a flood of refused requests costs neither memory nor statements.
//!
//! `log` has the records of this process, `sample` the requests that wait to be examined, `task` examines, publishes and saves.

mod log;
mod sample;
mod task;
#[cfg(test)]
mod tests;

pub use log::{RefusedRequest, RejectionLog};
pub use task::RejectionTask;
