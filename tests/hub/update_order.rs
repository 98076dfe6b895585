//! Lists in the order of updates: exact after many changes, after a rebuild and after a restart, and little of what the table of
//! that order has is obsolete.

use crate::rebuild::rebuild;
use crate::test_hub::TestHub;
use crate::vendor_client::delivery_body;
use entity::entity::{Column, Entity};
use entity::{Kind, Status, update_order};
use futures_util::StreamExt;
use sea_orm::{ColumnTrait, DatabaseConnection, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder};

/// Rows that may be obsolete before they are deleted, many at once.
const MAX_OBSOLETE: u64 = 2048;
/// Each has up to four deliveries, and a session that changes with it.
const INSPECTIONS: usize = 360;

/// The external ids of a list, read page by page.
async fn page_through(app: &TestHub, list: &str, filter: &str) -> Vec<String> {
    let (mut keys, mut after) = (Vec::new(), String::new());
    loop {
        let query = format!(
            "{{ {list}(first: 90, filter: {{ {filter} }} {after}) {{ nodes {{ externalId }} pageInfo {{ hasNextPage endCursor }} }} }}"
        );
        let page = app.query(&query).await[list].clone();
        let nodes = page["nodes"].as_array().expect("nodes").iter();
        keys.extend(nodes.map(|node| node["externalId"].as_str().expect("a key").to_owned()));
        if page["pageInfo"]["hasNextPage"] == false {
            return keys;
        }
        after = format!("after: {}", page["pageInfo"]["endCursor"]);
    }
}

/// Every list is what the entities say.
async fn assert_exact(app: &TestHub, db: &DatabaseConnection) {
    for (list, kind) in [("inspections", Kind::Inspection), ("sessions", Kind::Session)] {
        let all = Entity::find().filter(Column::Kind.eq(kind)).order_by_desc(Column::Position);
        let all = all.all(db).await.expect("entities");
        let statuses = update_order::statuses(kind).iter().flatten();
        let pairs = statuses.clone().flat_map(|one| statuses.clone().map(move |other| vec![*one, *other]));
        for statuses in pairs.step_by(7).map(Some).chain([None]) {
            let words =
                |statuses: &Vec<Status>| statuses.iter().map(|status| status.as_str()).collect::<Vec<_>>().join(", ");
            let filter = statuses.as_ref().map(|statuses| format!("status: [{}]", words(statuses))).unwrap_or_default();
            let fits = |row: &&entity::entity::Model| {
                statuses.as_ref().is_none_or(|statuses| row.status.is_some_and(|status| statuses.contains(&status)))
            };
            let expected: Vec<String> = all.iter().filter(fits).map(|row| row.external_id.clone()).collect();
            assert_eq!(page_through(app, list, &filter).await, expected, "{list} {filter}");
        }
    }
}

async fn obsolete(db: &DatabaseConnection) -> u64 {
    let places = update_order::Entity::find().count(db).await.expect("places");
    let items = Entity::find().filter(Column::Kind.eq(Kind::Item)).count(db).await.expect("items");
    // All but items are in two lists.
    places - 2 * Entity::find().count(db).await.expect("entities") + items
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_by_update_are_exact_and_little_is_obsolete() {
    let app = TestHub::start().await;
    // A quarter of the inspections stays in each state.
    let numbers = (0..INSPECTIONS * 4).filter(|number| number % 4 <= number / 4 % 4);
    let sent = futures_util::stream::iter(numbers).map(|number| app.post("pave", delivery_body(number)));
    sent.buffer_unordered(8).for_each(async |response| assert_eq!(response.status, 200)).await;
    let db = sea_orm::Database::connect(&app.database.address).await.expect("the database");
    assert_exact(&app, &db).await;
    let left = obsolete(&db).await;
    assert!(0 < left && left < MAX_OBSOLETE, "{left} obsolete places");

    // A rebuild that changes nothing, and one that replaces every table.
    for flags in [&[][..], &["--full"]] {
        let (code, text) = rebuild(&app.database, flags);
        assert_eq!(code, Some(0), "{text}");
        assert_exact(&app, &db).await;
    }
    assert_eq!(obsolete(&db).await, 0);
    let app = app.restart().await;
    assert_exact(&app, &db).await;
}
