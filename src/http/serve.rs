//! Serving connections: a cap on their number, a deadline for their headers, and an end that lets them finish.
//! `axum::serve` offers neither of the first two.

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// How long to wait for aborted connections to close.
const ABORT_TIMEOUT: Duration = Duration::from_millis(250);
/// Between two lines that say that connections cannot be accepted.
const ACCEPT_WARNING_INTERVAL: Duration = Duration::from_secs(10);

/// What a server allows its connections.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    pub max_connections: usize,
    /// How long a request's head may take to arrive, also on a connection that is kept open.
    pub header_timeout: Duration,
    /// How long connections may go on after the end was asked for.
    pub shutdown_grace: Duration,
}

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub IpAddr);

/// A connection's place among those that are allowed. Who makes something else of a connection, a socket, keeps it: the
/// connection counts as long, and the end waits for it.
#[derive(Clone, Debug)]
pub struct ConnectionSlot {
    _open: TaskTrackerToken,
    _permit: Option<Arc<OwnedSemaphorePermit>>,
}

/// Serves until told to stop, then lets open requests finish; those that do not in time are cut off.
pub async fn serve(listener: TcpListener, router: Router, allowed: ConnectionLimits, stop: CancellationToken) {
    let open = TaskTracker::new();
    let room = Arc::new(Semaphore::new(allowed.max_connections));
    let cut = CancellationToken::new();
    let mut said_at = None::<Instant>;
    loop {
        let next = async {
            let place = room.clone().acquire_owned().await;
            (listener.accept().await, place)
        };
        let (accepted, place) = tokio::select! {
            () = stop.cancelled() => break,
            next = next => next,
        };
        let (stream, peer) = match accepted {
            Ok((stream, address)) => (stream, Peer(address.ip())),
            Err(error) => {
                // Out of file descriptors, mostly: existing connections must go on.
                if said_at.is_none_or(|at| at.elapsed() >= ACCEPT_WARNING_INTERVAL) {
                    said_at = Some(Instant::now());
                    tracing::warn!(%error, "connections cannot be accepted");
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        // Small answers must not wait for more to send.
        let _ = stream.set_nodelay(true);
        let answer = TowerToHyperService::new(router.clone());
        let place = ConnectionSlot { _open: open.token(), _permit: place.ok().map(Arc::new) };
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(place.clone());
            request.extensions_mut().insert(peer);
            answer.call(request)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(allowed.header_timeout)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        let (stop, cut) = (stop.clone(), cut.clone());
        open.spawn(async move {
            let mut connection = pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => Some(ended),
                () = stop.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    cut.run_until_cancelled(connection).await
                }
            };
            if let Some(Err(error)) = ended {
                tracing::debug!(%error, "a connection ended with an error");
            }
        });
    }
    drop(listener);
    open.close();
    if tokio::time::timeout(allowed.shutdown_grace, open.wait()).await.is_err() {
        tracing::warn!(connections = open.len(), "some connections did not finish in time, and are cut off");
        cut.cancel();
        // Sockets are not ours any more, and end with the process if they do not end by themselves.
        let _ = tokio::time::timeout(ABORT_TIMEOUT, open.wait()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpStream;
    use tokio::sync::mpsc;

    /// Says so when it is dropped.
    struct DropProbe(mpsc::UnboundedSender<&'static str>);

    impl Drop for DropProbe {
        fn drop(&mut self) {
            let _ = self.0.send("dropped");
        }
    }

    #[tokio::test]
    async fn who_hangs_up_cancels_what_was_asked() {
        let (said, mut heard) = mpsc::unbounded_channel();
        let handler = move || {
            let said = said.clone();
            async move {
                let _ = said.send("begun");
                let _witness = DropProbe(said);
                std::future::pending::<()>().await;
            }
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let seconds = Duration::from_secs;
        let allowed =
            ConnectionLimits { max_connections: 10, header_timeout: seconds(10), shutdown_grace: seconds(10) };
        let stop = CancellationToken::new();
        let served = tokio::spawn(serve(listener, Router::new().route("/", get(handler)), allowed, stop.clone()));
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        stream.write_all(b"GET / HTTP/1.1\r\nhost: hub\r\n\r\n").await.expect("sent");
        let mut next = async || tokio::time::timeout(Duration::from_secs(10), heard.recv()).await.expect("in time");
        assert_eq!(next().await, Some("begun"));
        drop(stream);
        assert_eq!(next().await, Some("dropped"));
        stop.cancel();
        served.await.expect("it ends");
    }

    #[tokio::test]
    async fn what_does_not_finish_is_cut_off() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (hour, grace) = (Duration::from_secs(3600), Duration::from_millis(50));
        let allowed = ConnectionLimits { max_connections: 10, header_timeout: hour, shutdown_grace: grace };
        let stop = CancellationToken::new();
        let (said, mut heard) = mpsc::unbounded_channel();
        let handler = move || async move {
            let _ = said.send("begun");
            std::future::pending::<()>().await;
        };
        let served = tokio::spawn(serve(listener, Router::new().route("/", get(handler)), allowed, stop.clone()));
        let mut clients = Vec::new();
        for text in ["GET / HTTP/1.1\r\nhost: hub\r\n\r\n", "GET / HT", ""] {
            let mut stream = TcpStream::connect(address).await.expect("a connection");
            stream.write_all(text.as_bytes()).await.expect("sent");
            clients.push(stream);
        }
        assert_eq!(heard.recv().await, Some("begun"));
        stop.cancel();
        tokio::time::timeout(Duration::from_secs(20), served).await.expect("in time").expect("it ends");
    }
}
