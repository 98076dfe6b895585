//! Record360: a machine or vehicle is handed out and comes back, one transaction each in a common group, sometimes saved
//! as a draft first; now and then somebody is given the task to inspect it closely.

use crate::simulate::fake_people::invent_person;
use crate::simulate::fake_vehicles::invent_vehicle;
use crate::simulate::script::ScriptStep::{After, Call, Number, Repeat, RowOf, Run, Send, Set, Time, Wait};
use crate::simulate::script::{HOUR, MINUTE, ScriptStep, VendorScenario, chance};

pub const SCENARIO: VendorScenario = VendorScenario {
    vendor: "record360",
    weight: 9,
    script: SCRIPT,
    fields: &[
        (
            "create-full",
            &[
                ("/transaction/external_id", "{vin}"),
                ("/transaction/task_id", "{task}"),
                ("/transaction/work_order_id", "W{task}"),
                ("/transaction/damage_cost", "{cost}"),
                ("/transaction/extended/claim_number", "CLM-{id}"),
            ],
        ),
        (
            "create",
            &[
                ("/transaction/id", "{transaction}"),
                ("/transaction/group_id", "{group}"),
                ("/transaction/created_at", "{created}"),
                ("/transaction/view_url", "https://dashboard.example.com/inspections/{transaction}"),
                ("/transaction/asset/id", "{id}"),
                ("/transaction/asset/external_id", "{vin}"),
                ("/transaction/user/username", "{email}"),
                ("/transaction/user/first_name", "{first_name}"),
                ("/transaction/user/last_name", "{last_name}"),
                ("/transaction/location/id", "{yard}"),
                ("/transaction/location/name", "{yard_name}"),
                // Of photos, videos, signatures, identity documents, forms and files.
                ("/transaction/*/*/id", "{new}"),
                ("/transaction/*/*/created_at", "{created}"),
                ("/transaction/forms/*/transaction_id", "{transaction}"),
                ("/transaction/photos/*/url", "https://media.example.com/{id}/image/{transaction}-{*}.jpg"),
            ],
        ),
        (
            "completed",
            &[
                ("/task/id", "{task}"),
                ("/task/name", "Inspect {vin}"),
                ("/task/created_at", "{given}"),
                ("/task/activities/0/created_at", "{given}"),
                ("/task/activities/1/created_at", "{now}"),
                ("/task/due_by", "{now}"),
                ("/task/updated_at", "{now}"),
                ("/task/asset/id", "{id}"),
                ("/task/asset/external_id", "{vin}"),
                ("/task/location/id", "{yard}"),
                ("/task/location/name", "{yard_name}"),
                ("/task/assignee/name", "{name}"),
                ("/task/assignee/email", "{email}"),
            ],
        ),
    ],
};

const SCRIPT: &[ScriptStep] = &[
    Call(invent_vehicle),
    Call(invent_person),
    RowOf(
        &["yard", "yard_name"],
        &[&["1201", "North yard"], &["1202", "Airport"], &["1203", "Harbor"], &["1204", "City depot"]],
    ),
    Repeat(1, 2, RENTAL),
    chance(30, TASK),
    chance(30, &[Wait(10 * MINUTE, HOUR), TRANSACTION, OWN_GROUP, Send("create")]),
];

const TRANSACTION: ScriptStep = Run(&[Set("transaction", "{new}"), Time("created", 0)]);
const OWN_GROUP: ScriptStep = Set("group", "{transaction}");

const RENTAL: &[ScriptStep] = &[
    TRANSACTION,
    OWN_GROUP,
    Send("create-check-out"),
    Wait(HOUR, 6 * HOUR),
    TRANSACTION,
    // The whole transaction comes later, under the same id and with the time of the draft.
    chance(25, &[Send("create-draft"), Wait(5 * MINUTE, HOUR)]),
    Send("create-check-in"),
    Wait(20 * MINUTE, 2 * HOUR),
];

// An inspection with media of every kind, and the task for which it was performed.
const TASK: &[ScriptStep] = &[
    Set("task", "{new}"),
    Time("given", 0),
    Wait(HOUR, 4 * HOUR),
    TRANSACTION,
    OWN_GROUP,
    Number("cost", 80, 2400),
    Send("create-full"),
    After(1, 5, "completed"),
];
