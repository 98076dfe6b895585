//! The lower bound of a webhook endpoint: it parses the JSON and responds. It verifies and stores nothing, so it shows the cost of
//! HTTP, JSON and the client.

use axum::routing::post;
use axum::serve::ListenerExt;
use axum::{Json, Router};
use serde_json::{Value, json};
use std::net::SocketAddr;
use tokio::net::TcpListener;

pub async fn start() -> anyhow::Result<SocketAddr> {
    serve(Router::new().route("/webhooks/{source}", post(receive))).await
}

async fn receive(Json(body): Json<Value>) -> Json<Value> {
    Json(json!({ "status": "accepted", "fields": body.as_object().map(|object| object.len()) }))
}

/// Serves on any free port until the process ends.
pub async fn serve(router: Router) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let listener = listener.tap_io(|stream| {
        // As the hub does.
        let _ = stream.set_nodelay(true);
    });
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(address)
}
