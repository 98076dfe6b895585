//! Hover: a capture request that becomes a job, its models, changes of the deliverable, the job's end, what is sold on
//! it, and for some jobs corrections or improvements that reopen it. Some accounts still get the older job event.

use crate::simulate::script::ScriptStep::{After, Either, End, IfSet, Run, Send, Set, Time, Wait};
use crate::simulate::script::{HOUR, MINUTE, ScriptStep, VendorScenario, chance};

pub const SCENARIO: VendorScenario = VendorScenario {
    vendor: "hover",
    weight: 8,
    script: SCRIPT,
    fields: &[(
        "",
        &[
            ("/job_id", "{id}"),
            ("/job_external_identifier", "order{id}"),
            ("/job_client_identifier", "client-{id}"),
            ("/capture_request_id", "{id}"),
            ("/model_id", "{model}"),
            ("/deliverable_change_request_id", "{change}"),
            ("/inspection_checklist_id", "{checklist}"),
            ("/inspection_id", "{checklist}"),
            ("/estimation_estimate_group_id", "{estimate_group}"),
            ("/project_management_production_list_id", "{production_list}"),
            ("/sales_opportunity_id", "{opportunity}"),
            ("/project_management_order_document_id", "{uuid}"),
            ("/distribution_order_id", "{uuid}"),
            ("/project_management_proposal_document_id", "{proposal}"),
            ("/project_management_signature_request_id", "{request}"),
            ("/signed_at", "{signed_at}"),
            ("/project_id", "{id}"),
            ("/lead_id", "{lead}"),
            ("/image_id", "{new}"),
            ("/timestamp", "{now}"),
        ],
    )],
};

const SCRIPT: &[ScriptStep] = &[
    Send("capture-request-state-changed-new"),
    chance(6, &[After(HOUR, 5 * HOUR, "capture-request-state-changed-deleted"), End]),
    MODEL_CREATED,
    Either(65, LEGACY_JOB, V2_JOB),
];

const LEGACY_JOB: &[ScriptStep] = &[
    After(1, 5, "job-state-changed-uploading"),
    CONNECTED,
    chance(7, &[After(10 * MINUTE, 2 * HOUR, "job-state-changed-cancelled"), End]),
    After(10 * MINUTE, HOUR, "capture-request-state-changed-complete"),
    After(5, MINUTE, "job-state-changed-processing-upload"),
    chance(15, HELD_UP),
    PIPELINE,
    chance(20, DELIVERABLE_CHANGE),
    chance(8, &[After(5 * MINUTE, 30 * MINUTE, "job-state-changed-failed"), chance(40, &[End]), IMPROVEMENTS]),
    FINISH,
    IfSet("change", SECOND_ATTEMPT),
    SALES,
    chance(
        15,
        &[
            After(30 * MINUTE, 3 * HOUR, "job-state-changed-requesting-corrections"),
            // A reopened job gets new models.
            MODEL_CREATED,
            PIPELINE,
            FINISH,
        ],
    ),
];

// Of the newer event only two states and the final ones are known.
const V2_JOB: &[ScriptStep] = &[
    CONNECTED,
    chance(7, &[After(10 * MINUTE, 2 * HOUR, "job-state-changed-v2-cancelled"), End]),
    After(10 * MINUTE, HOUR, "capture-request-state-changed-complete"),
    After(20, 2 * MINUTE, "job-state-changed-v2-processing"),
    chance(20, DELIVERABLE_CHANGE),
    Wait(HOUR, 5 * HOUR),
    chance(8, &[Send("model-state-changed-failed"), After(1, 20, "job-state-changed-v2-failed"), End]),
    Send("model-state-changed-complete"),
    After(5, MINUTE, "job-state-changed-v2-completed"),
    IfSet("change", SECOND_ATTEMPT),
    SALES,
];

const MODEL_CREATED: ScriptStep = Run(&[Set("model", "{new}"), After(1, 5, "model-created")]);

const CONNECTED: ScriptStep =
    Run(&[After(10 * MINUTE, 6 * HOUR, "capture-request-state-changed-connected"), chance(30, CHECKLIST)]);

const CHECKLIST: &[ScriptStep] = &[
    Set("checklist", "{new}"),
    After(20, 5 * MINUTE, "inspection-checklist-created"),
    After(20, 5 * MINUTE, "inspection-checklist-updated"),
    chance(50, &[After(20, 5 * MINUTE, "inspection-state-changed")]),
];

const HELD_UP: &[ScriptStep] = &[
    Wait(MINUTE, 20 * MINUTE),
    Either(50, &[Send("job-state-changed-waitlisted")], &[Send("job-state-changed-waiting-approval")]),
    Wait(10 * MINUTE, 2 * HOUR),
];

const PIPELINE: ScriptStep =
    Run(&[After(20, 2 * MINUTE, "job-state-changed-submitting"), After(20, 5 * MINUTE, "job-state-changed-working")]);

const IMPROVEMENTS: ScriptStep = Run(&[
    After(10 * MINUTE, 2 * HOUR, "job-state-changed-processing-upload-for-improvements"),
    After(20, 2 * MINUTE, "job-state-changed-requesting-improvements"),
    PIPELINE,
]);

const FINISH: ScriptStep = Run(&[
    After(HOUR, 5 * HOUR, "job-state-changed-retrieving"),
    After(5, 60, "model-state-changed-complete"),
    After(5, 90, "job-state-changed-processing"),
    After(5, 90, "job-state-changed-paying"),
    After(5, 90, "job-state-changed-complete"),
]);

const DELIVERABLE_CHANGE: &[ScriptStep] = &[
    Set("change", "{new}"),
    After(MINUTE, 5 * MINUTE, "deliverable-change-request-state-changed-first-attempt"),
    After(MINUTE, 5 * MINUTE, "deliverable-change-request-state-changed-waiting-for-job-to-finish"),
];

const SECOND_ATTEMPT: &[ScriptStep] = &[
    After(20, 5 * MINUTE, "deliverable-change-request-state-changed-second-attempt"),
    Either(
        80,
        &[After(20, 5 * MINUTE, "deliverable-change-request-state-changed-complete")],
        &[After(20, 5 * MINUTE, "deliverable-change-request-state-changed-failed")],
    ),
];

// What is made of a finished job; several of these events do not say which job they belong to.
const SALES: ScriptStep = Run(&[chance(40, ESTIMATE), chance(25, MATERIALS), chance(25, PROPOSAL), chance(10, DESIGN)]);

const ESTIMATE: &[ScriptStep] = &[
    Set("estimate_group", "{uuid}"),
    After(10 * MINUTE, HOUR, "estimation-estimate-group-state-changed"),
    After(10, MINUTE, "estimation-estimate-group-updated"),
];

const MATERIALS: &[ScriptStep] = &[
    Set("production_list", "{new}"),
    Set("opportunity", "{new}"),
    After(2 * MINUTE, 30 * MINUTE, "project-management-production-list-created"),
    After(2 * MINUTE, 30 * MINUTE, "project-management-production-list-updated"),
    After(MINUTE, 10 * MINUTE, "project-management-production-list-manual-sync"),
    After(MINUTE, 10 * MINUTE, "project-management-order-document-state-changed"),
    chance(50, &[After(MINUTE, 10 * MINUTE, "distribution-order-state-changed")]),
];

const PROPOSAL: &[ScriptStep] = &[
    Set("proposal", "{uuid}"),
    Set("request", "{uuid}"),
    After(5 * MINUTE, HOUR, "project-management-proposal-document-state-changed"),
    Wait(20 * MINUTE, 3 * HOUR),
    Time("signed_at", 0),
    Send("project-management-signature-request-state-changed-signed"),
    After(2, 20, "project-management-signature-request-state-changed-complete"),
];

const DESIGN: &[ScriptStep] = &[
    Set("lead", "{new}"),
    After(MINUTE, HOUR, "instant-design-lead-form-submitted"),
    After(MINUTE, 20 * MINUTE, "instant-design-image-created"),
];
