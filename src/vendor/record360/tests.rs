use super::*;
use crate::event::{FactGroup, NoEffect, Reference, StateClaim};
use crate::vendor::fields::parse_timestamp;

fn reading(body: &str) -> ParsedDelivery {
    let delivery = DeliveryBody { content_type: Some("application/json"), body: body.as_bytes() };
    parse(&delivery).expect("a reading")
}

pub fn transaction(event: &str, fields: &str) -> Vec<Event> {
    let fields = format!(r#""id":"40849","created_at":"2024-01-16T10:00:13.716Z"{fields}"#);
    reading(&format!(r#"{{"event":"{event}","transaction":{{{fields}}}}}"#)).events
}

fn task(event: &str, fields: &str) -> Vec<Event> {
    let fields = format!(r#""id":"42","updated_at":"2024-01-20T11:20:06.412Z"{fields}"#);
    reading(&format!(r#"{{"event":"{event}","task":{{{fields}}}}}"#)).events
}

pub fn ids(events: &[Event]) -> Vec<(EntityType, &str)> {
    events.iter().map(|event| (event.entity.entity_type, event.entity.external_id.as_str())).collect()
}

pub fn details(event: &Event) -> Vec<&str> {
    event.details.iter().map(|(name, _)| name.as_str()).collect()
}

fn is(state: &str) -> StateClaim {
    StateClaim::Exact(state.to_owned())
}

#[test]
fn a_transaction_is_an_inspection_and_its_session() {
    let events = transaction("create", r#","draft":false,"archive_status":"active""#);
    assert_eq!(ids(&events), [(EntityType::Inspection, "40849"), (EntityType::Session, "40849")]);
    for event in &events {
        assert_eq!(event.state_claim, is("active"));
        assert_eq!(event.occurred_at.at.map(|at| at.timestamp_millis()), Some(1_705_399_213_716));
    }
    assert_eq!(events[1].inspection_external_id.as_deref(), Some("40849"));
}

#[test]
fn a_transactions_state_is_that_of_the_object() {
    for (event, fields, expected) in [
        ("create", r#","draft":true,"archive_status":"active""#, is("draft")),
        ("create", r#","draft":false,"archive_status":"archived""#, is("archived")),
        ("create", r#","draft":0"#, is("active")),
        ("create", r#","archive_status":"new""#, is("active")),
        ("update", r#","archive_status":"archived""#, is("archived")),
        ("update", r#","archive_status":"new""#, StateClaim::FactsOnly),
    ] {
        assert_eq!(transaction(event, fields)[0].state_claim, expected, "{event} {fields}");
    }
    let updated = transaction("update", r#","updated_at":"2024-01-17T00:00:00.000Z""#);
    assert_eq!(updated[0].occurred_at.at.map(|at| at.timestamp()), Some(1_705_449_600));
    let created = transaction("create", r#","updated_at":"2024-01-17T00:00:00.000Z""#);
    assert_eq!(created[0].occurred_at.at.map(|at| at.timestamp()), Some(1_705_399_213));
}

#[test]
fn the_inspection_has_the_facts() {
    let fields = r#","check_in":false,"draft":false,"damage":true,"damage_cost":1250.5,"geo_coord":[-122.4,37.7],
            "group_id":"17735","view_url":"https://x","work_order_id":33,"archive_status":"active",
            "asset":{"id":"63019","external_id":"V1"},"location":{"id":"7","name":"Yard","zone":"B"},"user":{"id":"5"}"#;
    let inspection = &transaction("create", fields)[0];
    assert_eq!(inspection.reference.as_ref().map(|r| r.value.as_str()), Some("V1"));
    assert_eq!(inspection.group.as_deref(), Some("17735"));
    let asset = Asset { asset_id: Some("63019".into()), external_id: Some("V1".into()) };
    let location = Location {
        location_id: Some("7".into()),
        name: Some("Yard".into()),
        latitude: Some(37.7),
        longitude: Some(-122.4),
        ..Location::default()
    };
    let summary = Summary {
        draft: Some(false),
        direction: Some("CHECK_OUT".into()),
        damaged: Some(true),
        damage_cost: Some(1250.5),
        view_url: Some("https://x".into()),
        archive_status: Some("active".into()),
        work_order_id: Some("33".into()),
        ..Summary::default()
    };
    assert_eq!(inspection.facts, [FactGroup::Asset(asset), FactGroup::Summary(summary), FactGroup::Location(location)]);
    assert_eq!(details(inspection), ["location", "user"]);
}

#[test]
fn media_were_only_added_where_check_in_is_null() {
    for (check_in, expected) in [("true", Some("CHECK_IN")), ("false", Some("CHECK_OUT")), ("null", None)] {
        let events = transaction("create", &format!(r#","check_in":{check_in}"#));
        let summary = events[0].facts.iter().find_map(|fact| match fact {
            FactGroup::Summary(summary) => Some(summary.direction.as_deref()),
            _ => None,
        });
        assert_eq!(summary, Some(expected));
    }
}

#[test]
fn odd_coordinates_stay_among_the_details() {
    for odd in ["[37.7]", "[200, 10]", "[10, 100]", r#"["x", 1, 2]"#, r#""1,2""#, "[null, 1]"] {
        let inspection = &transaction("create", &format!(r#","geo_coord":{odd}"#))[0];
        assert_eq!(details(inspection), ["geo_coord"], "{odd}");
    }
}

#[test]
fn a_transaction_links_the_task_it_names() {
    let events = transaction("create", r#","task_id":42,"photos":[{"id":"1"}]"#);
    assert_eq!(ids(&events)[2], (TASK, "42"));
    assert_eq!(events[2].state_claim, StateClaim::AtLeast("idle"));
    assert_eq!((events[2].inspection_external_id.as_deref(), events[2].orphan_reason), (Some("40849"), None));
}

#[test]
fn a_completed_task_is_completed_under_any_status() {
    let fields = r#","name":"Inspect","status":"idle","high_priority":false,"due_by":"2024-01-21T21:25:04.000Z",
            "asset":{"id":"1","external_id":"V1"},"assignee":{"id":"8","name":"A"},"requester":{"email":"b@c"}"#;
    let event = &task("completed", fields)[0];
    assert_eq!((event.entity.entity_type, event.state_claim.clone()), (TASK, is("completed")));
    assert_eq!(event.occurred_at.at.map(|at| at.timestamp_millis()), Some(1_705_749_606_412));
    assert!(event.orphan_reason.is_some());
    assert_eq!(event.reference.as_ref().map(|r| r.value.as_str()), Some("V1"));
    let fact = Task {
        name: Some("Inspect".into()),
        due_by: parse_timestamp("2024-01-21T21:25:04Z"),
        high_priority: Some(false),
        assignee: Some("A".into()),
        requester: Some("b@c".into()),
    };
    assert!(event.facts.contains(&FactGroup::Task(fact)), "{:?}", event.facts);
    assert_eq!(task("completed", r#","status":"done""#)[0].state_claim, is("completed"));
}

#[test]
fn other_events_of_a_task_report_its_status() {
    assert_eq!(task("updated", r#","status":"in_progress""#)[0].state_claim, is("in_progress"));
    let new = &task("updated", r#","status":"new""#)[0];
    assert_eq!((&new.state_claim, details(new)), (&StateClaim::FactsOnly, vec!["status"]));
}

#[test]
fn the_words_of_v3_mean_the_same() {
    let reading = reading(
        r#"{"event":"create","inspection":{"id":"9","unit":{"id":"u1","reference_number":"TR-100","make":"Volvo"},
            "dashboard_url":"https://d","pdf_share_url":"https://p","results":[{"data":[{"label":"Driver","value":"A"}]}],
            "created_at":"2024-05-01T10:00:00.000Z"}}"#,
    );
    assert_eq!(ids(&reading.events), [(EntityType::Inspection, "9"), (EntityType::Session, "9")]);
    assert!(reading.events.iter().all(|event| event.state_claim == is("active")));
    let inspection = &reading.events[0];
    assert_eq!(inspection.reference, Some(Reference::new("TR-100".into(), 2)));
    let asset = Asset { asset_id: Some("u1".into()), external_id: Some("TR-100".into()) };
    assert_eq!(inspection.facts.first(), Some(&FactGroup::Asset(asset)));
    assert_eq!(details(inspection), ["unit", "results"]);
    let Some(FactGroup::Summary(summary)) = inspection.facts.get(1) else { panic!("a summary") };
    assert_eq!((summary.view_url.as_deref(), summary.report_url.as_deref()), (Some("https://d"), Some("https://p")));
    let by_vin = &transaction("create", r#","unit":{"id":"u1","vin":"VIN-1"}"#)[0];
    assert_eq!(by_vin.reference, Some(Reference::new("VIN-1".into(), 6)));
    let task = &task("completed", r#","status":"completed","unit":{"reference_number":"TR-100"}"#)[0];
    assert_eq!(task.reference.as_ref().map(|r| r.value.as_str()), Some("TR-100"));
}

#[test]
fn the_first_field_of_the_table_is_the_reference_and_the_others_stay_visible() {
    let both = &transaction("create", r#","external_id":"X-1","asset":{"external_id":"VIN-1"}"#)[0];
    assert_eq!((&both.reference, details(both)), (&Some(Reference::new("VIN-1".into(), 0)), vec!["external_id"]));
    for asset in [r#"{"external_id":""}"#, r#"{"external_id":null}"#, "{}", "null"] {
        let one = &transaction("update", &format!(r#","external_id":"X-1","asset":{asset}"#))[0];
        assert_eq!(one.reference, Some(Reference::new("X-1".into(), 4)), "{asset}");
        // Facts know no precedence: what is not the asset's own number must not displace it there.
        let of_asset = |fact: &FactGroup| matches!(fact, FactGroup::Asset(asset) if asset.external_id.is_some());
        assert!(!one.facts.iter().any(of_asset), "{asset}");
    }
}

#[test]
fn events_are_known_in_other_spellings() {
    for event in ["Create", "CREATE"] {
        assert_eq!(transaction(event, "")[0].state_claim, StateClaim::Exact("active".into()), "{event}");
    }
    for event in ["Completed", "complete"] {
        assert_eq!(task(event, r#","status":"idle""#)[0].state_claim, StateClaim::Exact("completed".into()), "{event}");
    }
}

#[test]
fn ids_spelled_two_ways_are_one() {
    for id in [r#""40849""#, "40849", r#"" 40849 ""#, "40849.0", r#""040849""#] {
        let body = format!(r#"{{"event":"create","transaction":{{"id":{id},"task_id":"042","group_id":7.0}}}}"#);
        let events = reading(&body).events;
        assert_eq!(ids(&events).iter().map(|(_, id)| *id).collect::<Vec<_>>(), ["40849", "40849", "42"], "{id}");
        assert_eq!(events[0].group.as_deref(), Some("7"));
    }
}

#[test]
fn flags_are_read_from_texts_and_odd_ones_stay() {
    let fields = r#","damage":"1","check_in":"false","draft":"perhaps","damage_cost":"12,5""#;
    let inspection = &transaction("create", fields)[0];
    let Some(FactGroup::Summary(summary)) = inspection.facts.get(1) else { panic!("a summary") };
    let flags = (summary.damaged, summary.direction.as_deref(), summary.draft);
    assert_eq!(flags, (Some(true), Some("CHECK_OUT"), None));
    assert_eq!(details(inspection), ["draft", "damage_cost"]);
}

#[test]
fn what_has_no_name_no_object_or_no_id_is_unrecognized() {
    for body in [
        r#"{"transaction":{"id":"1"}}"#,
        r#"{"event":true,"transaction":{"id":"1"}}"#,
        r#"{"event":"create"}"#,
        r#"{"event":"create","transaction":"1"}"#,
        r#"{"event":"create","transaction":{"id":{}}}"#,
        r#"{"event":"completed","task":{"id":null}}"#,
        r#"{"event":"create","inspection":["1"]}"#,
    ] {
        let reading = reading(body);
        assert!(matches!(reading.no_effect, Some(NoEffect::Unrecognized(_))), "{body}");
        assert!(reading.events.is_empty(), "{body}");
    }
}

#[test]
fn every_state_can_be_reached() {
    for machine in MACHINES {
        for state in machine.states {
            assert!(machine.path(START, state.name).is_some(), "{:?} {}", machine.entity_type, state.name);
        }
    }
}
