//! Rows that are asked for plain fields only take a shorter way (`graphql/node_list.rs`). It must lead to the same.

use super::*;

/// Plain fields of each list, one of them twice and under another name.
const LISTS: &[(&str, &str, &str)] = &[
    (
        "inspections",
        "Inspection",
        "id __typename vendor source externalId reference group state status cycle createdAt updatedAt occurredAt position \
         details id again: id",
    ),
    ("jobs", "Job", "id kind state status details"),
    ("items", "Item", "__typename kind id externalId state details position"),
    ("changes", "Change", "position entityId reason verdict fromState toState receivedAt occurredAt event"),
    ("deliveries", "Delivery", "id source verdict reason event receivedAt duplicates"),
];

async fn fixture() -> ApiFixture {
    let hub = ApiFixture::new().await;
    hub.inspection(1).await;
    hub.entity(2, EntityType::Inspection, |row| row.status = None).await;
    for (number, subject) in [(3, REPORT), (4, PHOTO), (5, PHOTO)] {
        hub.entity(number, subject, |row| row.inspection_row_id = Some(1)).await;
    }
    for position in 1..=5 {
        hub.change(position, Kind::Inspection, position, |_| {}).await;
    }
    hub.delivery(1, 1, 5, |_| {}).await;
    hub
}

/// The answer, errors by their paths, and how many statements it took.
async fn answer(hub: &ApiFixture, query: String) -> (Value, Vec<(String, String)>, usize) {
    hub.statements.lock().expect("a log").clear();
    let response = hub.graph.execute(Request::new(query)).await;
    let mut errors: Vec<_> =
        response.errors.iter().map(|error| (format!("{:?}", error.path), code_of(error))).collect();
    errors.sort();
    let statements = hub.statements.lock().expect("a log").len();
    (response.data.into_json().expect("JSON"), errors, statements)
}

fn code_of(error: &async_graphql::ServerError) -> String {
    error.extensions.as_ref().and_then(|extensions| extensions.get("code")).map(ToString::to_string).unwrap_or_default()
}

#[tokio::test]
async fn plain_rows_are_what_other_rows_are() {
    let hub = fixture().await;
    for (list, ty, fields) in LISTS {
        let plain = answer(&hub, format!("{{ {list} {{ nodes {{ {fields} }} }} }}")).await;
        let other = answer(&hub, format!("{{ {list} {{ nodes {{ ... on {ty} {{ {fields} }} }} }} }}")).await;
        assert_eq!(plain, other, "{list}");
        assert_eq!(plain.1, [], "{list}");
        let rows = plain.0[list]["nodes"].as_array().expect("rows").len();
        assert!(rows >= 1 && (*list != "changes" || rows == 5), "{list}: {rows}");
    }
}

#[tokio::test]
async fn a_plain_field_that_fails_is_told_of_as_any_other() {
    let hub = fixture().await;
    let broken = "UPDATE entity SET details = '{' WHERE row_id IN (2, 4)";
    sea_orm::ConnectionTrait::execute_unprepared(&hub.writer, broken).await.expect("broken");
    for (list, ty) in [("inspections", "Inspection"), ("items", "Item")] {
        let plain = answer(&hub, format!("{{ {list} {{ nodes {{ id details }} }} }}")).await;
        let other = answer(&hub, format!("{{ {list} {{ nodes {{ ... on {ty} {{ id details }} }} }} }}")).await;
        assert_eq!(plain, other, "{list}");
        assert_eq!(plain.1.len(), 1, "{list}: {:?}", plain.1);
        assert!(plain.1[0].1.contains("INTERNAL"), "{:?}", plain.1);
    }
}
