use super::*;
use crate::event::{Damage, FactGroup, Reference, StateClaim, Summary, Vehicle};
use crate::machine::START;

fn reading(body: &str) -> ParsedDelivery {
    parse(&DeliveryBody { content_type: Some("application/json"), body: body.as_bytes() }).expect("a reading")
}

fn result(more: &str) -> Vec<Event> {
    let session = r#""session_key":"K","status":"COMPLETE","updated_at":"2024-05-01T10:00:00Z""#;
    reading(&format!(r#"{{"event":"SESSION:COMPLETE","session":{{{session}}}{more}}}"#)).events
}

fn ids(events: &[Event]) -> Vec<&str> {
    let items = events.iter().filter(|event| matches!(event.entity.entity_type, EntityType::Item(_)));
    items.map(|event| event.entity.external_id.as_str()).collect()
}

fn facts(events: &[Event]) -> impl Iterator<Item = &FactGroup> {
    events.iter().flat_map(|event| &event.facts)
}

fn summary(events: &[Event]) -> &Summary {
    facts(events)
        .find_map(|fact| if let FactGroup::Summary(fact) = fact { Some(fact) } else { None })
        .expect("a summary")
}

fn vehicle(events: &[Event]) -> &Vehicle {
    facts(events)
        .find_map(|fact| if let FactGroup::Vehicle(fact) = fact { Some(fact) } else { None })
        .expect("a vehicle")
}

fn photos(events: &[Event]) -> Vec<&Photo> {
    facts(events).filter_map(|fact| if let FactGroup::Photo(fact) = fact { Some(fact) } else { None }).collect()
}

fn damages(events: &[Event]) -> Vec<&Damage> {
    facts(events).filter_map(|fact| if let FactGroup::Damage(fact) = fact { Some(fact) } else { None }).collect()
}

fn details(event: &Event) -> Vec<(&str, &str)> {
    event.details.iter().map(|(name, value)| (name.as_str(), value.get())).collect()
}

#[test]
fn what_php_prints_as_a_time_orders_the_event() {
    for at in ["2024-05-01T10:00:00+0000", "2024-05-01 12:00:00+02", "1714557600", "1714557600000"] {
        let body =
            format!(r#"{{"event":"SESSION:STATUS_CHANGE","session_key":"K","status":"STARTED","timestamp":"{at}"}}"#);
        let reading = reading(&body);
        assert_eq!(reading.occurred_at.at.map(|at| at.timestamp()), Some(1_714_557_600), "{at}");
        assert!(reading.events.iter().all(|event| event.occurred_at.at == reading.occurred_at.at));
    }
}

#[test]
fn a_result_is_ordered_by_its_timestamp_or_by_the_sessions_update() {
    let at = |events: &[Event]| events[0].occurred_at.at.map(|at| at.timestamp());
    assert_eq!(at(&result("")), Some(1_714_557_600));
    assert_eq!(at(&result(r#","timestamp":"later""#)), Some(1_714_557_600));
    let timed = result(r#","timestamp":"2024-05-01T11:00:00Z""#);
    assert_eq!(at(&timed), Some(1_714_561_200));
    assert_eq!(details(&timed[1]), [("updated_at", r#""2024-05-01T10:00:00Z""#)]);
}

#[test]
fn of_two_vehicles_the_one_beside_the_session_counts_in_all_places() {
    let body = |options: &str| {
        format!(
            r#"{{"event":"SESSION:COMPLETE",{options}"session":{{"session_key":"K","status":"COMPLETE",
            "vehicle":{{"vin":"VIN-IN","make":"Honda","year":2020}}}},"vehicle":{{"vin":"VIN-BESIDE","make":"Honda"}}}}"#
        )
    };
    let events = reading(&body("")).events;
    assert_eq!(events[0].reference, Some(Reference::new("VIN-BESIDE".into(), 1)));
    assert_eq!(vehicle(&events).vin.as_deref(), Some("VIN-BESIDE"));
    assert_eq!((vehicle(&events).make.as_deref(), vehicle(&events).year), (Some("Honda"), Some(2020)));
    assert_eq!(details(&events[1]), [("vehicle", r#"{"vin":"VIN-IN"}"#)]);
    let named = reading(&body(r#""options":{"client_id":"C-1"},"#)).events;
    assert_eq!(named[0].reference, Some(Reference::new("C-1".into(), 0)));
}

#[test]
fn lists_with_gaps_and_single_objects_are_lists() {
    let events = result(
        r#","photos":{"0":{"photo_code":4,"url":"https://x/a.jpg"},"2":{"photo_code":6,"url":"https://x/b.jpg"}},
        "inspection":{"detected_damages":{"1":{"uuid":"d-1","component":"door"},"3":{"uuid":"d-2","component":"hood"}}}"#,
    );
    assert_eq!(ids(&events), ["K/4", "K/6", "K/d-1", "K/d-2"]);
    assert_eq!((summary(&events).damaged, summary(&events).damage_count), (Some(true), Some(2)));
    assert_eq!(ids(&result(r#","photos":{"photo_code":4},"inspection":{"detected_damages":"dent"}"#)).len(), 2);
}

#[test]
fn without_a_code_a_picture_is_identified_by_its_url_or_content() {
    let one = |photo: &str| result(&format!(r#","photos":[{photo}]"#));
    let whole = one(r#"{"url":"https://x/a.jpg?X-Amz-Signature=1","photo_label":"Extra"}"#);
    let address = one(r#""https://x/a.jpg?X-Amz-Signature=2""#);
    assert_eq!(ids(&whole), ids(&address));
    assert_eq!(photos(&whole)[0].label.as_deref(), Some("Extra"));
    assert_eq!(photos(&address)[0].url.as_deref(), Some("https://x/a.jpg?X-Amz-Signature=2"));
    let events = result(r#","inspection":{"detected_damages":["dent",{"component":"door"}]}"#);
    assert_eq!(damages(&events).iter().map(|damage| damage.name.as_deref()).collect::<Vec<_>>(), [Some("dent"), None]);
    assert_eq!(ids(&events).len(), 2);
}

#[test]
fn one_photo_has_one_code_however_it_is_spelled() {
    let stage = |code: &str| {
        let body = format!(r#"{{"event":"SESSION:STAGE_CHANGE","session_key":"K","photo_code":{code}}}"#);
        ids(&reading(&body).events).join(" ")
    };
    for code in ["4", r#""04""#, r#"" 4 ""#, "4.0", r#""004""#] {
        assert_eq!(stage(code), "K/4", "{code}");
    }
    assert_eq!(stage(r#""017""#), "K/17");
    let events = result(
        r#","photos":[{"photo_code":4}],"inspection":{"detected_damages":[{"uuid":"D","photo":{"code":"04","url":"https://x"}}]}"#,
    );
    assert_eq!((photos(&events)[0].code.as_deref(), damages(&events)[0].photo_code.as_deref()), (Some("4"), Some("4")));
}

#[test]
fn of_two_photos_with_one_code_the_last_counts_and_the_other_stays_visible() {
    let events = result(r#","photos":[{"photo_code":4,"url":"https://x/1"},{"photo_code":"04","url":"https://x/2"}]"#);
    assert_eq!(photos(&events).iter().map(|photo| photo.url.as_deref()).collect::<Vec<_>>(), [Some("https://x/2")]);
    assert_eq!(details(&events[0]), [("photos", r#"[{"photo_code":4,"url":"https://x/1"}]"#)]);
}

#[test]
fn damage_is_a_fact_only_if_it_is_reported() {
    let said = |more: &str| {
        let events = result(more);
        (summary(&events).damaged, summary(&events).damage_count)
    };
    assert_eq!(said(""), (None, None));
    assert_eq!(said(r#","inspection":{}"#), (None, None));
    assert_eq!(said(r#","inspection":{"detected_damages":null}"#), (None, None));
    assert_eq!(said(r#","inspection":{"detected_damages":[7]}"#), (None, None));
    assert_eq!(said(r#","inspection":{"detected_damages":[]}"#), (Some(false), Some(0)));
    assert_eq!(said(r#","inspection":{"detected_damages":{}}"#), (Some(false), Some(0)));
    assert_eq!(said(r#","inspection":{"detected_damages":[{"uuid":"D"}]}"#), (Some(true), Some(1)));
    assert_eq!(said(r#","inspection":{"damages_overview":{"totalDamages":"3"}}"#), (None, Some(3)));
}

#[test]
fn flags_and_numbers_are_read_from_texts_and_other_text_stays() {
    for (approved, expected) in [
        (r#""1""#, "accepted"),
        ("1", "accepted"),
        ("true", "accepted"),
        (r#""0""#, "rejected"),
        (r#""false""#, "rejected"),
    ] {
        let events = result(&format!(r#","photos":[{{"photo_code":4,"approved":{approved}}}]"#));
        assert_eq!(
            events.last().map(|event| event.state_claim.clone()),
            Some(StateClaim::Exact(expected.into())),
            "{approved}"
        );
    }
    let events = result(r#","vehicle":{"vin":"V1","odom_reading":"12,345","year":"2020"}"#);
    assert_eq!((vehicle(&events).odometer, vehicle(&events).year), (None, Some(2020)));
    assert_eq!(details(&events[0]), [("vehicle", r#"{"odom_reading":"12,345"}"#)]);
}

#[test]
fn an_invalid_time_is_flagged_on_the_entity_it_belongs_to() {
    let events = result(r#","photos":[{"photo_code":4,"created_at":"soon"}]"#);
    let of_photo = events.iter().filter(|event| event.invalid_time).collect::<Vec<_>>();
    assert_eq!(of_photo.len(), 1);
    assert_eq!((of_photo[0].entity.entity_type, details(of_photo[0])), (PHOTO, vec![("created_at", r#""soon""#)]));
}

#[test]
fn a_flat_result_needs_no_event_and_a_nested_one_may_name_the_session_beside() {
    let flat = reading(r#"{"session_key":"K","status":"COMPLETE","theme":"LITE","vehicle":{"vin":"V"}}"#);
    assert_eq!((flat.event.as_str(), flat.events.len()), ("SESSION:COMPLETE", 3));
    assert_eq!(details(&flat.events[1]), [("theme", r#""LITE""#)]);
    let beside = reading(r#"{"event":"SESSION:COMPLETE","session_key":"K","session":{"status":"COMPLETE"}}"#);
    assert_eq!(beside.events[0].entity.external_id, "K");
}

#[test]
fn a_report_is_there_only_where_the_session_is_complete_or_names_one() {
    let reports = |status: &str, more: &str| {
        let body =
            format!(r#"{{"event":"SESSION:COMPLETE","session":{{"session_key":"K","status":"{status}"}}{more}}}"#);
        reading(&body).events.iter().filter(|event| event.entity.entity_type == REPORT).count()
    };
    assert_eq!(reports("COMPLETE", ""), 1);
    assert_eq!(reports("INVALID", ""), 0);
    assert_eq!(reports("INVALID", r#","condition_report":"https://x/r.pdf""#), 1);
}

#[test]
fn a_message_has_its_status_and_no_more() {
    let message = |status: &str| {
        let body = format!(
            r#"{{"event":"SESSION:SMS_PROCESS","session_key":"K","status":"{status}","message":"m","phone":"5"}}"#
        );
        let events = reading(&body).events;
        let Some(FactGroup::Message(message)) = events[0].facts.first().cloned() else { panic!("a message") };
        (message.status, message.error, details(&events[0]).len())
    };
    assert_eq!(message("success"), (Some("SENT".into()), None, 2));
    assert_eq!(message("ERROR"), (Some("FAILED".into()), Some("m".into()), 1));
    assert_eq!(message("queued"), (None, Some("m".into()), 1));
}

#[test]
fn every_state_can_be_reached() {
    for machine in VENDOR.machines {
        for state in machine.states {
            assert!(machine.path(START, state.name).is_some(), "{:?} {}", machine.entity_type, state.name);
        }
    }
}

#[test]
fn events_are_known_in_other_spellings_and_times_as_php_prints_an_object() {
    for event in ["SESSION:STATUS_CHANGE", "session:status_change", "SESSION_STATUS_CHANGE"] {
        let time = r#"{"date":"2024-05-01 12:00:00.000000","timezone_type":1,"timezone":"+02:00"}"#;
        let body = format!(r#"{{"event":"{event}","session_key":"K","status":"STARTED","timestamp":{time}}}"#);
        let reading = reading(&body);
        assert_eq!(reading.events[0].state_claim, StateClaim::Exact("STARTED".into()), "{event}");
        assert_eq!(reading.occurred_at.at.map(|at| at.timestamp()), Some(1_714_557_600), "{event}");
    }
}
