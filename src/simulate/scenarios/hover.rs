//! Hover: a capture request that becomes a job, its models, changes of the deliverable, the job's end, what is sold on
//! it, and for some jobs corrections or improvements that open it again. Some accounts still get the older job event.

use crate::simulate::scenario::{FieldPatch, HOUR, MINUTE, Scenario, TimestampFormat};
use uuid::Uuid;

pub fn plan(scenario: &mut Scenario) {
    capture_request(scenario, "hover/capture-request-state-changed-new.json");
    if scenario.chance(6) {
        scenario.wait(HOUR..=5 * HOUR);
        return capture_request(scenario, "hover/capture-request-state-changed-deleted.json");
    }
    let older = scenario.chance(65);
    let model = model_begins(scenario);
    if older {
        scenario.wait(1..=5);
        job(scenario, "hover/job-state-changed-uploading.json");
    }
    scenario.wait(10 * MINUTE..=6 * HOUR);
    capture_request(scenario, "hover/capture-request-state-changed-connected.json");
    if scenario.chance(30) {
        checklist(scenario);
    }
    if scenario.chance(7) {
        scenario.wait(10 * MINUTE..=2 * HOUR);
        let sample =
            if older { "hover/job-state-changed-cancelled.json" } else { "hover/job-state-changed-v2-cancelled.json" };
        return job(scenario, sample);
    }
    scenario.wait(10 * MINUTE..=HOUR);
    capture_request(scenario, "hover/capture-request-state-changed-complete.json");
    if older { legacy_job(scenario, model) } else { v2_job(scenario, model) }
}

fn legacy_job(scenario: &mut Scenario, model: u64) {
    scenario.wait(5..=MINUTE);
    job(scenario, "hover/job-state-changed-processing-upload.json");
    if scenario.chance(15) {
        scenario.wait(MINUTE..=20 * MINUTE);
        let held_up = ["hover/job-state-changed-waitlisted.json", "hover/job-state-changed-waiting-approval.json"];
        let sample = scenario.one_of(&held_up);
        job(scenario, sample);
        scenario.wait(10 * MINUTE..=2 * HOUR);
    }
    let changed = scenario.chance(20);
    pipeline(scenario, "hover/job-state-changed-submitting.json");
    let change = changed.then(|| deliverable_change(scenario));
    if scenario.chance(8) {
        scenario.wait(5 * MINUTE..=30 * MINUTE);
        job(scenario, "hover/job-state-changed-failed.json");
        if scenario.chance(40) {
            return;
        }
        improvements(scenario);
    }
    finish(scenario, model);
    if let Some(change) = change {
        second_attempt(scenario, change);
    }
    sales(scenario);
    if scenario.chance(15) {
        scenario.wait(30 * MINUTE..=3 * HOUR);
        job(scenario, "hover/job-state-changed-requesting-corrections.json");
        // The models of a reopened job are made anew.
        let model = model_begins(scenario);
        pipeline(scenario, "hover/job-state-changed-submitting.json");
        finish(scenario, model);
    }
}

// Of the newer event only two states and the ends are known.
fn v2_job(scenario: &mut Scenario, model: u64) {
    scenario.wait(20..=2 * MINUTE);
    job(scenario, "hover/job-state-changed-v2-processing.json");
    let change = scenario.chance(20).then(|| deliverable_change(scenario));
    scenario.wait(HOUR..=5 * HOUR);
    if scenario.chance(8) {
        model_ends(scenario, "hover/model-state-changed-failed.json", model);
        scenario.wait(1..=20);
        return job(scenario, "hover/job-state-changed-v2-failed.json");
    }
    model_ends(scenario, "hover/model-state-changed-complete.json", model);
    scenario.wait(5..=MINUTE);
    job(scenario, "hover/job-state-changed-v2-completed.json");
    if let Some(change) = change {
        second_attempt(scenario, change);
    }
    sales(scenario);
}

fn pipeline(scenario: &mut Scenario, first: &'static str) {
    scenario.wait(20..=2 * MINUTE);
    job(scenario, first);
    scenario.wait(20..=5 * MINUTE);
    job(scenario, "hover/job-state-changed-working.json");
}

fn improvements(scenario: &mut Scenario) {
    scenario.wait(10 * MINUTE..=2 * HOUR);
    job(scenario, "hover/job-state-changed-processing-upload-for-improvements.json");
    scenario.wait(20..=2 * MINUTE);
    job(scenario, "hover/job-state-changed-requesting-improvements.json");
    pipeline(scenario, "hover/job-state-changed-submitting.json");
}

fn finish(scenario: &mut Scenario, model: u64) {
    scenario.wait(HOUR..=5 * HOUR);
    job(scenario, "hover/job-state-changed-retrieving.json");
    scenario.wait(5..=60);
    model_ends(scenario, "hover/model-state-changed-complete.json", model);
    for sample in [
        "hover/job-state-changed-processing.json",
        "hover/job-state-changed-paying.json",
        "hover/job-state-changed-complete.json",
    ] {
        scenario.wait(5..=90);
        job(scenario, sample);
    }
}

fn deliverable_change(scenario: &mut Scenario) -> u64 {
    let change = scenario.child_id();
    for sample in [
        "hover/deliverable-change-request-state-changed-first-attempt.json",
        "hover/deliverable-change-request-state-changed-waiting-for-job-to-finish.json",
    ] {
        scenario.wait(MINUTE..=5 * MINUTE);
        send_job_event(scenario, sample, vec![("/deliverable_change_request_id", change.into())]);
    }
    change
}

fn second_attempt(scenario: &mut Scenario, change: u64) {
    let end = if scenario.chance(80) {
        "hover/deliverable-change-request-state-changed-complete.json"
    } else {
        "hover/deliverable-change-request-state-changed-failed.json"
    };
    for sample in ["hover/deliverable-change-request-state-changed-second-attempt.json", end] {
        scenario.wait(20..=5 * MINUTE);
        send_job_event(scenario, sample, vec![("/deliverable_change_request_id", change.into())]);
    }
}

fn checklist(scenario: &mut Scenario) {
    let id = scenario.child_id();
    for sample in ["hover/inspection-checklist-created.json", "hover/inspection-checklist-updated.json"] {
        scenario.wait(20..=5 * MINUTE);
        send_job_event(scenario, sample, vec![("/inspection_checklist_id", id.into())]);
    }
    if scenario.chance(50) {
        scenario.wait(20..=5 * MINUTE);
        let set = vec![("/inspection_id", id.into()), reference(scenario)];
        send_job_event(scenario, "hover/inspection-state-changed.json", set);
    }
}

// What is made of a finished job; several of these events do not say which job they belong to.
fn sales(scenario: &mut Scenario) {
    if scenario.chance(40) {
        let group = scenario.uuid();
        scenario.wait(10 * MINUTE..=HOUR);
        scenario.emit(
            "hover/estimation-estimate-group-state-changed.json",
            [("/estimation_estimate_group_id", group.into())],
        );
        scenario.wait(10..=MINUTE);
        send_job_event(
            scenario,
            "hover/estimation-estimate-group-updated.json",
            vec![("/estimation_estimate_group_id", group.into())],
        );
    }
    if scenario.chance(25) {
        materials(scenario);
    }
    if scenario.chance(25) {
        proposal(scenario);
    }
    if scenario.chance(10) {
        design(scenario);
    }
}

fn materials(scenario: &mut Scenario) {
    const LIST: &str = "/project_management_production_list_id";
    let list = scenario.child_id();
    let opportunity = scenario.child_id();
    for sample in [
        "hover/project-management-production-list-created.json",
        "hover/project-management-production-list-updated.json",
    ] {
        scenario.wait(2 * MINUTE..=30 * MINUTE);
        send_job_event(scenario, sample, vec![(LIST, list.into()), ("/sales_opportunity_id", opportunity.into())]);
    }
    scenario.wait(MINUTE..=10 * MINUTE);
    send_job_event(scenario, "hover/project-management-production-list-manual-sync.json", vec![(LIST, list.into())]);
    scenario.wait(MINUTE..=10 * MINUTE);
    let order = vec![(LIST, list.into()), ("/project_management_order_document_id", scenario.uuid().into())];
    send_job_event(scenario, "hover/project-management-order-document-state-changed.json", order);
    if scenario.chance(50) {
        scenario.wait(MINUTE..=10 * MINUTE);
        let order = scenario.uuid().into();
        scenario.emit("hover/distribution-order-state-changed.json", [("/distribution_order_id", order)]);
    }
}

fn proposal(scenario: &mut Scenario) {
    const PROPOSAL: &str = "/project_management_proposal_document_id";
    let (proposal, request): (Uuid, Uuid) = (scenario.uuid(), scenario.uuid());
    scenario.wait(5 * MINUTE..=HOUR);
    scenario.emit("hover/project-management-proposal-document-state-changed.json", [(PROPOSAL, proposal.into())]);
    scenario.wait(20 * MINUTE..=3 * HOUR);
    let signed_at = scenario.now();
    for sample in [
        "hover/project-management-signature-request-state-changed-signed.json",
        "hover/project-management-signature-request-state-changed-complete.json",
    ] {
        let set = [
            (PROPOSAL, proposal.into()),
            ("/project_management_signature_request_id", request.into()),
            ("/signed_at", TimestampFormat::Epoch.patch(signed_at)),
        ];
        scenario.emit(sample, set);
        scenario.wait(2..=20);
    }
}

fn design(scenario: &mut Scenario) {
    let (lead, image) = (scenario.child_id(), scenario.child_id());
    let project = scenario.id();
    let set = |scenario: &Scenario| {
        let at = TimestampFormat::Millis.patch(scenario.now());
        vec![("/lead_id", lead.into()), ("/project_id", project.into()), ("/timestamp", at)]
    };
    scenario.wait(MINUTE..=HOUR);
    let form = set(scenario);
    send_job_event(scenario, "hover/instant-design-lead-form-submitted.json", form);
    scenario.wait(MINUTE..=20 * MINUTE);
    let mut picture = set(scenario);
    picture.push(("/image_id", image.into()));
    send_job_event(scenario, "hover/instant-design-image-created.json", picture);
}

fn model_begins(scenario: &mut Scenario) -> u64 {
    let model = scenario.child_id();
    scenario.wait(1..=5);
    send_job_event(scenario, "hover/model-created.json", vec![("/model_id", model.into()), reference(scenario)]);
    model
}

fn model_ends(scenario: &mut Scenario, sample: &'static str, model: u64) {
    let set = vec![("/model_id", model.into()), reference(scenario)];
    send_job_event(scenario, sample, set);
}

fn capture_request(scenario: &mut Scenario, sample: &'static str) {
    let client = format!("client-{}", scenario.id());
    let request = scenario.id();
    let set =
        vec![("/capture_request_id", request.into()), ("/job_client_identifier", client.into()), reference(scenario)];
    send_job_event(scenario, sample, set);
}

fn job(scenario: &mut Scenario, sample: &'static str) {
    let reference = reference(scenario);
    send_job_event(scenario, sample, vec![reference]);
}

fn send_job_event(scenario: &mut Scenario, sample: &'static str, mut set: Vec<(&'static str, FieldPatch)>) {
    set.push(("/job_id", scenario.id().into()));
    scenario.emit(sample, set);
}

fn reference(scenario: &Scenario) -> (&'static str, FieldPatch) {
    ("/job_external_identifier", format!("order{}", scenario.id()).into())
}
