//! Short lives of inspections of all five vendors, as verified and read deliveries: about five deliveries, and ten changes,
//! for each inspection. Made from `tests/samples`, with other ids and times for each.

use super::template::Template;
use anyhow::Context;
use axum::http::HeaderMap;
use chrono::{DateTime, TimeDelta, Utc};
use inspection_hub::store::{Incoming, Post};
use inspection_hub::vendor::verify::{Request, Verifier};
use inspection_hub::vendor::{self, Vendor};
use std::ops::Range;

/// The events of a life of each vendor, in order.
const LIVES: &[(&str, &[&str])] = &[
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
/// One delivery comes so long after the other.
pub const BETWEEN: TimeDelta = TimeDelta::seconds(12);

/// What can be told of any number of inspections: that with the number `n` is one of the vendor `n % 5`.
pub struct Lives {
    vendors: Vec<(&'static Vendor, Vec<Template>)>,
    /// Stands behind the vendor's name in the name of the source.
    suffix: &'static str,
}

impl Lives {
    pub fn new(suffix: &'static str) -> anyhow::Result<Lives> {
        let vendors = LIVES.iter().map(|(name, events)| {
            let events = events.iter().map(|event| {
                let path = format!("{}/tests/samples/{name}/{event}.json", env!("CARGO_MANIFEST_DIR"));
                Ok(Template::of(&std::fs::read_to_string(&path).with_context(|| path)?))
            });
            Ok((vendor::by_name(name).context("a vendor")?, events.collect::<anyhow::Result<_>>()?))
        });
        Ok(Lives { vendors: vendors.collect::<anyhow::Result<_>>()?, suffix })
    }

    /// How many events a life has.
    pub fn events(&self, life: u32) -> usize {
        self.vendors[life as usize % self.vendors.len()].1.len()
    }

    /// One delivery, as it is received at some moment.
    pub fn delivery(&self, life: u32, event: usize, at: DateTime<Utc>) -> anyhow::Result<Incoming> {
        let (vendor, events) = &self.vendors[life as usize % self.vendors.len()];
        let body = events[event].render(life);
        let headers = HeaderMap::new();
        let request = Request { headers: &headers, path: "/", query: None, body: &body, now: at };
        let verified = Verifier::open().check(&request)?;
        let post = Post {
            source: format!("{}{}", vendor.name, self.suffix).into(),
            vendor,
            received_at: at,
            method: "POST",
            content_type: Some("application/json".to_owned()),
            headers: r#"{"content-type":"application/json","user-agent":"bench/1.0","accept":"*/*"}"#.to_owned(),
            body: body.clone().into(),
        };
        Ok(Incoming::read(&verified, post))
    }

    /// All deliveries of some lives: those of one life in order and far apart, the first one `BETWEEN` after a moment.
    pub fn all(&self, lives: Range<u32>, after: DateTime<Utc>) -> anyhow::Result<Vec<Incoming>> {
        let longest = self.vendors.iter().map(|(_, events)| events.len()).max().unwrap_or_default();
        let mut all = Vec::new();
        for event in 0..longest {
            for life in lives.clone().filter(|life| event < self.events(*life)) {
                let at = after + BETWEEN * (i32::try_from(all.len())? + 1);
                all.push(self.delivery(life, event, at)?);
            }
        }
        Ok(all)
    }
}
