//! Rust with reqwest and tokio-tungstenite: a list page by page, an error, and a subscription that resumes after an
//! interruption.
//!
//!     cargo run --example client [http://127.0.0.1:8080]

use anyhow::{Context, bail};
use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::time::Duration;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;

const INSPECTIONS: &str = "query Inspections($after: String) {
    head { cursor }
    inspections(first: 20, after: $after, orderBy: { field: CREATED_AT, direction: ASC }) {
        nodes { vendor externalId status }
        pageInfo { hasNextPage endCursor }
    }
}";

const CHANGED: &str = "subscription Changed($after: String) {
    inspectionChanged(after: $after) { cursor position toStatus inspection { vendor externalId } }
}";

#[derive(Deserialize)]
struct Inspections {
    head: Head,
    inspections: Page,
}

#[derive(Deserialize)]
struct Head {
    cursor: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    nodes: Vec<Inspection>,
    page_info: PageInfo,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageInfo {
    has_next_page: bool,
    end_cursor: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Inspection {
    vendor: String,
    external_id: String,
    status: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Changed {
    inspection_changed: Change,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Change {
    cursor: String,
    position: i64,
    to_status: Option<String>,
    inspection: Inspection,
}

/// The hub's response, by HTTP and in each message.
#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    data: Value,
    #[serde(default)]
    errors: Vec<Fault>,
}

#[derive(Debug, Deserialize, thiserror::Error)]
#[error("{message}")]
struct Fault {
    message: String,
    #[serde(default)]
    extensions: Extensions,
}

#[derive(Debug, Default, Deserialize)]
struct Extensions {
    code: Option<String>,
}

/// A message of the protocol `graphql-transport-ws`.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Received {
    ConnectionAck,
    Next { payload: Answer },
    Error { payload: Vec<Fault> },
    Complete,
    Ping,
    Pong,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    // reqwest is built without a TLS provider here; with its default features this line is not needed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let hub = std::env::args().nth(1).unwrap_or_else(|| "http://127.0.0.1:8080".to_owned());
    let mut cursor = list(&hub).await?;
    loop {
        follow(&hub, &mut cursor).await?;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Prints all inspections, and returns the cursor of the first page: changes during the
/// other pages arrive by the subscription.
async fn list(hub: &str) -> anyhow::Result<String> {
    let client = reqwest::Client::new();
    let (mut cursor, mut after) = (None, None);
    loop {
        let variables = json!({ "after": after });
        let Inspections { head, inspections } = ask(&client, hub, INSPECTIONS, variables).await?;
        cursor.get_or_insert(head.cursor);
        for row in &inspections.nodes {
            println!("inspection {} {} {}", row.vendor, row.external_id, row.status.as_deref().unwrap_or("-"));
        }
        if !inspections.page_info.has_next_page {
            break;
        }
        after = inspections.page_info.end_cursor;
    }
    let wrong = ask::<Inspections>(&client, hub, INSPECTIONS, json!({ "after": "nonsense" })).await;
    match wrong.map_err(|error| error.downcast::<Fault>()) {
        Err(Ok(fault)) => println!("error {}", fault.extensions.code.as_deref().unwrap_or("-")),
        Err(Err(error)) => return Err(error),
        Ok(_) => bail!("a wrong cursor was taken"),
    }
    cursor.context("no page")
}

async fn ask<Data: DeserializeOwned>(
    client: &reqwest::Client,
    hub: &str,
    query: &str,
    variables: Value,
) -> anyhow::Result<Data> {
    // By GET, which HTTP caches understand. Long queries use POST, as JSON.
    let parameters = [("query", query), ("variables", &variables.to_string())];
    let url = reqwest::Url::parse_with_params(&format!("{hub}/graphql"), parameters)?;
    let request = client.get(url).header("accept", "application/graphql-response+json");
    data(request.send().await?.json().await?)
}

fn data<Data: DeserializeOwned>(answer: Answer) -> anyhow::Result<Data> {
    match answer.errors.into_iter().next() {
        Some(fault) => Err(fault.into()),
        None => Ok(serde_json::from_value(answer.data)?),
    }
}

/// Prints each change after the cursor and advances the cursor, until the connection ends.
async fn follow(hub: &str, cursor: &mut String) -> anyhow::Result<()> {
    let mut request = format!("{}/graphql", hub.replacen("http", "ws", 1)).into_client_request()?;
    request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("graphql-transport-ws"));
    let Ok((mut socket, _)) = connect_async(request).await else { return Ok(()) };
    let send = |message: Value| Message::text(message.to_string());
    if socket.send(send(json!({ "type": "connection_init" }))).await.is_err() {
        return Ok(());
    }
    while let Some(Ok(message)) = socket.next().await {
        let Message::Text(text) = message else { continue };
        let answer = match serde_json::from_str(&text)? {
            Received::ConnectionAck => {
                let payload = json!({ "query": CHANGED, "variables": { "after": &*cursor } });
                Some(json!({ "id": "1", "type": "subscribe", "payload": payload }))
            }
            Received::Ping => Some(json!({ "type": "pong" })),
            Received::Pong => None,
            Received::Complete => return Ok(()),
            Received::Next { payload } => {
                let Changed { inspection_changed } = data(payload)?;
                let Change { cursor: newest, position, to_status, inspection } = inspection_changed;
                let Inspection { vendor, external_id, .. } = inspection;
                println!("change {position} {vendor} {external_id} {}", to_status.as_deref().unwrap_or("-"));
                *cursor = newest;
                None
            }
            Received::Error { payload } => match payload.into_iter().next() {
                // Resume after SLOW_CONSUMER; for any other error of the hub, a retry does not help.
                Some(fault) if fault.extensions.code.as_deref() != Some("SLOW_CONSUMER") => return Err(fault.into()),
                _ => return Ok(()),
            },
        };
        if let Some(answer) = answer
            && socket.send(send(answer)).await.is_err()
        {
            return Ok(());
        }
    }
    Ok(())
}
