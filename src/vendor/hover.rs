//! Hover: 3D models and measurements of buildings from pictures. Its events are flat, contain few fields and, with three
//! exceptions, no time, so they are ordered by cycle and rank. Two generations exist side by side:
//! `job-state-changed` (`complete`) and `job-state-changed-v2` (`completed`). Signed, see [`signature`].
//!
//! Pages: <https://developers.hover.to/docs/hovers-available-webhooks> and `…/leveraging-hovers-webhooks`.

mod machines;
mod signature;

use super::fields::JsonFields;
use super::{DeliveryBody, Unreadable, Vendor, canonical_names, read_reference};
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

/// The fields that may contain the customer's own key for the job; the first one with a value is the reference.
const REFERENCE_PATHS: [&str; 2] = ["job_external_identifier", "job_client_identifier"];

/// Why an event is not recognized: the field that it lacks.
type HoverParseError = String;
type HoverEventParser = fn(&JsonFields<'_>) -> Result<Vec<Event>, HoverParseError>;

const VERIFICATION_CODE: &str = "webhook-verification-code";
const PROPOSAL_ID: &str = "project_management_proposal_document_id";
const PRODUCTION_LIST_ID: &str = "project_management_production_list_id";
const ESTIMATE_GROUP_ID: &str = "estimation_estimate_group_id";

const EVENTS: &[(&str, HoverEventParser)] = &[
    ("job-state-changed", job),
    ("job-state-changed-v2", job),
    ("capture-request-state-changed", capture_request),
    ("model-created", |body| model(body, "created".to_owned())),
    ("model-state-changed", |body| model(body, text(body, "state")?)),
    ("inspection-checklist-created", |body| part(body, CHECKLIST, "inspection_checklist_id", "created")),
    ("inspection-checklist-updated", |body| part(body, CHECKLIST, "inspection_checklist_id", "updated")),
    ("inspection-state-changed", inspection),
    ("deliverable-change-request-state-changed", |body| {
        part(body, DELIVERABLE_CHANGE, "deliverable_change_request_id", text(body, "state")?)
    }),
    ("estimation-estimate-group-state-changed", |body| {
        part(body, ESTIMATE_GROUP, ESTIMATE_GROUP_ID, text(body, "state")?)
    }),
    ("estimation-estimate-group-updated", estimate_group_updated),
    ("project-management-production-list-created", |body| part(body, PRODUCTION_LIST, PRODUCTION_LIST_ID, "created")),
    ("project-management-production-list-updated", |body| part(body, PRODUCTION_LIST, PRODUCTION_LIST_ID, "updated")),
    ("project-management-production-list-manual-sync", |body| {
        part(body, PRODUCTION_LIST, PRODUCTION_LIST_ID, "manual-sync")
    }),
    ("project-management-proposal-document-state-changed", proposal),
    ("project-management-signature-request-state-changed", signature_request),
    ("project-management-order-document-state-changed", order),
    ("distribution-order-state-changed", |body| {
        part(body, DISTRIBUTION_ORDER, "distribution_order_id", text(body, "state")?)
    }),
    ("instant-design-image-created", design_image),
    ("instant-design-lead-form-submitted", lead_form),
];

fn parse(delivery: &DeliveryBody<'_>) -> Result<ParsedDelivery, Unreadable> {
    let body = JsonFields::parse_body(delivery.body)?;
    let Some(event) = body.text("event") else {
        return Ok(ParsedDelivery::unrecognized(String::new(), "it names no event"));
    };
    let names = EVENTS.iter().map(|(name, _)| *name).chain([VERIFICATION_CODE]);
    let name = canonical_names::canonical_name(&event, names);
    if name == Some(VERIFICATION_CODE) {
        return Ok(verification_code(event, &body));
    }
    let events = match EVENTS.iter().find(|(known, _)| Some(*known) == name) {
        Some((_, read)) => read(&body),
        None => Err("no such event is known".to_owned()),
    };
    Ok(match events {
        Ok(events) => {
            let occurred_at = events.iter().find(|event| event.occurred_at.raw_field.is_some());
            let occurred_at = occurred_at.map(|event| event.occurred_at.clone()).unwrap_or_default();
            ParsedDelivery { event, occurred_at, events, ..ParsedDelivery::default() }
        }
        Err(why) => ParsedDelivery::unrecognized(event, &why),
    })
}

fn verification_code(event: String, body: &JsonFields<'_>) -> ParsedDelivery {
    match body.id("code") {
        Some(code) => {
            ParsedDelivery { event, no_effect: Some(NoEffect::Handshake { code }), ..ParsedDelivery::default() }
        }
        None => ParsedDelivery::unrecognized(event, "it has no code"),
    }
}

// The job is the inspection, too: one id, two entities.
fn job(body: &JsonFields<'_>) -> Result<Vec<Event>, HoverParseError> {
    let job = number(body, "job_id")?;
    let state = text(body, "state")?;
    let reference = reference(body);
    Ok(vec![
        Event::new(EntityType::Inspection, &job).state(&state).reference(reference.clone()).fact(estimate(body)),
        Event::new(HOVER_JOB, &job).inspection(&job).state(state).reference(reference).details(body.unread_details()),
    ])
}

fn capture_request(body: &JsonFields<'_>) -> Result<Vec<Event>, HoverParseError> {
    let id = number(body, "capture_request_id")?;
    let state = text(body, "state")?;
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

// The state of a job is independent of the states of its models, says Hover: a model may fail and the job be completed.
fn model(body: &JsonFields<'_>, state: String) -> Result<Vec<Event>, HoverParseError> {
    let id = number(body, "model_id")?;
    let model = under_job(Event::new(MODEL, &id), body).state(state).reference(reference(body));
    Ok(vec![model.fact(Model { model_id: Some(id) }).details(body.unread_details())])
}

// What belongs to a job and has a state, and nothing else.
fn part(
    body: &JsonFields<'_>,
    entity_type: EntityType,
    id: &str,
    state: impl Into<String>,
) -> Result<Vec<Event>, HoverParseError> {
    let part = under_job(Event::new(entity_type, number(body, id)?), body);
    Ok(vec![part.state(state).details(body.unread_details())])
}

// What Hover calls an inspection is a checklist that is filled in for a job. No page says whether its id is the
// checklist's, or lists its states: the two stay separate entities, and the state stays among the details.
fn inspection(body: &JsonFields<'_>) -> Result<Vec<Event>, HoverParseError> {
    let id = number(body, "inspection_id")?;
    let checklist = under_job(Event::new(CHECKLIST, format!("inspection/{id}")), body);
    Ok(vec![checklist.reference(reference(body)).details(body.unread_details())])
}

fn estimate_group_updated(body: &JsonFields<'_>) -> Result<Vec<Event>, HoverParseError> {
    let group = under_job(Event::new(ESTIMATE_GROUP, number(body, ESTIMATE_GROUP_ID)?), body);
    Ok(vec![group.at_least("complete").details(body.unread_details())])
}

fn proposal(body: &JsonFields<'_>) -> Result<Vec<Event>, HoverParseError> {
    let id = body.id(PROPOSAL_ID).ok_or_else(|| missing(PROPOSAL_ID))?;
    Ok(vec![under_job(Event::new(PROPOSAL, id), body).state(text(body, "state")?).details(body.unread_details())])
}

fn signature_request(body: &JsonFields<'_>) -> Result<Vec<Event>, HoverParseError> {
    let id = number(body, "project_management_signature_request_id")?;
    let signed_at = body.vendor_time("signed_at");
    let request = Event::new(SIGNATURE_REQUEST, id).state(text(body, "state")?).occurred_at(&signed_at);
    let request = under(request, body, PROPOSAL, body.id(PROPOSAL_ID));
    Ok(vec![request.fact(Signing { signed_at: signed_at.at }).details(body.unread_details())])
}

fn order(body: &JsonFields<'_>) -> Result<Vec<Event>, HoverParseError> {
    let order = Event::new(ORDER, number(body, "project_management_order_document_id")?).state(text(body, "state")?);
    let order = under(order, body, PRODUCTION_LIST, body.numeric_id(PRODUCTION_LIST_ID));
    Ok(vec![order.details(body.unread_details())])
}

fn design_image(body: &JsonFields<'_>) -> Result<Vec<Event>, HoverParseError> {
    let at = body.vendor_time("timestamp");
    let photo = Event::new(EntityType::Item(ItemKind::Photo), number(body, "image_id")?).occurred_at(&at);
    let photo = under_job(photo, body).fact(Photo { taken_at: at.at, ..Photo::default() });
    Ok(vec![photo.fact(lead(body)).details(body.unread_details())])
}

fn lead_form(body: &JsonFields<'_>) -> Result<Vec<Event>, HoverParseError> {
    let item = Event::new(EntityType::Item(ItemKind::Lead), number(body, "lead_id")?);
    let item = under_job(item, body).occurred_at(body.vendor_time("timestamp"));
    Ok(vec![item.fact(lead(body)).details(body.unread_details())])
}

fn number(body: &JsonFields<'_>, name: &str) -> Result<String, HoverParseError> {
    body.numeric_id(name).ok_or_else(|| missing(name))
}

fn text(body: &JsonFields<'_>, name: &str) -> Result<String, HoverParseError> {
    body.text(name).ok_or_else(|| missing(name))
}

fn missing(name: &str) -> HoverParseError {
    format!("it names no {name}")
}

fn reference(body: &JsonFields<'_>) -> Option<Reference> {
    read_reference(&[body], &REFERENCE_PATHS)
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

// Estimate groups, proposals, signature requests and distribution orders do not name the job they belong to.
fn of_job(event: Event, body: &JsonFields<'_>) -> Event {
    match body.numeric_id("job_id") {
        Some(job) => event.inspection(job),
        None => event.orphan_reason("Hover does not say here which job it belongs to"),
    }
}

fn under_job(event: Event, body: &JsonFields<'_>) -> Event {
    of_job(event, body).parent_if_known(HOVER_JOB, body.numeric_id("job_id"))
}

// Under this parent; under the job where the parent is not named.
fn under(event: Event, body: &JsonFields<'_>, parent: EntityType, id: Option<String>) -> Event {
    match id {
        Some(id) => of_job(event, body).parent(parent, id),
        None => under_job(event, body),
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

    fn claims(body: &serde_json::Value) -> Vec<(EntityRef, StateClaim)> {
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
        for (external, client, reference, unread) in [
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
                assert_eq!(details, unread, "{body}");
            }
        }
    }

    #[test]
    fn events_are_known_in_other_spellings() {
        for event in ["Job-State-Changed", "job_state_changed", "JOB STATE CHANGED V2"] {
            assert_eq!(claims(&json!({ "event": event, "job_id": 1, "state": "working" })).len(), 2, "{event}");
        }
        let body = json!({ "event": "capture_request_state_changed", "capture_request_id": 4, "job_id": 1,
            "state": "Completed" });
        let inspection = (EntityRef::new(EntityType::Inspection, "1"), state("capture request complete"));
        assert_eq!(claims(&body), [inspection, (EntityRef::new(EntityType::Session, "4"), state("Completed"))]);
    }

    #[test]
    fn an_invalid_time_orders_nothing_and_stays_among_the_details() {
        let body = json!({ "event": "instant-design-image-created", "image_id": 7, "timestamp": "yesterday" });
        let reading = reading(&body);
        assert!(reading.occurred_at.at.is_none() && reading.occurred_at.raw_field.is_some());
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
            assert_eq!(claims(&body), both.map(|about| (about, state("working"))));
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
        assert_eq!(claims(&body), [inspection, session.clone()]);
        assert_eq!(reading(&body).events[0].reference.as_ref().map(|r| r.value.as_str()), Some("test-client"));
        body["job_id"] = json!(null);
        assert_eq!(claims(&body), [session]);
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
        assert_eq!(reading_before.occurred_at.at.map(|at| at.timestamp()), Some(1_598_555_054));
        body["job_id"] = json!(19402492);
        let reading_after = reading(&body);
        let [request] = &reading_after.events[..] else { panic!("one event") };
        assert_eq!(request.parent, Some(EntityRef::new(PROPOSAL, "ea253901")));
        assert!(request.orphan_reason.is_none() && request.inspection_external_id.as_deref() == Some("19402492"));
    }

    #[test]
    fn an_update_of_an_estimate_names_its_job() {
        let body = json!({
            "event": "estimation-estimate-group-updated", "estimation_estimate_group_id": "e101", "job_id": 1234,
        });
        assert_eq!(claims(&body), [(EntityRef::new(ESTIMATE_GROUP, "e101"), StateClaim::AtLeast("complete"))]);
        assert_eq!(reading(&body).events[0].parent, Some(EntityRef::new(HOVER_JOB, "1234")));
    }

    #[test]
    fn the_verification_code_is_a_handshake() {
        let body = json!({"event": "webhook-verification-code", "webhook_id": 230293, "code": "03947FE2"});
        assert_eq!(reading(&body).no_effect, Some(NoEffect::Handshake { code: "03947FE2".to_owned() }));
    }

    #[test]
    fn what_is_unknown_or_lacks_its_id_is_unrecognized() {
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
