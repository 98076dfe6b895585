//! Hints over NATS, for very many processes: each publishes what it committed, so that the database has no listeners.
//!
//! Core NATS delivers at most once (<https://docs.nats.io/nats-concepts/core-nats>). A message is a hint, and the database is
//! the source of truth: a lost message costs the time until the feed polls, and nothing else.

use super::Feed;
use crate::store::StoreError;
use async_nats::{Client, ConnectOptions, Event};
use futures_util::StreamExt;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The subject of the hints. A message of another sender is only a reason to poll.
const SUBJECT: &str = "inspection_hub.positions";
/// The least interval between two hints: what is committed within it is published together.
const MIN_PUBLISH_INTERVAL: Duration = Duration::from_millis(2);

/// Connects, in the background if the server is unavailable: the hub does not need it. Fails if the address is invalid.
pub async fn connect(address: &str) -> Result<Client, StoreError> {
    let options =
        ConnectOptions::new().name("inspection-hub").retry_on_initial_connect().event_callback(log_connection_event);
    let client = options.connect(address).await;
    client.map_err(|error| StoreError::Configuration(format!("the address of NATS cannot be used: {error}")))
}

async fn log_connection_event(event: Event) {
    match event {
        Event::Disconnected => tracing::warn!("NATS disconnected; the feed polls once a second"),
        Event::Connected => tracing::info!("NATS connected"),
        other => tracing::debug!(%other, "NATS event"),
    }
}

/// Publishes and receives hints until it is cancelled.
pub async fn run(client: Client, feed: Arc<Feed>, stop: CancellationToken) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = publish_hints(&client, &feed) => {}
        () = receive_hints(&client, &feed) => {}
    }
}

async fn publish_hints(client: &Client, feed: &Feed) {
    let mut committed = feed.watch_committed();
    while committed.changed().await.is_ok() {
        let position = *committed.borrow_and_update();
        if let Err(error) = client.publish(SUBJECT, position.to_string().into()).await {
            tracing::debug!(%error, "a hint could not be published; other processes poll");
        }
        tokio::time::sleep(MIN_PUBLISH_INTERVAL).await;
    }
}

async fn receive_hints(client: &Client, feed: &Feed) {
    // The client restores the subscription when it reconnects.
    let Ok(mut messages) = client.subscribe(SUBJECT).await else { return };
    while let Some(message) = messages.next().await {
        let position = std::str::from_utf8(&message.payload).ok().and_then(|text| text.parse().ok());
        feed.wake(position.unwrap_or(i64::MAX));
    }
}
