//! The items of a transaction: photos, videos, signatures, identity documents, forms and files.

use crate::event::{Event, FactGroup, File, Form, Photo, VendorTime, Video};
use crate::machine::{EntityType, ItemKind};
use crate::vendor::fields::{JsonFields, ListEntry, content_id, last_entries_by_id, url_without_query};
use serde_json::value::RawValue;
use std::collections::HashSet;

// The lists of a transaction, with a parser for their entries, and whether an entry may be a URL in place of an object.
// Identity documents and files are items of one kind with separate ids.
const ITEM_LISTS: &[(&str, ItemKind, &str, ItemParser, bool)] = &[
    ("photos", ItemKind::Photo, "", parse_photo, true),
    ("videos", ItemKind::Video, "", parse_video, true),
    ("signatures", ItemKind::Signature, "", parse_file, true),
    ("ident_docs", ItemKind::File, "/ident_docs", parse_file, true),
    ("forms", ItemKind::Form, "", parse_form, false),
    ("files", ItemKind::File, "", parse_file, true),
];

type ItemParser = fn(&JsonFields<'_>) -> FactGroup;

/// The entries of a transaction's lists, as items of its session.
pub fn items(transaction: &JsonFields<'_>, id: &str, at: &VendorTime) -> Vec<Event> {
    let mut events = Vec::new();
    for (list, kind, within, read, may_be_url) in ITEM_LISTS {
        let owner = format!("{id}{within}");
        let item_id = |entry: &ListEntry<'_>, _| item_id(&owner, entry, *may_be_url);
        for (item, entry) in last_entries_by_id(transaction.list(list), &mut HashSet::new(), item_id) {
            let event = Event::new(EntityType::Item(*kind), item)
                .inspection(id)
                .parent(EntityType::Session, id)
                .occurred_at(at);
            events.push(match entry.object() {
                Some(fields) => {
                    fields.id("id");
                    event.fact(read(&fields)).details(fields.unread_details())
                }
                None => {
                    entry.text();
                    let object = format!(r#"{{"url":{}}}"#, entry.peek().get());
                    event.fact(read(&JsonFields::parse_body(object.as_bytes()).unwrap_or_default()))
                }
            });
        }
    }
    events
}

// An entry without an id is identified by its URL, and without one by its content. An empty entry is no item.
fn item_id(owner: &str, entry: &ListEntry<'_>, may_be_url: bool) -> Option<String> {
    let Some(fields) = entry.object() else {
        return entry.peek_text().filter(|_| may_be_url).map(|url| content_id(owner, url_without_query(&url)));
    };
    if fields.is_fully_read() {
        return None;
    }
    let url = || fields.peek_text("url").or_else(|| fields.peek_text("front_image"));
    Some(match (fields.peek_numeric_id("id"), url()) {
        (Some(id), _) => format!("{owner}/{id}"),
        (None, Some(url)) => content_id(owner, url_without_query(&url)),
        (None, None) => content_id(owner, entry.peek().get()),
    })
}

fn parse_photo(photo: &JsonFields<'_>) -> FactGroup {
    let (latitude, longitude) = coordinates(photo);
    FactGroup::Photo(Photo {
        url: photo.text("url"),
        label: photo.text("notation"),
        code: photo.id("instruction_id"),
        taken_at: photo.time("created_at"),
        bytes: photo.number("byte_size"),
        latitude,
        longitude,
        ..Photo::default()
    })
}

fn parse_video(video: &JsonFields<'_>) -> FactGroup {
    FactGroup::Video(Video {
        url: video.text("url"),
        thumbnail_url: video.text("thumbnail_url"),
        taken_at: video.time("created_at"),
    })
}

// An identity document has no `url`, but an image of its front.
fn parse_file(file: &JsonFields<'_>) -> FactGroup {
    FactGroup::File(File {
        url: file.text("url").or_else(|| file.text("front_image")),
        name: file.text("name"),
        created_at: file.time("created_at"),
    })
}

fn parse_form(form: &JsonFields<'_>) -> FactGroup {
    FactGroup::Form(Form {
        template_id: form.object("form_template").and_then(|template| template.numeric_id("id")),
        values: form.json("values").map(Into::into),
        filled_at: form.time("created_at"),
    })
}

/// Latitude and longitude of `geo_coord`, which is [longitude, latitude]. Other values stay unread.
pub fn coordinates(of: &JsonFields<'_>) -> (Option<f64>, Option<f64>) {
    let degrees = |value: &&RawValue| value.get().trim_matches('"').trim().parse::<f64>().ok();
    match of.peek_values("geo_coord").iter().map(degrees).collect::<Option<Vec<_>>>().as_deref() {
        Some([longitude, latitude, more @ ..]) if longitude.abs() <= 180.0 && latitude.abs() <= 90.0 => {
            if more.is_empty() {
                of.mark_read("geo_coord");
            }
            (Some(*latitude), Some(*longitude))
        }
        _ => (None, None),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{details, ids, transaction};
    use super::*;
    use crate::vendor::fields::parse_timestamp;

    #[test]
    fn everything_in_the_lists_is_an_item_of_the_session() {
        let fields = r#","photos":[{"id":"1","url":"https://p","notation":"scratch","instruction_id":"left",
            "byte_size":638570,"geo_coord":[-122.4,37.7],"created_at":"2024-01-19T17:44:55.000Z","new":1},{}],
            "videos":[{"id":"1","thumbnail_url":"https://t"}],"signatures":[{"id":"1"}],
            "ident_docs":[{"id":"1","front_image":"https://i"}],"files":[{"id":"1","name":"a.pdf"}],
            "forms":[{"id":"1","transaction_id":"40849","form_template":{"id":"706"},"values":{"A":false}}]"#;
        let events = transaction("create", fields);
        let items = events.get(2..).expect("items");
        let kinds = [
            (ItemKind::Photo, "40849/1"),
            (ItemKind::Video, "40849/1"),
            (ItemKind::Signature, "40849/1"),
            (ItemKind::File, "40849/ident_docs/1"),
            (ItemKind::Form, "40849/1"),
            (ItemKind::File, "40849/1"),
        ];
        assert_eq!(ids(items), kinds.map(|(kind, id)| (EntityType::Item(kind), id)));
        for item in items {
            assert_eq!(item.parent.as_ref().map(|parent| parent.entity_type), Some(EntityType::Session));
            assert_eq!(item.inspection_external_id.as_deref(), Some("40849"));
        }
        let photo = Photo {
            url: Some("https://p".into()),
            label: Some("scratch".into()),
            code: Some("left".into()),
            taken_at: parse_timestamp("2024-01-19T17:44:55Z"),
            bytes: Some(638_570.0),
            latitude: Some(37.7),
            longitude: Some(-122.4),
            ..Photo::default()
        };
        assert_eq!((&items[0].facts[..], details(&items[0])), (&[FactGroup::Photo(photo)][..], vec!["new"]));
        let form = Form {
            template_id: Some("706".into()),
            values: Some(serde_json::json!({"A": false}).into()),
            filled_at: None,
        };
        assert_eq!((&items[4].facts[..], details(&items[4])), (&[FactGroup::Form(form)][..], vec!["transaction_id"]));
        let nameless = transaction("create", r#","photos":{"url":"https://p"}"#);
        assert_eq!(ids(&nameless)[2].1, content_id("40849", "https://p"));
        let signed = transaction("create", r#","photos":["https://p?X-Signature=1&X-Expires=2"]"#);
        assert_eq!(ids(&signed)[2].1, ids(&nameless)[2].1);
        let fields = r#","photos":{"0":{"id":"07","notation":"old"},"3":{"id":7.0,"notation":"new"}},"forms":["x"]"#;
        let twice = transaction("create", fields);
        assert_eq!(ids(&twice).get(2..), Some(&[(EntityType::Item(ItemKind::Photo), "40849/7")][..]));
        assert_eq!(details(&twice[0]), ["photos", "forms"]);
    }
}
