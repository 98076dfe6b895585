//! Hover: 3D models and measurements of buildings from pictures. Its events are flat, say little and, with three
//! exceptions, carry no time, so they are ordered by cycle and rank. Two generations live side by side:
//! `job-state-changed` (`complete`) and `job-state-changed-v2` (`completed`). Signed, see [`signature`].
//!
//! Pages: <https://developers.hover.to/docs/hovers-available-webhooks> and `…/leveraging-hovers-webhooks`.

mod machines;
mod signature;

use super::fields::JsonFields;
use super::{DeliveryBody, Unreadable, Vendor, canonical_names, lookup};
use crate::event::{Event, Lead, Model, NoEffect, ParsedDelivery, Photo, Reference, Signing, Summary};
use crate::machine::{EntityType, ItemKind, JobKind};

pub const VENDOR: Vendor = Vendor {
    name: "hover",
    title: "Hover",
    machines: machines::MACHINES,
    reference_paths: &REFERENCE_PATHS,
    signature: Some(signature::SIGNATURE),
    parse,
};

const HOVER_JOB: EntityType = EntityType::Job(JobKind::HoverJob);
const DELIVERABLE_CHANGE: EntityType = EntityType::Job(JobKind::DeliverableChange);
const ESTIMATE_GROUP: EntityType = EntityType::Job(JobKind::EstimateGroup);
const PRODUCTION_LIST: EntityType = EntityType::Job(JobKind::ProductionList);
const PROPOSAL: EntityType = EntityType::Job(JobKind::Proposal);
const SIGNATURE_REQUEST: EntityType = EntityType::Job(JobKind::SignatureRequest);
const ORDER: EntityType = EntityType::Job(JobKind::Order);
const DISTRIBUTION_ORDER: EntityType = EntityType::Job(JobKind::DistributionOrder);
const MODEL: EntityType = EntityType::Item(ItemKind::Model);
const CHECKLIST: EntityType = EntityType::Item(ItemKind::Checklist);

/// Where the customer's own key for the job is looked for; the first that states one is the reference.
const REFERENCE_PATHS: [&str; 2] = ["job_external_identifier", "job_client_identifier"];

/// Why an event says nothing: what it needs and does not have.
type HoverParseError = &'static str;
type HoverEventParser = fn(&JsonFields<'_>) -> Result<Vec<Event>, HoverParseError>;

const VERIFICATION_CODE: &str = "webhook-verification-code";

const EVENTS: &[(&str, HoverEventParser)] = &[
    ("job-state-changed", job),
    ("job-state-changed-v2", job),
    ("capture-request-state-changed", capture_request),
    ("model-created", |body| model(body, Some("created".to_owned()))),
    ("model-state-changed", |body| model(body, body.text("state"))),
    ("inspection-checklist-created", |body| checklist(body, "created")),
    ("inspection-checklist-updated", |body| checklist(body, "updated")),
    ("inspection-state-changed", inspection),
    ("deliverable-change-request-state-changed", deliverable_change),
    ("estimation-estimate-group-state-changed", estimate_group),
    ("estimation-estimate-group-updated", estimate_group_updated),
    ("project-management-production-list-created", |body| production_list(body, "created")),
    ("project-management-production-list-updated", |body| production_list(body, "updated")),
    ("project-management-production-list-manual-sync", |body| production_list(body, "manual-sync")),
    ("project-management-proposal-document-state-changed", proposal),
    ("project-management-signature-request-state-changed", signature_request),
    ("project-management-order-document-state-changed", order),
    ("distribution-order-state-changed", distribution_order),
    ("instant-design-image-created", design_image),
    ("instant-design-lead-form-submitted", lead_form),
];

fn parse(delivery: &DeliveryBody<'_>) -> Result<ParsedDelivery, Unreadable> {
    let body = JsonFields::parse_body(delivery.body)?;
    let Some(event) = body.text("event") else {
        return Ok(unrecognized(String::new(), "it names no event"));
    };
    let names = EVENTS.iter().map(|(name, _)| *name).chain([VERIFICATION_CODE]);
    let name = canonical_names::canonical_name(&event, names);
    if name == Some(VERIFICATION_CODE) {
        return Ok(verification_code(event, &body));
    }
    let events = match EVENTS.iter().find(|(known, _)| Some(*known) == name) {
        Some((_, read)) => read(&body),
        None => Err("no such event is known"),
    };
    Ok(match events {
        Ok(events) => {
            let occurred_at = events.iter().find(|event| event.occurred_at.raw_field().is_some());
            let occurred_at = occurred_at.map(|event| event.occurred_at.clone()).unwrap_or_default();
            ParsedDelivery { event, occurred_at, events, ..ParsedDelivery::default() }
        }
        Err(why) => unrecognized(event, why),
    })
}

fn unrecognized(event: String, why: &str) -> ParsedDelivery {
    ParsedDelivery { event, no_effect: Some(NoEffect::Unrecognized(why.to_owned())), ..ParsedDelivery::default() }
}

fn verification_code(event: String, body: &JsonFields<'_>) -> ParsedDelivery {
    match body.id("code") {
        Some(code) => {
            ParsedDelivery { event, no_effect: Some(NoEffect::Handshake { code }), ..ParsedDelivery::default() }
        }
        None => unrecognized(event, "it has no code"),
    }
}

// The job is the inspection, too: one id, two entities.
fn job(body: &JsonFields<'_>) -> Result<Vec<Event>, HoverParseError> {
    let job = body.numeric_id("job_id").ok_or("it names no job_id")?;
    let state = state(body)?;
    let reference = reference(body);
    Ok(vec![
        Event::new(EntityType::Inspection, &job).state(&state).reference(reference.clone()).fact(estimate(body)),
        Event::new(HOVER_JOB, &job).inspection(&job).state(state).reference(reference).details(body.unread_details()),
    ])
}

fn capture_request(body: &JsonFields<'_>) -> Result<Vec<Event>, HoverParseError> {
    let id = body.numeric_id("capture_request_id").ok_or("it names no capture_request_id")?;
    let state = state(body)?;
    let reference = reference(body);
    let mut events = Vec::with_capacity(2);
    if let Some(job) = body.numeric_id("job_id") {
        let word = canonical_names::canonical_name(&state, machines::CAPTURE_REQUEST_STATES).unwrap_or(&state);
        let inspection = Event::new(EntityType::Inspection, job).state(machines::capture_state_name(word));
        events.push(inspection.reference(reference.clone()).fact(estimate(body)));
    }
    let session = of_job(Event::new(EntityType::Session, id), body).state(state).reference(reference);
    events.push(session.details(body.unread_details()));
    Ok(events)
}

// A job's state is independent of its models' states, says Hover: one model may fail and the job be completed.
fn model(body: &JsonFields<'_>, state: Option<String>) -> Result<Vec<Event>, HoverParseError> {
    let id = body.numeric_id("model_id").ok_or("it names no model_id")?;
    let state = state.ok_or("it names no state")?;
    let model = under_job(Event::new(MODEL, &id), body).state(state).reference(reference(body));
    Ok(vec![model.fact(Model { model_id: Some(id) }).details(body.unread_details())])
}

fn checklist(body: &JsonFields<'_>, word: &str) -> Result<Vec<Event>, HoverParseError> {
    let id = body.numeric_id("inspection_checklist_id").ok_or("it names no inspection_checklist_id")?;
    Ok(vec![under_job(Event::new(CHECKLIST, id), body).state(word).details(body.unread_details())])
}

// What Hover calls an inspection is a checklist that is filled in for a job. Nothing says whether its id is the
// checklist's, and no page prints its states: the two stay apart, and the state is kept among the details.
fn inspection(body: &JsonFields<'_>) -> Result<Vec<Event>, HoverParseError> {
    let id = body.numeric_id("inspection_id").ok_or("it names no inspection_id")?;
    let checklist = under_job(Event::new(CHECKLIST, format!("inspection/{id}")), body);
    Ok(vec![checklist.reference(reference(body)).details(body.unread_details())])
}

fn deliverable_change(body: &JsonFields<'_>) -> Result<Vec<Event>, HoverParseError> {
    let id = body.numeric_id("deliverable_change_request_id").ok_or("it names no deliverable_change_request_id")?;
    Ok(vec![under_job(Event::new(DELIVERABLE_CHANGE, id), body).state(state(body)?).details(body.unread_details())])
}

fn estimate_group(body: &JsonFields<'_>) -> Result<Vec<Event>, HoverParseError> {
    let id = body.numeric_id("estimation_estimate_group_id").ok_or("it names no estimation_estimate_group_id")?;
    Ok(vec![under_job(Event::new(ESTIMATE_GROUP, id), body).state(state(body)?).details(body.unread_details())])
}

fn estimate_group_updated(body: &JsonFields<'_>) -> Result<Vec<Event>, HoverParseError> {
    let id = body.numeric_id("estimation_estimate_group_id").ok_or("it names no estimation_estimate_group_id")?;
    Ok(vec![under_job(Event::new(ESTIMATE_GROUP, id), body).at_least("complete").details(body.unread_details())])
}

fn production_list(body: &JsonFields<'_>, word: &str) -> Result<Vec<Event>, HoverParseError> {
    let id = body
        .numeric_id("project_management_production_list_id")
        .ok_or("it names no project_management_production_list_id")?;
    Ok(vec![under_job(Event::new(PRODUCTION_LIST, id), body).state(word).details(body.unread_details())])
}

fn proposal(body: &JsonFields<'_>) -> Result<Vec<Event>, HoverParseError> {
    let id = body.id(PROPOSAL_ID).ok_or("it names no project_management_proposal_document_id")?;
    Ok(vec![under_job(Event::new(PROPOSAL, id), body).state(state(body)?).details(body.unread_details())])
}

fn signature_request(body: &JsonFields<'_>) -> Result<Vec<Event>, HoverParseError> {
    let id = body
        .numeric_id("project_management_signature_request_id")
        .ok_or("it names no project_management_signature_request_id")?;
    let signed_at = body.vendor_time("signed_at");
    let request = Event::new(SIGNATURE_REQUEST, id).state(state(body)?).occurred_at(&signed_at);
    let request = request.fact(Signing { signed_at: signed_at.at() });
    let request = match body.id(PROPOSAL_ID) {
        Some(proposal) => of_job(request, body).parent(PROPOSAL, proposal),
        None => under_job(request, body),
    };
    Ok(vec![request.details(body.unread_details())])
}

fn order(body: &JsonFields<'_>) -> Result<Vec<Event>, HoverParseError> {
    let id = body
        .numeric_id("project_management_order_document_id")
        .ok_or("it names no project_management_order_document_id")?;
    let order = Event::new(ORDER, id).state(state(body)?);
    let order = match body.numeric_id("project_management_production_list_id") {
        Some(list) => of_job(order, body).parent(PRODUCTION_LIST, list),
        None => under_job(order, body),
    };
    Ok(vec![order.details(body.unread_details())])
}

fn distribution_order(body: &JsonFields<'_>) -> Result<Vec<Event>, HoverParseError> {
    let id = body.numeric_id("distribution_order_id").ok_or("it names no distribution_order_id")?;
    Ok(vec![under_job(Event::new(DISTRIBUTION_ORDER, id), body).state(state(body)?).details(body.unread_details())])
}

fn design_image(body: &JsonFields<'_>) -> Result<Vec<Event>, HoverParseError> {
    let id = body.numeric_id("image_id").ok_or("it names no image_id")?;
    let at = body.vendor_time("timestamp");
    let photo = under_job(Event::new(EntityType::Item(ItemKind::Photo), id), body).occurred_at(&at);
    Ok(vec![
        photo.fact(Photo { taken_at: at.at(), ..Photo::default() }).fact(lead(body)).details(body.unread_details()),
    ])
}

fn lead_form(body: &JsonFields<'_>) -> Result<Vec<Event>, HoverParseError> {
    let id = body.numeric_id("lead_id").ok_or("it names no lead_id")?;
    let item =
        under_job(Event::new(EntityType::Item(ItemKind::Lead), id), body).occurred_at(body.vendor_time("timestamp"));
    Ok(vec![item.fact(lead(body)).details(body.unread_details())])
}

const PROPOSAL_ID: &str = "project_management_proposal_document_id";

fn state(body: &JsonFields<'_>) -> Result<String, HoverParseError> {
    body.text("state").ok_or("it names no state")
}

// Only the first place counts as read: what another states can be displaced by the first, and stays a detail.
fn reference(body: &JsonFields<'_>) -> Option<Reference> {
    let reference = lookup::peek_reference(&REFERENCE_PATHS, |field| lookup::peek_path(body, field))?;
    if reference.precedence == 0 {
        body.text(REFERENCE_PATHS[0]);
    }
    Some(reference)
}

fn estimate(body: &JsonFields<'_>) -> Summary {
    Summary { estimated_hours: body.number("job_estimated_hours_to_completion"), ..Summary::default() }
}

fn lead(body: &JsonFields<'_>) -> Lead {
    Lead {
        lead_id: body.numeric_id("lead_id"),
        project_name: body.text("project_name"),
        project_id: body.numeric_id("project_id"),
    }
}

// Estimate groups, proposals, signature requests and distribution orders do not say which job they belong to.
fn of_job(event: Event, body: &JsonFields<'_>) -> Event {
    match body.numeric_id("job_id") {
        Some(job) => event.inspection(job),
        None => event.orphan_reason("Hover does not say here which job it belongs to"),
    }
}

fn under_job(event: Event, body: &JsonFields<'_>) -> Event {
    match body.numeric_id("job_id") {
        Some(job) => of_job(event, body).parent(HOVER_JOB, job),
        None => of_job(event, body),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{EntityRef, FactGroup, StateClaim};
    use serde_json::json;

    fn reading(body: &serde_json::Value) -> ParsedDelivery {
        parse(&DeliveryBody { content_type: None, body: body.to_string().as_bytes() }).expect("an object")
    }

    fn told(body: &serde_json::Value) -> Vec<(EntityRef, StateClaim)> {
        reading(body).events.into_iter().map(|event| (event.entity, event.state_claim)).collect()
    }

    fn state(word: &str) -> StateClaim {
        StateClaim::Exact(word.to_owned())
    }

    fn names(details: &[(String, Box<serde_json::value::RawValue>)]) -> Vec<&str> {
        details.iter().map(|(name, _)| name.as_str()).collect()
    }

    #[test]
    fn the_customers_key_is_the_external_identifier_and_else_the_clients() {
        for (external, client, reference, kept) in [
            (json!("PO-1"), json!("uuid"), Some(("PO-1", 0)), vec!["job_client_identifier"]),
            (json!(" PO-1 "), json!(null), Some(("PO-1", 0)), vec![]),
            (json!(""), json!("uuid"), Some(("uuid", 1)), vec!["job_client_identifier", "job_external_identifier"]),
            (json!("  "), json!("uuid"), Some(("uuid", 1)), vec!["job_client_identifier", "job_external_identifier"]),
            (json!(null), json!("uuid"), Some(("uuid", 1)), vec!["job_client_identifier"]),
            (json!(null), json!(7), Some(("7", 1)), vec!["job_client_identifier"]),
            (json!(["PO-1"]), json!({}), None, vec!["job_client_identifier", "job_external_identifier"]),
        ] {
            for (event, id) in [
                ("job-state-changed", "job_id"),
                ("capture-request-state-changed", "capture_request_id"),
                ("model-state-changed", "model_id"),
                ("inspection-state-changed", "inspection_id"),
            ] {
                let body = json!({ "event": event, id: 7, "state": "complete", "job_external_identifier": external,
                    "job_client_identifier": client });
                let reading = reading(&body);
                let last = reading.events.last().expect("an event");
                let found = last.reference.as_ref().map(|reference| (reference.value.as_str(), reference.precedence));
                assert_eq!(found, reference, "{body}");
                let mut details = names(&last.details);
                details.retain(|name| name.starts_with("job_"));
                details.sort_unstable();
                assert_eq!(details, kept, "{body}");
            }
        }
    }

    #[test]
    fn events_are_known_in_other_spellings() {
        for event in ["Job-State-Changed", "job_state_changed", "JOB STATE CHANGED V2"] {
            assert_eq!(told(&json!({ "event": event, "job_id": 1, "state": "working" })).len(), 2, "{event}");
        }
        let body = json!({ "event": "capture_request_state_changed", "capture_request_id": 4, "job_id": 1,
            "state": "Completed" });
        let inspection = (EntityRef::new(EntityType::Inspection, "1"), state("capture request complete"));
        assert_eq!(told(&body), [inspection, (EntityRef::new(EntityType::Session, "4"), state("Completed"))]);
    }

    #[test]
    fn a_time_that_is_none_orders_nothing_and_is_kept() {
        let body = json!({ "event": "instant-design-image-created", "image_id": 7, "timestamp": "yesterday" });
        let reading = reading(&body);
        assert!(reading.occurred_at.at().is_none() && reading.occurred_at.raw_field().is_some());
        assert_eq!(names(&reading.events[0].details), ["timestamp"]);
    }

    #[test]
    fn a_job_is_an_inspection_too() {
        for event in ["job-state-changed", "job-state-changed-v2"] {
            let body = json!({
                "event": event, "webhook_id": 230293, "job_external_identifier": "order01239181", "job_id": 19402492,
                "state": "working", "content-available": 1, "job_estimated_hours_to_completion": 1.3902, "new": true,
            });
            let both = [EntityRef::new(EntityType::Inspection, "19402492"), EntityRef::new(HOVER_JOB, "19402492")];
            assert_eq!(told(&body), both.map(|about| (about, state("working"))));
            let [inspection, job] = &reading(&body).events[..] else { panic!("two events") };
            assert_eq!(inspection.reference.as_ref().map(|r| r.value.as_str()), Some("order01239181"));
            let hours = Summary { estimated_hours: Some(1.3902), ..Summary::default() };
            assert_eq!(inspection.facts, [FactGroup::Summary(hours)]);
            assert_eq!(job.inspection_external_id.as_deref(), Some("19402492"));
            assert_eq!(names(&job.details), ["content-available", "new", "webhook_id"]);
        }
    }

    #[test]
    fn a_capture_request_speaks_to_the_inspection_in_words_of_its_own() {
        let mut body = json!({
            "event": "capture-request-state-changed", "capture_request_id": 4290429, "state": "complete",
            "job_client_identifier": "test-client", "job_id": 19402492,
        });
        let inspection = (EntityRef::new(EntityType::Inspection, "19402492"), state("capture request complete"));
        let session = (EntityRef::new(EntityType::Session, "4290429"), state("complete"));
        assert_eq!(told(&body), [inspection, session.clone()]);
        assert_eq!(reading(&body).events[0].reference.as_ref().map(|r| r.value.as_str()), Some("test-client"));
        body["job_id"] = json!(null);
        assert_eq!(told(&body), [session]);
        assert!(reading(&body).events[0].orphan_reason.is_some());
    }

    #[test]
    fn what_names_no_job_is_an_orphan_until_it_does() {
        let mut body = json!({
            "event": "project-management-signature-request-state-changed", "state": "signed", "signed_at": 1598555054,
            "project_management_signature_request_id": "b37dfabb", "project_management_proposal_document_id": "ea253901",
        });
        let reading_before = reading(&body);
        let [request] = &reading_before.events[..] else { panic!("one event") };
        assert_eq!(request.parent, Some(EntityRef::new(PROPOSAL, "ea253901")));
        assert!(request.orphan_reason.is_some() && request.inspection_external_id.is_none());
        assert_eq!(reading_before.occurred_at.at().map(|at| at.timestamp()), Some(1_598_555_054));
        body["job_id"] = json!(19402492);
        let reading_after = reading(&body);
        let [request] = &reading_after.events[..] else { panic!("one event") };
        assert_eq!(request.parent, Some(EntityRef::new(PROPOSAL, "ea253901")));
        assert!(request.orphan_reason.is_none() && request.inspection_external_id.as_deref() == Some("19402492"));
    }

    #[test]
    fn an_update_of_an_estimate_tells_its_job() {
        let body = json!({
            "event": "estimation-estimate-group-updated", "estimation_estimate_group_id": "e101", "job_id": 1234,
        });
        assert_eq!(told(&body), [(EntityRef::new(ESTIMATE_GROUP, "e101"), StateClaim::AtLeast("complete"))]);
        assert_eq!(reading(&body).events[0].parent, Some(EntityRef::new(HOVER_JOB, "1234")));
    }

    #[test]
    fn the_verification_code_is_a_handshake() {
        let body = json!({"event": "webhook-verification-code", "webhook_id": 230293, "code": "03947FE2"});
        assert_eq!(reading(&body).no_effect, Some(NoEffect::Handshake { code: "03947FE2".to_owned() }));
    }

    #[test]
    fn what_is_unknown_or_lacks_its_id_says_so() {
        for body in [
            json!({}),
            json!({"event": "roof-painted", "job_id": 1}),
            json!({"event": "job-state-changed", "state": "working", "job_id": [1]}),
            json!({"event": "job-state-changed", "state": {}, "job_id": 1}),
            json!({"event": "model-state-changed", "model_id": 1}),
            json!({"event": "webhook-verification-code"}),
        ] {
            let reading = reading(&body);
            assert!(matches!(reading.no_effect, Some(NoEffect::Unrecognized(_))), "{body}");
            assert!(reading.events.is_empty(), "{body}");
        }
    }
}
