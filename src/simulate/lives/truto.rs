//! Truto: a customer connects an account, sometimes not at the first try; sync jobs run on it and bring records, with
//! rate limits and errors; the third party reports records of itself; the account needs a new login or is deleted.

use crate::simulate::life::{HOUR, Life, MINUTE, Set, Spelling};
use chrono::TimeDelta;
use uuid::Uuid;

struct Account {
    id: Uuid,
    tenant: String,
    created: TimeDelta,
    sync_job: Uuid,
}

struct Run {
    id: Uuid,
    created: TimeDelta,
    started: TimeDelta,
}

pub fn live(life: &mut Life) {
    let tenant = format!("{}-{}", life.one_of(&["acme-adjusters", "harbor-claims", "northwind-fleet"]), life.id());
    let account = Account { id: life.uuid(), tenant, created: life.now(), sync_job: life.uuid() };
    connect(life, &account);
    for _ in 0..life.between(1..=2) {
        life.wait(5 * MINUTE..=HOUR);
        run(life, &account);
    }
    if life.happens(50) {
        reported_records(life, &account);
    }
    if life.happens(15) {
        life.wait(10 * MINUTE..=2 * HOUR);
        account_says(life, &account, "truto/integrated-account-forbidden-error.json");
    }
    if life.happens(20) {
        life.wait(10 * MINUTE..=2 * HOUR);
        account_says(life, &account, "truto/integrated-account-authentication-error.json");
        if life.happens(70) {
            life.wait(5 * MINUTE..=HOUR);
            account_says(life, &account, "truto/integrated-account-reactivated.json");
        }
    }
    if life.happens(10) {
        life.wait(HOUR..=3 * HOUR);
        event(life, "truto/integrated-account-deleted.json", vec![("/payload/id", account.id.into())]);
    }
}

fn connect(life: &mut Life, account: &Account) {
    account_says(life, account, "truto/integrated-account-created.json");
    life.wait(20..=2 * MINUTE);
    account_says(life, account, "truto/integrated-account-post-connect-form-submitted.json");
    for (percent, error) in [
        (15, "truto/integrated-account-validation-error.json"),
        (10, "truto/integrated-account-post-install-error.json"),
    ] {
        if life.happens(percent) {
            life.wait(5..=20);
            account_says(life, account, error);
            life.wait(2 * MINUTE..=30 * MINUTE);
            account_says(life, account, "truto/integrated-account-updated.json");
        }
    }
    life.wait(5..=MINUTE);
    account_says(life, account, "truto/integrated-account-active.json");
}

fn run(life: &mut Life, account: &Account) {
    let mut run = Run { id: life.uuid(), created: life.now(), started: life.now() };
    let mut created = run_fields(life, account, &run);
    // It has not started yet.
    created.retain(|(pointer, _)| *pointer != "/payload/started_at");
    event(life, "truto/sync-job-run-created.json", created);
    life.wait(1..=5);
    run.started = life.now();
    run_says(life, account, &run, "truto/sync-job-run-started.json");
    let pages = life.between(1..=4);
    for page in 0..pages {
        if life.happens(12) {
            life.wait(2..=10);
            run_says(life, account, &run, "truto/sync-job-run-rate-limited.json");
            life.wait(20..=2 * MINUTE);
            run_says(life, account, &run, "truto/sync-job-run-updated.json");
        }
        life.wait(2..=15);
        records(life, account, &run, page);
        if life.happens(10) {
            life.wait(1..=5);
            let mut set = of_account(account);
            set.push(("/payload/sync_job_run_id", run.id.into()));
            set.push(("/payload/args/claim_number", claim(life).into()));
            event(life, "truto/sync-job-run-record-error.json", set);
        }
    }
    life.wait(5..=MINUTE);
    run_ends(life, account, &run);
}

fn run_ends(life: &mut Life, account: &Account, run: &Run) {
    let sample = match life.between(0..=99) {
        0..=79 => "truto/sync-job-run-completed.json",
        80..=91 => "truto/sync-job-run-failed.json",
        _ => "truto/sync-job-run-updated-stopped.json",
    };
    let mut set = run_fields(life, account, run);
    set.push(("/payload/finished_at", Spelling::Millis.of(life.now())));
    event(life, sample, set);
    if life.happens(4) {
        life.wait(10 * MINUTE..=HOUR);
        event(life, "truto/sync-job-run-deleted.json", vec![("/payload/id", run.id.into())]);
    }
}

// A page of records, in one of the three forms they come in.
fn records(life: &mut Life, account: &Account, run: &Run, page: i64) {
    let now = || Spelling::Millis;
    let first = life.child_id();
    match life.between(0..=9) {
        0..=5 => {
            let mut set = of_account(account);
            set.push(("/payload/sync_job_run_id", run.id.into()));
            set.push(("/payload/meta/page", (page + 1).into()));
            let ids = ["/payload/records/0/id", "/payload/records/1/id", "/payload/records/2/id"];
            let ids = ids.into_iter().zip(1..).map(|(pointer, number)| (pointer, record(first, number)));
            set.extend(ids.collect::<Vec<_>>());
            set.push(("/payload/records/0/updated_at", now().of(life.now())));
            event(life, "truto/sync-job-run-record.json", set);
        }
        6..=7 => {
            let set = vec![
                ("/payload/meta/sync_job_run_id", run.id.into()),
                ("/payload/meta/integrated_account_id", account.id.into()),
                ("/payload/records/id", record(first, 1)),
                ("/payload/records/updated_at", now().of(life.now())),
            ];
            event(life, "truto/sync-job-run-record-single.json", set);
        }
        _ => {
            let set = vec![
                ("/payload/sync_job_run/id", run.id.into()),
                ("/payload/records/0/id", record(first, 1)),
                ("/payload/records/1/id", record(first, 2)),
            ];
            event(life, "truto/sync-job-run-record.multipart", set);
        }
    }
}

// The third party's own webhooks: a record comes, changes and goes.
fn reported_records(life: &mut Life, account: &Account) {
    let id = life.child_id();
    for (percent, sample) in [
        (100, "truto/record-created.json"),
        (70, "truto/record-updated.json"),
        (30, "truto/record-meta.json"),
        (30, "truto/record-deleted.json"),
    ] {
        if !life.happens(percent) {
            continue;
        }
        life.wait(MINUTE..=30 * MINUTE);
        let mut set = of_account(account);
        set.push(("/payload/tenant_id", account.tenant.as_str().into()));
        let pointer = if sample.ends_with("meta.json") { "/payload/meta/id" } else { "/payload/records/0/id" };
        set.push((pointer, record(id, 0)));
        event(life, sample, set);
    }
}

fn record(base: u64, number: u64) -> Set {
    format!("{base}{number}").into()
}

fn claim(life: &Life) -> String {
    format!("CLM-{}", life.id())
}

fn run_says(life: &mut Life, account: &Account, run: &Run, sample: &'static str) {
    let set = run_fields(life, account, run);
    event(life, sample, set);
}

fn run_fields(life: &Life, account: &Account, run: &Run) -> Vec<(&'static str, Set)> {
    let mut set = of_account(account);
    set.extend([
        ("/payload/id", run.id.into()),
        ("/payload/sync_job_id", account.sync_job.into()),
        ("/payload/args/claim_number", claim(life).into()),
        ("/payload/args/hover_job_id", life.id().to_string().into()),
        ("/payload/created_at", Spelling::Millis.of(run.created)),
        ("/payload/updated_at", Spelling::Millis.of(life.now())),
        ("/payload/started_at", Spelling::Millis.of(run.started)),
    ]);
    set
}

fn account_says(life: &mut Life, account: &Account, sample: &'static str) {
    let set = vec![
        ("/payload/id", account.id.into()),
        ("/payload/tenant_id", account.tenant.as_str().into()),
        ("/payload/created_at", Spelling::Millis.of(account.created)),
        ("/payload/updated_at", Spelling::Millis.of(life.now())),
    ];
    event(life, sample, set);
}

fn of_account(account: &Account) -> Vec<(&'static str, Set)> {
    vec![("/payload/integrated_account_id", account.id.into())]
}

fn event(life: &mut Life, sample: &'static str, mut set: Vec<(&'static str, Set)>) {
    set.push(("/id", life.uuid().into()));
    set.push(("/created_at", Spelling::Millis.of(life.now())));
    life.say(sample, set);
}
