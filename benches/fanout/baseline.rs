//! The baseline: axum's WebSocket and tokio's broadcast channel, one `send` for each message.

use axum::Router;
use axum::extract::ws::{Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use tokio::sync::broadcast::{Sender, error::RecvError};

/// The argument that makes this benchmark such a server; the address follows.
pub const ARGUMENT: &str = "--plain-server";
/// How many messages a subscriber may be behind; it never is that far behind.
const TAIL: usize = 4096;

/// Serves until it is killed.
pub fn serve(address: &str) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(address).await?;
        let router = Router::new()
            .route("/healthz", get(async || "alive"))
            .route("/graphql", get(open))
            .route("/publish/{count}", post(publish))
            .with_state(Sender::new(TAIL));
        use axum::serve::ListenerExt;
        let listener = listener.tap_io(|stream| {
            let _ = stream.set_nodelay(true);
        });
        axum::serve(listener, router).await?;
        Ok(())
    })
}

async fn open(State(tail): State<Sender<Utf8Bytes>>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.protocols(["graphql-transport-ws"]).on_upgrade(move |socket| follow(tail, socket))
}

async fn follow(tail: Sender<Utf8Bytes>, mut socket: WebSocket) {
    let mut tail = tail.subscribe();
    loop {
        match tail.recv().await {
            Ok(text) => {
                if socket.send(Message::Text(text)).await.is_err() {
                    return;
                }
            }
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return,
        }
    }
}

async fn publish(State(tail): State<Sender<Utf8Bytes>>, Path(count): Path<usize>, text: String) {
    let text = Utf8Bytes::from(text);
    for _ in 0..count {
        let _ = tail.send(text.clone());
    }
}
