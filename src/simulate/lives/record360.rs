//! Record360: a machine or vehicle is handed out and comes back, one transaction each in a common group, sometimes saved
//! as a draft first; now and then somebody is given the task to look at it closely.

use crate::simulate::life::{HOUR, Life, MINUTE, Set, Spelling};
use crate::simulate::people::Person;
use crate::simulate::vehicles::Vehicle;
use chrono::TimeDelta;

/// Yards: id, name.
const YARDS: &[(&str, &str)] =
    &[("1201", "North yard"), ("1202", "Airport"), ("1203", "Harbor"), ("1204", "City depot")];

struct Asset {
    id: u64,
    vin: String,
    user: Person,
    yard: (&'static str, &'static str),
}

/// The transactions of a group belong together: a check-out and its check-in.
struct Transaction {
    id: u64,
    group: u64,
    created: TimeDelta,
}

pub fn live(life: &mut Life) {
    let vin = Vehicle::new(life).vin;
    let asset = Asset { id: life.id(), vin, user: Person::new(life), yard: life.one_of(YARDS) };
    for _ in 0..life.between(1..=2) {
        rental(life, &asset);
        life.wait(20 * MINUTE..=2 * HOUR);
    }
    if life.happens(30) {
        task(life, &asset);
    }
    if life.happens(30) {
        life.wait(10 * MINUTE..=HOUR);
        let look = Transaction::new(life, None);
        let form = form(life, 0, &look);
        say(life, &asset, &look, "record360/create.json", form);
    }
}

fn rental(life: &mut Life, asset: &Asset) {
    let check_out = Transaction::new(life, None);
    with_photo(life, asset, &check_out, "record360/create-check-out.json");
    life.wait(HOUR..=6 * HOUR);
    let check_in = Transaction::new(life, Some(check_out.group));
    if life.happens(25) {
        // The whole comes later, under the same id and with the time of the draft.
        say(life, asset, &check_in, "record360/create-draft.json", Vec::new());
        life.wait(5 * MINUTE..=HOUR);
    }
    with_photo(life, asset, &check_in, "record360/create-check-in.json");
}

fn with_photo(life: &mut Life, asset: &Asset, transaction: &Transaction, sample: &'static str) {
    let photo = life.child_id();
    let mut set = form(life, 0, transaction);
    set.extend([
        ("photos/0/id", photo.to_string().into()),
        ("photos/0/created_at", Spelling::Millis.of(transaction.created)),
        ("photos/0/url", format!("https://media.example.com/{}/image/{photo}.jpg", asset.id).into()),
    ]);
    say(life, asset, transaction, sample, set);
}

// A close look with media of every kind, and the task it was done for.
fn task(life: &mut Life, asset: &Asset) {
    let task = life.child_id();
    let given = life.now();
    life.wait(HOUR..=4 * HOUR);
    let look = Transaction::new(life, None);
    let mut set = form(life, 0, &look);
    set.extend(form(life, 1, &look));
    for (id, created_at) in [
        ("photos/0/id", "photos/0/created_at"),
        ("photos/1/id", "photos/1/created_at"),
        ("videos/0/id", "videos/0/created_at"),
        ("signatures/0/id", "signatures/0/created_at"),
        ("ident_docs/0/id", "ident_docs/0/created_at"),
        ("files/0/id", "files/0/created_at"),
    ] {
        set.extend([(id, life.child_id().to_string().into()), (created_at, Spelling::Millis.of(look.created))]);
    }
    set.extend([
        ("external_id", asset.vin.as_str().into()),
        ("task_id", task.to_string().into()),
        ("work_order_id", format!("W{task}").into()),
        ("damage_cost", life.between(80..=2400).into()),
        ("extended/claim_number", format!("CLM-{}", life.id()).into()),
    ]);
    say(life, asset, &look, "record360/create-full.json", set);
    life.wait(1..=5);
    let (given, done) = (Spelling::Millis.of(given), Spelling::Millis.of(life.now()));
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
    life.say("record360/completed.json", set);
}

// Every transaction that is no draft has a form, and the full one has two.
fn form(life: &mut Life, number: usize, transaction: &Transaction) -> Vec<(&'static str, Set)> {
    let names = match number {
        0 => ("forms/0/id", "forms/0/transaction_id", "forms/0/created_at"),
        _ => ("forms/1/id", "forms/1/transaction_id", "forms/1/created_at"),
    };
    vec![
        (names.0, life.child_id().to_string().into()),
        (names.1, transaction.id.to_string().into()),
        (names.2, Spelling::Millis.of(transaction.created)),
    ]
}

fn say(life: &mut Life, asset: &Asset, of: &Transaction, sample: &'static str, mut set: Vec<(&'static str, Set)>) {
    set.extend([
        ("id", of.id.to_string().into()),
        ("group_id", of.group.to_string().into()),
        ("created_at", Spelling::Millis.of(of.created)),
        ("view_url", format!("https://dashboard.example.com/inspections/{}", of.id).into()),
        ("asset/id", asset.id.to_string().into()),
        ("asset/external_id", asset.vin.as_str().into()),
        ("user/username", asset.user.email().into()),
        ("user/first_name", asset.user.first.into()),
        ("user/last_name", asset.user.last.into()),
        ("location/id", asset.yard.0.into()),
        ("location/name", asset.yard.1.into()),
    ]);
    life.say(sample, set.into_iter().map(|(field, set)| (format!("/transaction/{field}"), set)));
}

impl Transaction {
    /// Created now, in this group or in one of its own.
    fn new(life: &mut Life, group: Option<u64>) -> Transaction {
        let id = life.child_id();
        Transaction { id, group: group.unwrap_or(id), created: life.now() }
    }
}
