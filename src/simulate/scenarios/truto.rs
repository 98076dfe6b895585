//! Truto: a customer connects an account, sometimes not at the first try; sync jobs run on it and bring records, with
//! rate limits and errors; the third party reports records itself; the account needs a new login or is deleted.

use crate::simulate::script::ScriptStep::{After, Either, OneOf, Repeat, Send, Set, Time, Wait};
use crate::simulate::script::{HOUR, MINUTE, ScriptStep, VendorScenario, chance};

pub const SCENARIO: VendorScenario = VendorScenario {
    vendor: "truto",
    weight: 5,
    script: SCRIPT,
    fields: &[
        (
            "integrated-account",
            &[
                ("/payload/id", "{account}"),
                ("/payload/tenant_id", "{tenant}-{id}"),
                ("/payload/created_at", "{account_created}"),
                ("/payload/updated_at", "{now}"),
            ],
        ),
        (
            "sync-job-run",
            &[
                ("/payload/id", "{run}"),
                ("/payload/sync_job_run_id", "{run}"),
                ("/payload/meta/sync_job_run_id", "{run}"),
                ("/payload/sync_job_run/id", "{run}"),
                ("/payload/integrated_account_id", "{account}"),
                ("/payload/meta/integrated_account_id", "{account}"),
                ("/payload/sync_job_id", "{sync_job}"),
                ("/payload/args/claim_number", "CLM-{id}"),
                ("/payload/args/hover_job_id", "{id}"),
                ("/payload/created_at", "{run_created}"),
                ("/payload/updated_at", "{now}"),
                // Null until the run has started or finished.
                ("/payload/started_at", "{run_started}"),
                ("/payload/finished_at", "{now}"),
                ("/payload/meta/page", "{page}"),
                ("/payload/records/*/id", "{records}{*}"),
                ("/payload/records/*/updated_at", "{now}"),
                ("/payload/records/id", "{records}0"),
                ("/payload/records/updated_at", "{now}"),
            ],
        ),
        (
            "record",
            &[
                ("/payload/integrated_account_id", "{account}"),
                ("/payload/tenant_id", "{tenant}-{id}"),
                ("/payload/records/*/id", "{record}0"),
                ("/payload/meta/id", "{record}0"),
            ],
        ),
        ("", &[("/id", "{uuid}"), ("/created_at", "{now}")]),
    ],
};

const SCRIPT: &[ScriptStep] = &[
    OneOf("tenant", &["acme-adjusters", "harbor-claims", "northwind-fleet"]),
    Set("account", "{uuid}"),
    Set("sync_job", "{uuid}"),
    Time("account_created", 0),
    Send("integrated-account-created"),
    After(20, 2 * MINUTE, "integrated-account-post-connect-form-submitted"),
    chance(15, &[After(5, 20, "integrated-account-validation-error"), CONNECTED_AGAIN]),
    chance(10, &[After(5, 20, "integrated-account-post-install-error"), CONNECTED_AGAIN]),
    After(5, MINUTE, "integrated-account-active"),
    Repeat(1, 2, RUN),
    chance(50, REPORTED_RECORDS),
    chance(15, &[After(10 * MINUTE, 2 * HOUR, "integrated-account-forbidden-error")]),
    chance(
        20,
        &[
            After(10 * MINUTE, 2 * HOUR, "integrated-account-authentication-error"),
            chance(70, &[After(5 * MINUTE, HOUR, "integrated-account-reactivated")]),
        ],
    ),
    chance(10, &[After(HOUR, 3 * HOUR, "integrated-account-deleted")]),
];

const CONNECTED_AGAIN: ScriptStep = After(2 * MINUTE, 30 * MINUTE, "integrated-account-updated");

const RUN: &[ScriptStep] = &[
    Wait(5 * MINUTE, HOUR),
    Set("run", "{uuid}"),
    Time("run_created", 0),
    Send("sync-job-run-created"),
    Wait(1, 5),
    Time("run_started", 0),
    Send("sync-job-run-started"),
    Repeat(1, 4, RECORD_PAGE),
    Wait(5, MINUTE),
    Either(
        80,
        &[Send("sync-job-run-completed")],
        &[Either(60, &[Send("sync-job-run-failed")], &[Send("sync-job-run-updated-stopped")])],
    ),
    chance(4, &[After(10 * MINUTE, HOUR, "sync-job-run-deleted")]),
];

// In one of the three forms in which records come.
const RECORD_PAGE: &[ScriptStep] = &[
    Set("page", "{round}"),
    Set("records", "{new}"),
    chance(12, &[After(2, 10, "sync-job-run-rate-limited"), After(20, 2 * MINUTE, "sync-job-run-updated")]),
    Wait(2, 15),
    Either(
        60,
        &[Send("sync-job-run-record")],
        &[Either(50, &[Send("sync-job-run-record-single")], &[Send("sync-job-run-record.multipart")])],
    ),
    chance(10, &[After(1, 5, "sync-job-run-record-error")]),
];

// The third party's own webhooks: a record is created, changed and deleted.
const REPORTED_RECORDS: &[ScriptStep] = &[
    Set("record", "{new}"),
    After(MINUTE, 30 * MINUTE, "record-created"),
    chance(70, &[After(MINUTE, 30 * MINUTE, "record-updated")]),
    chance(30, &[After(MINUTE, 30 * MINUTE, "record-meta")]),
    chance(30, &[After(MINUTE, 30 * MINUTE, "record-deleted")]),
];
