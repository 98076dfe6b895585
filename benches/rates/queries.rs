//! The queries of a dashboard that is open while webhooks arrive.

use crate::support::client::Connection;
use anyhow::{Context, ensure};
use serde_json::{Value, json};
use std::net::SocketAddr;

/// A page of the board, one inspection with its history, counts, and the newest changes.
pub async fn requests(hub: SocketAddr) -> anyhow::Result<Vec<Vec<u8>>> {
    let mut connection = Connection::open(hub).await?;
    let newest = ask(&mut connection, "{ inspections(first: 1) { nodes { id } } }").await?;
    let id = newest["inspections"]["nodes"][0]["id"].as_str().context("an inspection")?;
    let queries = [
        "{ inspections(first: 50) { nodes { id externalId vendor state status updatedAt } } }".to_owned(),
        format!(
            "{{ inspection(id: \"{id}\") {{ state status jobs(first: 10) {{ nodes {{ id status }} }} \
             history(last: 20) {{ nodes {{ position verdict toState reason }} }} }} }}"
        ),
        "{ inspections(first: 25, filter: { status: [IN_PROGRESS] }) { nodes { id updatedAt } } }".to_owned(),
        "{ statusCounts { status count } }".to_owned(),
        "{ changes(last: 50) { nodes { position event verdict toStatus } } }".to_owned(),
    ];
    for query in &queries {
        ask(&mut connection, query).await?;
    }
    Ok(queries.iter().map(|query| request(query)).collect())
}

/// All deliveries that the ledger has counted.
pub async fn received(connection: &mut Connection) -> anyhow::Result<i64> {
    let data = ask(connection, "{ sources { ledger { received } } }").await?;
    let sources = data["sources"].as_array().context("sources")?;
    Ok(sources.iter().filter_map(|source| source["ledger"]["received"].as_i64()).sum())
}

async fn ask(connection: &mut Connection, query: &str) -> anyhow::Result<Value> {
    let mut response: Value = serde_json::from_slice(connection.ask(&request(query)).await?)?;
    ensure!(response.get("errors").is_none(), "{query}: {response}");
    Ok(response["data"].take())
}

fn request(query: &str) -> Vec<u8> {
    let body = json!({ "query": query }).to_string();
    let length = body.len();
    let head = format!(
        "POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    );
    (head + &body).into_bytes()
}
