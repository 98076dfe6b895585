//! What hangs on a transaction: photos, videos, signatures, identity documents, forms and files.

use crate::event::{Event, Fact, File, Form, Photo, Video};
use crate::machine::{ItemKind, Subject};
use crate::vendor::fields::{Fields, identity};
use chrono::{DateTime, Utc};
use serde_json::value::RawValue;

// The lists of a transaction. Identity documents and files are items of one kind, but have ids of their own each.
const LISTS: &[(&str, ItemKind, &str, ReadItem)] = &[
    ("photos", ItemKind::Photo, "", read_photo),
    ("videos", ItemKind::Video, "", read_video),
    ("signatures", ItemKind::Signature, "", read_file),
    ("ident_docs", ItemKind::File, "/ident_docs", read_file),
    ("forms", ItemKind::Form, "", read_form),
    ("files", ItemKind::File, "", read_file),
];

type ReadItem = fn(&Fields<'_>) -> Fact;

/// The entries of a transaction's lists, as items of its session.
pub fn items(transaction: &Fields<'_>, id: &str, at: Option<DateTime<Utc>>) -> Vec<Event> {
    let mut events = Vec::new();
    for (list, kind, within, read) in LISTS {
        for raw in transaction.values(list) {
            let Ok(entry) = Fields::of_body(raw.get().as_bytes()) else { continue };
            if entry.is_spent() {
                continue;
            }
            let owner = format!("{id}{within}");
            let item = entry.id("id").map_or_else(|| identity(&owner, raw.get()), |item| format!("{owner}/{item}"));
            let event = Event::about(Subject::Item(*kind), item).of(id).under(Subject::Session, id).at(at);
            events.push(event.fact(read(&entry)).details(entry.rest()));
        }
    }
    events
}

fn read_photo(photo: &Fields<'_>) -> Fact {
    let (latitude, longitude) = coordinates(photo);
    Fact::Photo(Photo {
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

fn read_video(video: &Fields<'_>) -> Fact {
    Fact::Video(Video {
        url: video.text("url"),
        thumbnail_url: video.text("thumbnail_url"),
        taken_at: video.time("created_at"),
    })
}

// An identity document has no `url`, but an image of its front.
fn read_file(file: &Fields<'_>) -> Fact {
    Fact::File(File {
        url: file.text("url").or_else(|| file.text("front_image")),
        name: file.text("name"),
        created_at: file.time("created_at"),
    })
}

fn read_form(form: &Fields<'_>) -> Fact {
    form.skip("transaction_id");
    Fact::Form(Form {
        template_id: form.object("form_template").and_then(|template| template.id("id")),
        values: form.json("values").map(Into::into),
        filled_at: form.time("created_at"),
    })
}

/// `geo_coord` is [longitude, latitude]; answers latitude and longitude.
pub fn coordinates(of: &Fields<'_>) -> (Option<f64>, Option<f64>) {
    let degrees = |value: &&RawValue| value.get().trim_matches('"').parse::<f64>().ok();
    match of.values("geo_coord").iter().map(degrees).collect::<Option<Vec<_>>>().as_deref() {
        Some([longitude, latitude, ..]) if longitude.abs() <= 180.0 && latitude.abs() <= 90.0 => {
            (Some(*latitude), Some(*longitude))
        }
        _ => (None, None),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{details, ids, transaction};
    use super::*;
    use crate::vendor::fields::moment;

    #[test]
    fn everything_in_the_lists_is_an_item_of_the_session() {
        let fields = r#","photos":[{"id":"1","url":"https://p","notation":"scratch","instruction_id":"left",
            "byte_size":638570,"geo_coord":[-122.4,37.7],"created_at":"2024-01-19T17:44:55.000Z","new":1},{}],
            "videos":[{"id":"1","thumbnail_url":"https://t"}],"signatures":[{"id":"1"}],
            "ident_docs":[{"id":"1","front_image":"https://i"}],"files":[{"id":"1","name":"a.pdf"},"x"],
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
        assert_eq!(ids(items), kinds.map(|(kind, id)| (Subject::Item(kind), id)));
        for item in items {
            assert_eq!(item.parent.as_ref().map(|parent| parent.subject), Some(Subject::Session));
            assert_eq!(item.inspection.as_deref(), Some("40849"));
        }
        let photo = Photo {
            url: Some("https://p".into()),
            label: Some("scratch".into()),
            code: Some("left".into()),
            taken_at: moment("2024-01-19T17:44:55Z"),
            bytes: Some(638_570.0),
            latitude: Some(37.7),
            longitude: Some(-122.4),
            ..Photo::default()
        };
        assert_eq!((&items[0].facts[..], details(&items[0])), (&[Fact::Photo(photo)][..], vec!["new"]));
        let form = Form {
            template_id: Some("706".into()),
            values: Some(serde_json::json!({"A": false}).into()),
            filled_at: None,
        };
        assert_eq!((&items[4].facts[..], details(&items[4])), (&[Fact::Form(form)][..], vec![]));
        let nameless = transaction("create", r#","photos":{"url":"https://p"}"#);
        assert_eq!(ids(&nameless)[2].1, identity("40849", r#"{"url":"https://p"}"#));
    }
}
