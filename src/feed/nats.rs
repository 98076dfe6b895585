//! Between very many processes: each tells the others over NATS what it wrote, so that the database has no listeners.
//!
//! Core NATS, at most once (<https://docs.nats.io/nats-concepts/core-nats>): what is said is a hint, and the database stays
//! the truth. What NATS loses costs the time until the feed looks by itself, and nothing else.

use super::Feed;
use crate::store::StoreError;
use async_nats::{Client, ConnectOptions, Event};
use futures_util::StreamExt;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// What hubs tell each other stands under this subject. What others say there is only a reason to look.
const SUBJECT: &str = "inspection_hub.positions";
/// Between two hints at least: what is written meanwhile is told together.
const MIN_PUBLISH_INTERVAL: Duration = Duration::from_millis(2);

/// Connects, in the background if the server is away: the hub does not need it.
///
/// # Errors
/// If the address is none.
pub async fn connect(address: &str) -> Result<Client, StoreError> {
    let options =
        ConnectOptions::new().name("inspection-hub").retry_on_initial_connect().event_callback(log_connection_event);
    let client = options.connect(address).await;
    client.map_err(|error| StoreError::OpenFailed(format!("the address of NATS cannot be used: {error}")))
}

async fn log_connection_event(event: Event) {
    match event {
        Event::Disconnected => tracing::warn!("NATS is away; the feed looks once a second"),
        Event::Connected => tracing::info!("NATS is there"),
        other => tracing::debug!(%other, "NATS"),
    }
}

/// Tells and hears, until told to stop.
pub async fn run(client: Client, feed: Arc<Feed>, stop: CancellationToken) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = publish_hints(&client, &feed) => {}
        () = receive_hints(&client, &feed) => {}
    }
}

async fn publish_hints(client: &Client, feed: &Feed) {
    let mut written = feed.watch_committed();
    while written.changed().await.is_ok() {
        let position = *written.borrow_and_update();
        if let Err(error) = client.publish(SUBJECT, position.to_string().into()).await {
            tracing::debug!(%error, "other processes could not be told of news; they look for themselves");
        }
        tokio::time::sleep(MIN_PUBLISH_INTERVAL).await;
    }
}

async fn receive_hints(client: &Client, feed: &Feed) {
    // The subscription is kept over reconnects.
    let Ok(mut said) = client.subscribe(SUBJECT).await else { return };
    while let Some(message) = said.next().await {
        let position = std::str::from_utf8(&message.payload).ok().and_then(|text| text.parse().ok());
        feed.wake(position.unwrap_or(i64::MAX));
    }
}
