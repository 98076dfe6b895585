//! The result of a session: vehicle, location, pictures, damages. Its objects are next to the session or in it, the vehicle
//! often in both places.

use super::{PHOTO, PaveDelivery, REFERENCE_PATHS};
use crate::event::{Damage, Document, Event, Location, Photo, Summary, Vehicle};
use crate::machine::{EntityType, ItemKind};
use crate::vendor::fields::{JsonFields, LayeredFields, ListEntry, content_id, last_entries_by_id, url_without_query};
use crate::vendor::read_reference;
use std::collections::HashSet;
use uuid::Uuid;

const DAMAGE: EntityType = EntityType::Item(ItemKind::Damage);

pub fn complete(delivery: &PaveDelivery<'_>) -> Vec<Event> {
    let PaveDelivery { body_first: places, session_first: own, .. } = delivery;
    let status = own.text("status").unwrap_or_else(|| "COMPLETE".into());
    let result = places.object("inspection");
    let damages: Vec<Event> = list_entries_with_id(&result, "detected_damages", damage_id)
        .into_iter()
        .map(|(id, entry)| damage(delivery, &id, &entry))
        .collect();
    let photos = list_entries_with_id(places, "photos", |entry, _| photo_id(entry));
    let photos: Vec<Event> = photos.into_iter().map(|(id, entry)| photo(delivery, &id, &entry)).collect();

    let overview = result.object("damages_overview");
    // An empty list means that there is no damage. Without a list, or with unreadable entries only, nothing is known.
    let none = result.iter().any(|result| result.is_empty_list("detected_damages"));
    let count = if none || !damages.is_empty() { i32::try_from(damages.len()).ok() } else { None };
    let report_url = places.text("condition_report");
    let found: Vec<&JsonFields<'_>> = places.iter().collect();
    let total = overview.integer("totalDamages");
    let summary = Summary {
        started_at: own.time("inspect_started_at"),
        ended_at: own.time("inspect_ended_at"),
        capture_seconds: own.number("capture_duration"),
        damaged: count.map(|count| count > 0 || total.is_some_and(|total| total > 0)),
        damage_count: total.or(count),
        worst_grade: overview.number("maxGradePerItem"),
        total_grade: overview.number("maxTotalGrade"),
        report_url: report_url.clone(),
        landing_url: places.text("landing_page"),
        ..Summary::default()
    };
    let mut inspection = delivery
        .inspection()
        .state(&status)
        .reference(read_reference(&found, REFERENCE_PATHS))
        .fact(vehicle(&places.object("vehicle")))
        .fact(location(&places.object("location")))
        .fact(summary);
    for result in result.iter() {
        inspection.add_details(result.unread_details());
    }
    let mut session = delivery.session().state(&status);
    for options in places.object("options").iter() {
        session.add_details(options.unread_details());
    }
    session.add_details(delivery.session.unread_details());
    // A flat body has no unread fields here.
    inspection.add_details(delivery.body.unread_details());

    let mut events = vec![inspection, session];
    if status == "COMPLETE" || report_url.is_some() {
        events.push(delivery.report().state("COMPLETE").fact(Document { url: report_url, error: None }));
    }
    events.extend(photos);
    events.extend(damages);
    events
}

/// The entries of a list in all its places, each with its id. Where several have one id, the first place wins.
fn list_entries_with_id<'a>(
    places: &LayeredFields<'a>,
    list: &str,
    id: impl Fn(&ListEntry<'a>, usize) -> Option<String>,
) -> Vec<(String, ListEntry<'a>)> {
    let mut seen = HashSet::new();
    places.iter().flat_map(|fields| last_entries_by_id(fields.list(list), &mut seen, &id)).collect()
}

// A picture without a code is identified by its URL, and without one by its content. An empty entry is no picture.
fn photo_id(entry: &ListEntry<'_>) -> Option<String> {
    let Some(photo) = entry.object() else {
        return entry.peek_text().map(|url| content_id("photo", url_without_query(&url)));
    };
    if photo.is_fully_read() {
        return None;
    }
    let url = || photo.peek_text("url").or_else(|| photo.peek_text("cdn_url"));
    let code = photo.peek_numeric_id("photo_code");
    code.or_else(|| Some(content_id("photo", url_without_query(&url()?))))
        .or_else(|| Some(content_id("photo", entry.peek().get())))
}

fn photo(delivery: &PaveDelivery<'_>, id: &str, entry: &ListEntry<'_>) -> Event {
    let Some(photo) = entry.object() else {
        return delivery.item(PHOTO, id).fact(Photo { url: entry.text(), ..Photo::default() });
    };
    let verdict = photo.boolean("approved").map(|approved| if approved { "accepted" } else { "rejected" });
    let fact = Photo {
        url: photo.text("url").or_else(|| photo.text("cdn_url")),
        label: photo.text("photo_label"),
        code: photo.numeric_id("photo_code"),
        verdict: verdict.map(str::to_owned),
        message: photo.text("approved_message").or_else(|| photo.text("reason")),
        taken_at: photo.time("created_at"),
        ..Photo::default()
    };
    delivery.item(PHOTO, id).fact(fact).state_if_known(verdict).details(photo.unread_details())
}

// A damage without an id is identified by its index in the list; one that is a string by that string.
fn damage_id(entry: &ListEntry<'_>, number: usize) -> Option<String> {
    let Some(damage) = entry.object() else {
        return entry.peek_text().map(|text| content_id("damage", text.trim()));
    };
    if damage.is_fully_read() {
        return None;
    }
    let id = damage.peek_numeric_id("uuid").or_else(|| damage.peek_numeric_id("id"));
    // UUIDs are case-insensitive.
    let id = id.map(|id| Uuid::try_parse(&id).map_or(id, |uuid| uuid.to_string()));
    Some(id.unwrap_or_else(|| number.to_string()))
}

fn damage(delivery: &PaveDelivery<'_>, id: &str, entry: &ListEntry<'_>) -> Event {
    let Some(damage) = entry.object() else {
        return delivery.item(DAMAGE, id).fact(Damage { name: entry.text(), ..Damage::default() });
    };
    // It is the item's id.
    if damage.id("uuid").is_none() {
        damage.id("id");
    }
    let photo = damage.object("photo").unwrap_or_default();
    let fact = Damage {
        part_group: damage.text("damage_group"),
        component: damage.text("component_label").or_else(|| damage.text("component")),
        name: damage.text("label").or_else(|| damage.text("damage_name")),
        description: damage.text("description"),
        repair_method: damage.text("repair_method"),
        grade: damage.number("grade_score"),
        cost: damage.number("total"),
        labor_hours: damage.number("labor_hrs"),
        photo_code: photo.numeric_id("code").or_else(|| damage.numeric_id("photo_code")),
        photo_url: photo.text("url"),
        cropped_url: damage.text("cropped_url"),
    };
    delivery.item(DAMAGE, id).fact(fact).details(damage.unread_details())
}

fn vehicle(vehicle: &LayeredFields<'_>) -> Vehicle {
    Vehicle {
        vin: vehicle.id("vin"),
        plate: vehicle.text("vrm"),
        year: vehicle.integer("year"),
        make: vehicle.text("make"),
        model: vehicle.text("model"),
        trim: vehicle.text("trim"),
        body_type: vehicle.text("body_type"),
        transmission: vehicle.text("transmission"),
        drivetrain: vehicle.text("drivetrain"),
        engine: vehicle.text("engine_type"),
        fuel: vehicle.text("fuel_type"),
        exterior_color: vehicle.text("ext_col"),
        interior_color: vehicle.text("int_col"),
        odometer: vehicle.number("odom_reading"),
        odometer_unit: vehicle.text("odom_unit"),
    }
}

fn location(location: &LayeredFields<'_>) -> Location {
    Location {
        address: location.text("address"),
        city: location.text("city"),
        region: location.text("state"),
        post_code: location.text("post_code"),
        country: location.text("country"),
        latitude: location.number("latitude"),
        longitude: location.number("longitude"),
        ..Location::default()
    }
}
