//! Short scenarios of all vendors as verified and parsed deliveries: about five deliveries and ten changes for each inspection.
//! Made from `tests/samples`, with other ids and times for each.

use super::template::Template;
use anyhow::Context;
use axum::http::HeaderValue;
use axum::http::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};
use chrono::{DateTime, TimeDelta, Utc};
use inspection_hub::ingest::LogRecord;
use inspection_hub::vendor::verify::{UnverifiedDelivery, Verifier};
use inspection_hub::vendor::{self, Vendor};
use std::ops::Range;

/// The events of a scenario of each vendor, in order.
const SCENARIOS: &[(&str, &[&str])] = &[
    (
        "truepic",
        &[
            "inspection-created",
            "status-started",
            "status-in-progress",
            "photo-verification-passed",
            "question-answered",
            "status-ready-for-review",
        ],
    ),
    (
        "pave",
        &["session-status-change-started", "session-status-change-process", "session-note-insert", "session-complete"],
    ),
    (
        "hover",
        &[
            "capture-request-state-changed-new",
            "job-state-changed-v2-draft",
            "capture-request-state-changed-connected",
            "inspection-checklist-created",
            "job-state-changed-working",
        ],
    ),
    (
        "truto",
        &[
            "integrated-account-created",
            "integrated-account-active",
            "sync-job-run-created",
            "sync-job-run-started",
            "sync-job-run-completed",
        ],
    ),
    ("record360", &["create-draft", "create", "completed"]),
];
/// The time between two deliveries.
pub const DELIVERY_INTERVAL: TimeDelta = TimeDelta::seconds(12);

/// Deliveries of any number of inspections. The inspection with the number `n` is of the vendor `n % 5`.
pub struct ScenarioDeliveries {
    vendors: Vec<(&'static Vendor, Vec<Template>)>,
    /// The suffix of the source names, after the vendor.
    suffix: &'static str,
}

impl ScenarioDeliveries {
    pub fn new(suffix: &'static str) -> anyhow::Result<ScenarioDeliveries> {
        let vendors = SCENARIOS.iter().map(|(name, events)| {
            let events = events.iter().map(|event| {
                let path = format!("{}/tests/samples/{name}/{event}.json", env!("CARGO_MANIFEST_DIR"));
                Ok(Template::of(&std::fs::read_to_string(&path).with_context(|| path)?))
            });
            Ok((vendor::by_name(name).context("a vendor")?, events.collect::<anyhow::Result<_>>()?))
        });
        Ok(ScenarioDeliveries { vendors: vendors.collect::<anyhow::Result<_>>()?, suffix })
    }

    /// The number of events of an inspection.
    pub fn events(&self, scenario: u32) -> usize {
        self.vendors[scenario as usize % self.vendors.len()].1.len()
    }

    /// One delivery, received at this time.
    pub fn delivery(&self, scenario: u32, event: usize, at: DateTime<Utc>) -> anyhow::Result<LogRecord> {
        let (vendor, events) = &self.vendors[scenario as usize % self.vendors.len()];
        let body = events[event].render(scenario);
        let headers = [(CONTENT_TYPE, "application/json"), (USER_AGENT, "bench/1.0"), (ACCEPT, "*/*")];
        let delivery = UnverifiedDelivery {
            source: format!("{}{}", vendor.name, self.suffix).into(),
            vendor,
            received_at: at,
            method: "POST",
            path: "/",
            query: None,
            headers: &headers.map(|(name, value)| (name, HeaderValue::from_static(value))).into_iter().collect(),
            body: body.into(),
        };
        Ok(LogRecord::prepare(Verifier::open().check(delivery)?))
    }

    /// All deliveries of these inspections: those of one inspection in order and far apart, the first one `DELIVERY_INTERVAL`
    /// after this time.
    pub fn all(&self, inspections: Range<u32>, after: DateTime<Utc>) -> anyhow::Result<Vec<LogRecord>> {
        let longest = self.vendors.iter().map(|(_, events)| events.len()).max().unwrap_or_default();
        let mut all = Vec::new();
        for event in 0..longest {
            for scenario in inspections.clone().filter(|scenario| event < self.events(*scenario)) {
                let at = after + DELIVERY_INTERVAL * (i32::try_from(all.len())? + 1);
                all.push(self.delivery(scenario, event, at)?);
            }
        }
        Ok(all)
    }
}
