//! Record360: a machine or vehicle is handed out and comes back, one transaction each in a common group, sometimes saved
//! as a draft first; now and then somebody is given the task to look at it closely.

use crate::simulate::fake_people::FakePerson;
use crate::simulate::fake_vehicles::FakeVehicle;
use crate::simulate::scenario::{FieldPatch, HOUR, MINUTE, Scenario, TimestampFormat};
use chrono::TimeDelta;

/// Yards: id, name.
const YARDS: &[(&str, &str)] =
    &[("1201", "North yard"), ("1202", "Airport"), ("1203", "Harbor"), ("1204", "City depot")];

struct RentalAsset {
    id: u64,
    vin: String,
    user: FakePerson,
    yard: (&'static str, &'static str),
}

/// The transactions of a group belong together: a check-out and its check-in.
struct RentalTransaction {
    id: u64,
    group: u64,
    created: TimeDelta,
}

pub fn plan(scenario: &mut Scenario) {
    let vin = FakeVehicle::new(scenario).vin;
    let asset = RentalAsset { id: scenario.id(), vin, user: FakePerson::new(scenario), yard: scenario.one_of(YARDS) };
    for _ in 0..scenario.between(1..=2) {
        rental(scenario, &asset);
        scenario.wait(20 * MINUTE..=2 * HOUR);
    }
    if scenario.chance(30) {
        task(scenario, &asset);
    }
    if scenario.chance(30) {
        scenario.wait(10 * MINUTE..=HOUR);
        let look = RentalTransaction::new(scenario, None);
        let form = form(scenario, 0, &look);
        send_transaction(scenario, &asset, &look, "record360/create.json", form);
    }
}

fn rental(scenario: &mut Scenario, asset: &RentalAsset) {
    let check_out = RentalTransaction::new(scenario, None);
    with_photo(scenario, asset, &check_out, "record360/create-check-out.json");
    scenario.wait(HOUR..=6 * HOUR);
    let check_in = RentalTransaction::new(scenario, Some(check_out.group));
    if scenario.chance(25) {
        // The whole comes later, under the same id and with the time of the draft.
        send_transaction(scenario, asset, &check_in, "record360/create-draft.json", Vec::new());
        scenario.wait(5 * MINUTE..=HOUR);
    }
    with_photo(scenario, asset, &check_in, "record360/create-check-in.json");
}

fn with_photo(scenario: &mut Scenario, asset: &RentalAsset, transaction: &RentalTransaction, sample: &'static str) {
    let photo = scenario.child_id();
    let mut set = form(scenario, 0, transaction);
    set.extend([
        ("photos/0/id", photo.to_string().into()),
        ("photos/0/created_at", TimestampFormat::Millis.patch(transaction.created)),
        ("photos/0/url", format!("https://media.example.com/{}/image/{photo}.jpg", asset.id).into()),
    ]);
    send_transaction(scenario, asset, transaction, sample, set);
}

// A close look with media of every kind, and the task it was done for.
fn task(scenario: &mut Scenario, asset: &RentalAsset) {
    let task = scenario.child_id();
    let given = scenario.now();
    scenario.wait(HOUR..=4 * HOUR);
    let look = RentalTransaction::new(scenario, None);
    let mut set = form(scenario, 0, &look);
    set.extend(form(scenario, 1, &look));
    for (id, created_at) in [
        ("photos/0/id", "photos/0/created_at"),
        ("photos/1/id", "photos/1/created_at"),
        ("videos/0/id", "videos/0/created_at"),
        ("signatures/0/id", "signatures/0/created_at"),
        ("ident_docs/0/id", "ident_docs/0/created_at"),
        ("files/0/id", "files/0/created_at"),
    ] {
        set.extend([
            (id, scenario.child_id().to_string().into()),
            (created_at, TimestampFormat::Millis.patch(look.created)),
        ]);
    }
    set.extend([
        ("external_id", asset.vin.as_str().into()),
        ("task_id", task.to_string().into()),
        ("work_order_id", format!("W{task}").into()),
        ("damage_cost", scenario.between(80..=2400).into()),
        ("extended/claim_number", format!("CLM-{}", scenario.id()).into()),
    ]);
    send_transaction(scenario, asset, &look, "record360/create-full.json", set);
    scenario.wait(1..=5);
    let (given, done) = (TimestampFormat::Millis.patch(given), TimestampFormat::Millis.patch(scenario.now()));
    let set = [
        ("/task/id", task.to_string().into()),
        ("/task/name", format!("Inspect {}", asset.vin).into()),
        ("/task/created_at", given.clone()),
        ("/task/activities/0/created_at", given),
        ("/task/activities/1/created_at", done.clone()),
        ("/task/due_by", done.clone()),
        ("/task/updated_at", done),
        ("/task/asset/id", asset.id.to_string().into()),
        ("/task/asset/external_id", asset.vin.as_str().into()),
        ("/task/location/id", asset.yard.0.into()),
        ("/task/location/name", asset.yard.1.into()),
        ("/task/assignee/name", asset.user.name().into()),
        ("/task/assignee/email", asset.user.email().into()),
    ];
    scenario.emit("record360/completed.json", set);
}

// Every transaction that is no draft has a form, and the full one has two.
fn form(scenario: &mut Scenario, number: usize, transaction: &RentalTransaction) -> Vec<(&'static str, FieldPatch)> {
    let names = match number {
        0 => ("forms/0/id", "forms/0/transaction_id", "forms/0/created_at"),
        _ => ("forms/1/id", "forms/1/transaction_id", "forms/1/created_at"),
    };
    vec![
        (names.0, scenario.child_id().to_string().into()),
        (names.1, transaction.id.to_string().into()),
        (names.2, TimestampFormat::Millis.patch(transaction.created)),
    ]
}

fn send_transaction(
    scenario: &mut Scenario,
    asset: &RentalAsset,
    of: &RentalTransaction,
    sample: &'static str,
    mut set: Vec<(&'static str, FieldPatch)>,
) {
    set.extend([
        ("id", of.id.to_string().into()),
        ("group_id", of.group.to_string().into()),
        ("created_at", TimestampFormat::Millis.patch(of.created)),
        ("view_url", format!("https://dashboard.example.com/inspections/{}", of.id).into()),
        ("asset/id", asset.id.to_string().into()),
        ("asset/external_id", asset.vin.as_str().into()),
        ("user/username", asset.user.email().into()),
        ("user/first_name", asset.user.first.into()),
        ("user/last_name", asset.user.last.into()),
        ("location/id", asset.yard.0.into()),
        ("location/name", asset.yard.1.into()),
    ]);
    scenario.emit(sample, set.into_iter().map(|(field, set)| (format!("/transaction/{field}"), set)));
}

impl RentalTransaction {
    /// Created now, in this group or in one of its own.
    fn new(scenario: &mut Scenario, group: Option<u64>) -> RentalTransaction {
        let id = scenario.child_id();
        RentalTransaction { id, group: group.unwrap_or(id), created: scenario.now() }
    }
}
