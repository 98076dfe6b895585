//! Truto: a customer connects an account, sometimes not at the first try; sync jobs run on it and bring records, with
//! rate limits and errors; the third party reports records of itself; the account needs a new login or is deleted.

use crate::simulate::scenario::{FieldPatch, HOUR, MINUTE, Scenario, TimestampFormat};
use chrono::TimeDelta;
use uuid::Uuid;

struct TrutoAccount {
    id: Uuid,
    tenant: String,
    created: TimeDelta,
    sync_job: Uuid,
}

struct TrutoRun {
    id: Uuid,
    created: TimeDelta,
    started: TimeDelta,
}

pub fn plan(scenario: &mut Scenario) {
    let tenant =
        format!("{}-{}", scenario.one_of(&["acme-adjusters", "harbor-claims", "northwind-fleet"]), scenario.id());
    let account = TrutoAccount { id: scenario.uuid(), tenant, created: scenario.now(), sync_job: scenario.uuid() };
    connect(scenario, &account);
    for _ in 0..scenario.between(1..=2) {
        scenario.wait(5 * MINUTE..=HOUR);
        run(scenario, &account);
    }
    if scenario.chance(50) {
        reported_records(scenario, &account);
    }
    if scenario.chance(15) {
        scenario.wait(10 * MINUTE..=2 * HOUR);
        send_account_event(scenario, &account, "truto/integrated-account-forbidden-error.json");
    }
    if scenario.chance(20) {
        scenario.wait(10 * MINUTE..=2 * HOUR);
        send_account_event(scenario, &account, "truto/integrated-account-authentication-error.json");
        if scenario.chance(70) {
            scenario.wait(5 * MINUTE..=HOUR);
            send_account_event(scenario, &account, "truto/integrated-account-reactivated.json");
        }
    }
    if scenario.chance(10) {
        scenario.wait(HOUR..=3 * HOUR);
        send_event(scenario, "truto/integrated-account-deleted.json", vec![("/payload/id", account.id.into())]);
    }
}

fn connect(scenario: &mut Scenario, account: &TrutoAccount) {
    send_account_event(scenario, account, "truto/integrated-account-created.json");
    scenario.wait(20..=2 * MINUTE);
    send_account_event(scenario, account, "truto/integrated-account-post-connect-form-submitted.json");
    for (percent, error) in [
        (15, "truto/integrated-account-validation-error.json"),
        (10, "truto/integrated-account-post-install-error.json"),
    ] {
        if scenario.chance(percent) {
            scenario.wait(5..=20);
            send_account_event(scenario, account, error);
            scenario.wait(2 * MINUTE..=30 * MINUTE);
            send_account_event(scenario, account, "truto/integrated-account-updated.json");
        }
    }
    scenario.wait(5..=MINUTE);
    send_account_event(scenario, account, "truto/integrated-account-active.json");
}

fn run(scenario: &mut Scenario, account: &TrutoAccount) {
    let mut run = TrutoRun { id: scenario.uuid(), created: scenario.now(), started: scenario.now() };
    let mut created = run_fields(scenario, account, &run);
    // It has not started yet.
    created.retain(|(pointer, _)| *pointer != "/payload/started_at");
    send_event(scenario, "truto/sync-job-run-created.json", created);
    scenario.wait(1..=5);
    run.started = scenario.now();
    send_run_event(scenario, account, &run, "truto/sync-job-run-started.json");
    let pages = scenario.between(1..=4);
    for page in 0..pages {
        if scenario.chance(12) {
            scenario.wait(2..=10);
            send_run_event(scenario, account, &run, "truto/sync-job-run-rate-limited.json");
            scenario.wait(20..=2 * MINUTE);
            send_run_event(scenario, account, &run, "truto/sync-job-run-updated.json");
        }
        scenario.wait(2..=15);
        records(scenario, account, &run, page);
        if scenario.chance(10) {
            scenario.wait(1..=5);
            let mut set = account_id_patch(account);
            set.push(("/payload/sync_job_run_id", run.id.into()));
            set.push(("/payload/args/claim_number", claim(scenario).into()));
            send_event(scenario, "truto/sync-job-run-record-error.json", set);
        }
    }
    scenario.wait(5..=MINUTE);
    run_ends(scenario, account, &run);
}

fn run_ends(scenario: &mut Scenario, account: &TrutoAccount, run: &TrutoRun) {
    let sample = match scenario.between(0..=99) {
        0..=79 => "truto/sync-job-run-completed.json",
        80..=91 => "truto/sync-job-run-failed.json",
        _ => "truto/sync-job-run-updated-stopped.json",
    };
    let mut set = run_fields(scenario, account, run);
    set.push(("/payload/finished_at", TimestampFormat::Millis.patch(scenario.now())));
    send_event(scenario, sample, set);
    if scenario.chance(4) {
        scenario.wait(10 * MINUTE..=HOUR);
        send_event(scenario, "truto/sync-job-run-deleted.json", vec![("/payload/id", run.id.into())]);
    }
}

// A page of records, in one of the three forms they come in.
fn records(scenario: &mut Scenario, account: &TrutoAccount, run: &TrutoRun, page: i64) {
    let now = || TimestampFormat::Millis;
    let first = scenario.child_id();
    match scenario.between(0..=9) {
        0..=5 => {
            let mut set = account_id_patch(account);
            set.push(("/payload/sync_job_run_id", run.id.into()));
            set.push(("/payload/meta/page", (page + 1).into()));
            let ids = ["/payload/records/0/id", "/payload/records/1/id", "/payload/records/2/id"];
            let ids = ids.into_iter().zip(1..).map(|(pointer, number)| (pointer, record(first, number)));
            set.extend(ids.collect::<Vec<_>>());
            set.push(("/payload/records/0/updated_at", now().patch(scenario.now())));
            send_event(scenario, "truto/sync-job-run-record.json", set);
        }
        6..=7 => {
            let set = vec![
                ("/payload/meta/sync_job_run_id", run.id.into()),
                ("/payload/meta/integrated_account_id", account.id.into()),
                ("/payload/records/id", record(first, 1)),
                ("/payload/records/updated_at", now().patch(scenario.now())),
            ];
            send_event(scenario, "truto/sync-job-run-record-single.json", set);
        }
        _ => {
            let set = vec![
                ("/payload/sync_job_run/id", run.id.into()),
                ("/payload/records/0/id", record(first, 1)),
                ("/payload/records/1/id", record(first, 2)),
            ];
            send_event(scenario, "truto/sync-job-run-record.multipart", set);
        }
    }
}

// The third party's own webhooks: a record comes, changes and goes.
fn reported_records(scenario: &mut Scenario, account: &TrutoAccount) {
    let id = scenario.child_id();
    for (percent, sample) in [
        (100, "truto/record-created.json"),
        (70, "truto/record-updated.json"),
        (30, "truto/record-meta.json"),
        (30, "truto/record-deleted.json"),
    ] {
        if !scenario.chance(percent) {
            continue;
        }
        scenario.wait(MINUTE..=30 * MINUTE);
        let mut set = account_id_patch(account);
        set.push(("/payload/tenant_id", account.tenant.as_str().into()));
        let pointer = if sample.ends_with("meta.json") { "/payload/meta/id" } else { "/payload/records/0/id" };
        set.push((pointer, record(id, 0)));
        send_event(scenario, sample, set);
    }
}

fn record(base: u64, number: u64) -> FieldPatch {
    format!("{base}{number}").into()
}

fn claim(scenario: &Scenario) -> String {
    format!("CLM-{}", scenario.id())
}

fn send_run_event(scenario: &mut Scenario, account: &TrutoAccount, run: &TrutoRun, sample: &'static str) {
    let set = run_fields(scenario, account, run);
    send_event(scenario, sample, set);
}

fn run_fields(scenario: &Scenario, account: &TrutoAccount, run: &TrutoRun) -> Vec<(&'static str, FieldPatch)> {
    let mut set = account_id_patch(account);
    set.extend([
        ("/payload/id", run.id.into()),
        ("/payload/sync_job_id", account.sync_job.into()),
        ("/payload/args/claim_number", claim(scenario).into()),
        ("/payload/args/hover_job_id", scenario.id().to_string().into()),
        ("/payload/created_at", TimestampFormat::Millis.patch(run.created)),
        ("/payload/updated_at", TimestampFormat::Millis.patch(scenario.now())),
        ("/payload/started_at", TimestampFormat::Millis.patch(run.started)),
    ]);
    set
}

fn send_account_event(scenario: &mut Scenario, account: &TrutoAccount, sample: &'static str) {
    let set = vec![
        ("/payload/id", account.id.into()),
        ("/payload/tenant_id", account.tenant.as_str().into()),
        ("/payload/created_at", TimestampFormat::Millis.patch(account.created)),
        ("/payload/updated_at", TimestampFormat::Millis.patch(scenario.now())),
    ];
    send_event(scenario, sample, set);
}

fn account_id_patch(account: &TrutoAccount) -> Vec<(&'static str, FieldPatch)> {
    vec![("/payload/integrated_account_id", account.id.into())]
}

fn send_event(scenario: &mut Scenario, sample: &'static str, mut set: Vec<(&'static str, FieldPatch)>) {
    set.push(("/id", scenario.uuid().into()));
    set.push(("/created_at", TimestampFormat::Millis.patch(scenario.now())));
    scenario.emit(sample, set);
}
