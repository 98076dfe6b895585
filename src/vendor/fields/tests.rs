use super::*;
use crate::event::Event;
use crate::machine::EntityType;

fn fields(text: &str) -> JsonFields<'_> {
    JsonFields::parse_body(text.as_bytes()).expect("an object")
}

#[test]
fn ids_keep_every_digit() {
    let body = fields(r#"{"a": 98765432109876543210, "b": "x ", "c": 1.5, "d": "", "e": true}"#);
    let ids: Vec<_> = ["a", "b", "c", "d", "e"].iter().map(|name| body.id(name)).collect();
    assert_eq!(ids, [Some("98765432109876543210".into()), Some("x".into()), None, None, None]);
}

fn left(fields: &JsonFields<'_>) -> Vec<(String, String)> {
    let event = Event::new(EntityType::Inspection, "1").details(fields.unread_details());
    event.details.into_iter().map(|(name, value)| (name, value.get().to_owned())).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn what_was_not_read_or_not_usable_is_the_rest() {
    let body = fields(r#"{"state": "working", "job_id": [1], "hours": 1.5, "gone": null}"#);
    assert_eq!(body.text("state").as_deref(), Some("working"));
    assert_eq!(body.id("job_id"), None);
    assert_eq!(left(&body), pairs(&[("job_id", "[1]"), ("hours", "1.5")]));
    assert_eq!(left(&body), []);
}

#[test]
fn what_is_left_of_parts_is_left_of_the_whole() {
    let text = r#"{"a": {"b": {"c": 1, "d": 2}, "e": 3}, "l": [{"f": 4, "g": 5}, {"f": 6}, "h", null], "o": {"f": 7}}"#;
    let body = fields(text);
    let inner = body.object("a").and_then(|a| a.object("b")).expect("an object");
    assert_eq!(inner.integer("c"), Some(1));
    for entry in body.list("l") {
        entry.object().map(|entry| entry.integer("f"));
    }
    assert_eq!(body.objects("o").first().and_then(|o| o.integer("f")), Some(7));
    let expected = [("a", r#"{"b":{"d":2},"e":3}"#), ("l", r#"[{"g":5},"h"]"#)];
    assert_eq!(left(&body), pairs(&expected));
    // What was returned for a part is not returned for the whole.
    let body = fields(text);
    let a = body.object("a").expect("an object");
    assert_eq!(left(&a.object("b").expect("an object")), pairs(&[("c", "1"), ("d", "2")]));
    assert_eq!(left(&body).first(), pairs(&[("a", r#"{"e":3}"#)]).first());
}

#[test]
fn what_php_prints_with_gaps_is_a_list() {
    let body =
        fields(r#"{"a": {"0": {"n": 1}, "2": {"n": 2}}, "b": {"n": 3}, "c": "x", "d": {}, "e": {"1": 1, "n": 4}}"#);
    let numbers = |name: &str| body.objects(name).iter().map(|o| o.integer("n")).collect::<Vec<_>>();
    assert_eq!(numbers("a"), [Some(1), Some(2)]);
    assert_eq!(numbers("b"), [Some(3)]);
    assert_eq!(body.list("c").first().and_then(ListEntry::text).as_deref(), Some("x"));
    assert!(body.list("d").is_empty() && body.values("d").is_empty());
    assert_eq!(numbers("e"), [Some(4)]);
    assert_eq!(left(&body), pairs(&[("e", r#"{"1":1}"#)]));
    let body = fields(r#"{"a": {"0": 1, "5": 2}}"#);
    assert_eq!(body.values("a").iter().map(|value| value.get()).collect::<Vec<_>>(), ["1", "2"]);
}

#[test]
fn one_number_is_one_id_however_it_is_spelled() {
    let body = fields(
        r#"{"a": 4, "b": "04", "c": " 4 ", "d": 4.0, "e": "4.00", "f": "0004", "g": "00", "h": "4a", "i": "-04"}"#,
    );
    let ids: Vec<_> =
        ["a", "b", "c", "d", "e", "f", "g", "h", "i"].map(|name| body.numeric_id(name)).into_iter().flatten().collect();
    assert_eq!(ids, ["4", "4", "4", "4", "4", "4", "0", "4a", "-04"]);
}

#[test]
fn flags_and_numbers_are_read_from_texts_and_the_rest_stays() {
    let body = fields(
        r#"{"a": "1", "b": "FALSE", "c": 0, "d": " yes ", "e": "no", "f": "maybe", "g": "12.5 ", "h": "12,345", "i": "12 km",
            "j": 12345678901234567890, "k": "1e3", "l": "NaN", "m": "34121.0", "n": "34121.5"}"#,
    );
    assert_eq!(
        ["a", "b", "c", "d", "e", "f"].map(|name| body.boolean(name)),
        [Some(true), Some(false), Some(false), Some(true), Some(false), None]
    );
    assert_eq!(
        ["g", "h", "i", "j", "k", "l"].map(|name| body.number(name)),
        [Some(12.5), None, None, None, Some(1000.0), None]
    );
    assert_eq!(["m", "n"].map(|name| body.integer(name)), [Some(34121), None]);
    let names: Vec<_> = left(&body).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["f", "h", "i", "j", "l", "n"]);
}

#[test]
fn an_invalid_time_stays_unread_and_is_flagged() {
    let body =
        fields(r#"{"at": "soon", "taken_at": {"x": 1}, "blank": " ", "none": null, "good": "2024-05-01T10:00Z"}"#);
    let at = body.vendor_time("at");
    assert_eq!((at.at, at.raw_field.as_deref().map(|stated| stated.field.as_str())), (None, Some("at")));
    assert!(["blank", "none", "absent"].iter().all(|name| body.vendor_time(name).raw_field.as_deref().is_none()));
    assert!(["blank", "none", "absent"].iter().all(|name| body.time(name).is_none()));
    assert!(body.time("good").is_some());
    let rest = body.unread_details();
    assert!(!rest.invalid_time, "the ordering time says it by itself");
    let body = fields(r#"{"photo": {"taken_at": "soon"}}"#);
    assert_eq!(body.object("photo").and_then(|photo| photo.time("taken_at")), None);
    let event = Event::new(EntityType::Inspection, "1").details(body.unread_details());
    assert!(event.invalid_time);
    assert_eq!(event.details.len(), 1);
}

#[test]
fn text_that_no_database_keeps_is_replaced() {
    let body = fields(r#"{"a": "x\u0000y", "b": "x\ud800y", "\ud800": 1}"#);
    assert_eq!(body.text("a").as_deref(), Some("x\u{fffd}y"));
    assert!(body.text("b").is_some_and(|text| text.starts_with('x') && text.contains('\u{fffd}')));
}

#[test]
fn any_json_can_be_printed_again() {
    let body =
        fields(r#"{"d": {"n": 1e400, "i": 123456789012345678901234567890, "s": "\ud800", "k": [1, 2.5, null]}}"#);
    let json = body.json("d").expect("a value");
    assert_eq!(json["n"], "1e400");
    assert_eq!(json["i"], "123456789012345678901234567890");
    assert_eq!(json["k"], serde_json::json!([1, 2.5, null]));
}

#[test]
fn bodies_that_are_no_object_say_how() {
    let why = |body: &[u8]| JsonFields::parse_body(body).expect_err("unreadable").0;
    assert_eq!(why(b"{\"a\": \xff}"), "the body is not UTF-8 from byte 6 on");
    assert_eq!(why(b"[1]"), "the body is JSON, but not an object");
    assert_eq!(why(b"{\"a\": 1"), "the body is not JSON: line 1, column 7");
    assert_eq!(why(format!("{{\"a\":{}", "[".repeat(200)).as_bytes()), "the body is nested deeper than 128 levels");
}
