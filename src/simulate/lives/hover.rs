//! Hover: a capture request that becomes a job, its models, changes of the deliverable, the job's end, what is sold on
//! it, and for some jobs corrections or improvements that open it again. Some accounts still get the older job event.

use crate::simulate::life::{HOUR, Life, MINUTE, Set, Spelling};
use uuid::Uuid;

pub fn live(life: &mut Life) {
    capture_request(life, "hover/capture-request-state-changed-new.json");
    if life.happens(6) {
        life.wait(HOUR..=5 * HOUR);
        return capture_request(life, "hover/capture-request-state-changed-deleted.json");
    }
    let older = life.happens(65);
    let model = model_begins(life);
    if older {
        life.wait(1..=5);
        job(life, "hover/job-state-changed-uploading.json");
    }
    life.wait(10 * MINUTE..=6 * HOUR);
    capture_request(life, "hover/capture-request-state-changed-connected.json");
    if life.happens(30) {
        checklist(life);
    }
    if life.happens(7) {
        life.wait(10 * MINUTE..=2 * HOUR);
        let sample =
            if older { "hover/job-state-changed-cancelled.json" } else { "hover/job-state-changed-v2-cancelled.json" };
        return job(life, sample);
    }
    life.wait(10 * MINUTE..=HOUR);
    capture_request(life, "hover/capture-request-state-changed-complete.json");
    if older { older_job(life, model) } else { newer_job(life, model) }
}

fn older_job(life: &mut Life, model: u64) {
    life.wait(5..=MINUTE);
    job(life, "hover/job-state-changed-processing-upload.json");
    if life.happens(15) {
        life.wait(MINUTE..=20 * MINUTE);
        let held_up = ["hover/job-state-changed-waitlisted.json", "hover/job-state-changed-waiting-approval.json"];
        let sample = life.one_of(&held_up);
        job(life, sample);
        life.wait(10 * MINUTE..=2 * HOUR);
    }
    let changed = life.happens(20);
    pipeline(life, "hover/job-state-changed-submitting.json");
    let change = changed.then(|| deliverable_change(life));
    if life.happens(8) {
        life.wait(5 * MINUTE..=30 * MINUTE);
        job(life, "hover/job-state-changed-failed.json");
        if life.happens(40) {
            return;
        }
        improvements(life);
    }
    finish(life, model);
    if let Some(change) = change {
        second_attempt(life, change);
    }
    sales(life);
    if life.happens(15) {
        life.wait(30 * MINUTE..=3 * HOUR);
        job(life, "hover/job-state-changed-requesting-corrections.json");
        // The models of a reopened job are made anew.
        let model = model_begins(life);
        pipeline(life, "hover/job-state-changed-submitting.json");
        finish(life, model);
    }
}

// Of the newer event only two states and the ends are known.
fn newer_job(life: &mut Life, model: u64) {
    life.wait(20..=2 * MINUTE);
    job(life, "hover/job-state-changed-v2-processing.json");
    let change = life.happens(20).then(|| deliverable_change(life));
    life.wait(HOUR..=5 * HOUR);
    if life.happens(8) {
        model_ends(life, "hover/model-state-changed-failed.json", model);
        life.wait(1..=20);
        return job(life, "hover/job-state-changed-v2-failed.json");
    }
    model_ends(life, "hover/model-state-changed-complete.json", model);
    life.wait(5..=MINUTE);
    job(life, "hover/job-state-changed-v2-completed.json");
    if let Some(change) = change {
        second_attempt(life, change);
    }
    sales(life);
}

fn pipeline(life: &mut Life, first: &'static str) {
    life.wait(20..=2 * MINUTE);
    job(life, first);
    life.wait(20..=5 * MINUTE);
    job(life, "hover/job-state-changed-working.json");
}

fn improvements(life: &mut Life) {
    life.wait(10 * MINUTE..=2 * HOUR);
    job(life, "hover/job-state-changed-processing-upload-for-improvements.json");
    life.wait(20..=2 * MINUTE);
    job(life, "hover/job-state-changed-requesting-improvements.json");
    pipeline(life, "hover/job-state-changed-submitting.json");
}

fn finish(life: &mut Life, model: u64) {
    life.wait(HOUR..=5 * HOUR);
    job(life, "hover/job-state-changed-retrieving.json");
    life.wait(5..=60);
    model_ends(life, "hover/model-state-changed-complete.json", model);
    for sample in [
        "hover/job-state-changed-processing.json",
        "hover/job-state-changed-paying.json",
        "hover/job-state-changed-complete.json",
    ] {
        life.wait(5..=90);
        job(life, sample);
    }
}

fn deliverable_change(life: &mut Life) -> u64 {
    let change = life.child_id();
    for sample in [
        "hover/deliverable-change-request-state-changed-first-attempt.json",
        "hover/deliverable-change-request-state-changed-waiting-for-job-to-finish.json",
    ] {
        life.wait(MINUTE..=5 * MINUTE);
        of_job(life, sample, vec![("/deliverable_change_request_id", change.into())]);
    }
    change
}

fn second_attempt(life: &mut Life, change: u64) {
    let end = if life.happens(80) {
        "hover/deliverable-change-request-state-changed-complete.json"
    } else {
        "hover/deliverable-change-request-state-changed-failed.json"
    };
    for sample in ["hover/deliverable-change-request-state-changed-second-attempt.json", end] {
        life.wait(20..=5 * MINUTE);
        of_job(life, sample, vec![("/deliverable_change_request_id", change.into())]);
    }
}

fn checklist(life: &mut Life) {
    let id = life.child_id();
    for sample in ["hover/inspection-checklist-created.json", "hover/inspection-checklist-updated.json"] {
        life.wait(20..=5 * MINUTE);
        of_job(life, sample, vec![("/inspection_checklist_id", id.into())]);
    }
    if life.happens(50) {
        life.wait(20..=5 * MINUTE);
        let set = vec![("/inspection_id", id.into()), reference(life)];
        of_job(life, "hover/inspection-state-changed.json", set);
    }
}

// What is made of a finished job; several of these events do not say which job they belong to.
fn sales(life: &mut Life) {
    if life.happens(40) {
        let group = life.uuid();
        life.wait(10 * MINUTE..=HOUR);
        life.say(
            "hover/estimation-estimate-group-state-changed.json",
            [("/estimation_estimate_group_id", group.into())],
        );
        life.wait(10..=MINUTE);
        of_job(
            life,
            "hover/estimation-estimate-group-updated.json",
            vec![("/estimation_estimate_group_id", group.into())],
        );
    }
    if life.happens(25) {
        materials(life);
    }
    if life.happens(25) {
        proposal(life);
    }
    if life.happens(10) {
        design(life);
    }
}

fn materials(life: &mut Life) {
    const LIST: &str = "/project_management_production_list_id";
    let list = life.child_id();
    let opportunity = life.child_id();
    for sample in [
        "hover/project-management-production-list-created.json",
        "hover/project-management-production-list-updated.json",
    ] {
        life.wait(2 * MINUTE..=30 * MINUTE);
        of_job(life, sample, vec![(LIST, list.into()), ("/sales_opportunity_id", opportunity.into())]);
    }
    life.wait(MINUTE..=10 * MINUTE);
    of_job(life, "hover/project-management-production-list-manual-sync.json", vec![(LIST, list.into())]);
    life.wait(MINUTE..=10 * MINUTE);
    let order = vec![(LIST, list.into()), ("/project_management_order_document_id", life.uuid().into())];
    of_job(life, "hover/project-management-order-document-state-changed.json", order);
    if life.happens(50) {
        life.wait(MINUTE..=10 * MINUTE);
        let order = life.uuid().into();
        life.say("hover/distribution-order-state-changed.json", [("/distribution_order_id", order)]);
    }
}

fn proposal(life: &mut Life) {
    const PROPOSAL: &str = "/project_management_proposal_document_id";
    let (proposal, request): (Uuid, Uuid) = (life.uuid(), life.uuid());
    life.wait(5 * MINUTE..=HOUR);
    life.say("hover/project-management-proposal-document-state-changed.json", [(PROPOSAL, proposal.into())]);
    life.wait(20 * MINUTE..=3 * HOUR);
    let signed_at = life.now();
    for sample in [
        "hover/project-management-signature-request-state-changed-signed.json",
        "hover/project-management-signature-request-state-changed-complete.json",
    ] {
        let set = [
            (PROPOSAL, proposal.into()),
            ("/project_management_signature_request_id", request.into()),
            ("/signed_at", Spelling::Epoch.of(signed_at)),
        ];
        life.say(sample, set);
        life.wait(2..=20);
    }
}

fn design(life: &mut Life) {
    let (lead, image) = (life.child_id(), life.child_id());
    let project = life.id();
    let set = |life: &Life| {
        let at = Spelling::Millis.of(life.now());
        vec![("/lead_id", lead.into()), ("/project_id", project.into()), ("/timestamp", at)]
    };
    life.wait(MINUTE..=HOUR);
    let form = set(life);
    of_job(life, "hover/instant-design-lead-form-submitted.json", form);
    life.wait(MINUTE..=20 * MINUTE);
    let mut picture = set(life);
    picture.push(("/image_id", image.into()));
    of_job(life, "hover/instant-design-image-created.json", picture);
}

fn model_begins(life: &mut Life) -> u64 {
    let model = life.child_id();
    life.wait(1..=5);
    of_job(life, "hover/model-created.json", vec![("/model_id", model.into()), reference(life)]);
    model
}

fn model_ends(life: &mut Life, sample: &'static str, model: u64) {
    let set = vec![("/model_id", model.into()), reference(life)];
    of_job(life, sample, set);
}

fn capture_request(life: &mut Life, sample: &'static str) {
    let client = format!("client-{}", life.id());
    let request = life.id();
    let set = vec![("/capture_request_id", request.into()), ("/job_client_identifier", client.into()), reference(life)];
    of_job(life, sample, set);
}

fn job(life: &mut Life, sample: &'static str) {
    let reference = reference(life);
    of_job(life, sample, vec![reference]);
}

fn of_job(life: &mut Life, sample: &'static str, mut set: Vec<(&'static str, Set)>) {
    set.push(("/job_id", life.id().into()));
    life.say(sample, set);
}

fn reference(life: &Life) -> (&'static str, Set) {
    ("/job_external_identifier", format!("order{}", life.id()).into())
}
