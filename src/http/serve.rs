//! Serves connections, with a limit on their number, a timeout for headers and a graceful shutdown. `axum::serve` lacks the
//! first two.

use super::TrustedProxies;
use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
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
/// The least time between two warnings about failed accepts.
const ACCEPT_WARNING_INTERVAL: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    pub max_connections: usize,
    /// For the headers of each request, also on a connection that is kept alive.
    pub header_timeout: Duration,
    /// How long open requests may continue after the shutdown begins.
    pub shutdown_grace: Duration,
}

/// A connection's place within the limit. A handler that upgrades a connection to a socket keeps it: until then the connection
/// counts, and the shutdown waits for it.
#[derive(Clone, Debug)]
pub struct ConnectionSlot {
    _open: TaskTrackerToken,
    _permit: Option<Arc<OwnedSemaphorePermit>>,
}

/// Serves until `stop`, then lets open requests finish. Those that exceed the grace period are cut off.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: ConnectionLimits,
    proxies: Arc<TrustedProxies>,
    stop: CancellationToken,
) {
    let open = TaskTracker::new();
    let slots = Arc::new(Semaphore::new(limits.max_connections));
    let abort = CancellationToken::new();
    let mut warned_at = None::<Instant>;
    loop {
        let next = async {
            let permit = slots.clone().acquire_owned().await;
            (listener.accept().await, permit)
        };
        let (accepted, permit) = tokio::select! {
            () = stop.cancelled() => break,
            next = next => next,
        };
        let (stream, peer) = match accepted {
            Ok((stream, address)) => (stream, address.ip()),
            Err(error) => {
                // Usually out of file descriptors. Existing connections continue.
                if warned_at.is_none_or(|at| at.elapsed() >= ACCEPT_WARNING_INTERVAL) {
                    warned_at = Some(Instant::now());
                    tracing::warn!(%error, "accept failed");
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        // Small responses must be sent at once.
        let _ = stream.set_nodelay(true);
        let router = TowerToHyperService::new(router.clone());
        let slot = ConnectionSlot { _open: open.token(), _permit: permit.ok().map(Arc::new) };
        let proxies = proxies.clone();
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(slot.clone());
            proxies.note(peer, &mut request);
            router.call(request)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.header_timeout)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        let (stop, abort) = (stop.clone(), abort.clone());
        open.spawn(async move {
            let mut connection = pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => Some(ended),
                () = stop.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    abort.run_until_cancelled(connection).await
                }
            };
            if let Some(Err(error)) = ended {
                tracing::debug!(%error, "connection failed");
            }
        });
    }
    drop(listener);
    open.close();
    if tokio::time::timeout(limits.shutdown_grace, open.wait()).await.is_err() {
        tracing::warn!(connections = open.len(), "shutdown grace period expired: connections were cut off");
        abort.cancel();
        // Upgraded sockets belong to their handlers. They end by themselves, or with the process.
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

    /// Reports when it is dropped.
    struct DropProbe(mpsc::UnboundedSender<&'static str>);

    impl Drop for DropProbe {
        fn drop(&mut self) {
            let _ = self.0.send("dropped");
        }
    }

    #[tokio::test]
    async fn a_disconnect_cancels_the_request() {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let handler = move || {
            let sender = sender.clone();
            async move {
                let _ = sender.send("started");
                let _probe = DropProbe(sender);
                std::future::pending::<()>().await;
            }
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let seconds = Duration::from_secs;
        let limits = ConnectionLimits { max_connections: 10, header_timeout: seconds(10), shutdown_grace: seconds(10) };
        let stop = CancellationToken::new();
        let served =
            tokio::spawn(serve(listener, Router::new().route("/", get(handler)), limits, Arc::default(), stop.clone()));
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        stream.write_all(b"GET / HTTP/1.1\r\nhost: hub\r\n\r\n").await.expect("sent");
        let mut next = async || tokio::time::timeout(Duration::from_secs(10), receiver.recv()).await.expect("in time");
        assert_eq!(next().await, Some("started"));
        drop(stream);
        assert_eq!(next().await, Some("dropped"));
        stop.cancel();
        served.await.expect("it ends");
    }

    #[tokio::test]
    async fn unfinished_requests_are_cut_off_after_the_grace_period() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (hour, grace) = (Duration::from_secs(3600), Duration::from_millis(50));
        let limits = ConnectionLimits { max_connections: 10, header_timeout: hour, shutdown_grace: grace };
        let stop = CancellationToken::new();
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let handler = move || async move {
            let _ = sender.send("started");
            std::future::pending::<()>().await;
        };
        let served =
            tokio::spawn(serve(listener, Router::new().route("/", get(handler)), limits, Arc::default(), stop.clone()));
        let mut clients = Vec::new();
        for text in ["GET / HTTP/1.1\r\nhost: hub\r\n\r\n", "GET / HT", ""] {
            let mut stream = TcpStream::connect(address).await.expect("a connection");
            stream.write_all(text.as_bytes()).await.expect("sent");
            clients.push(stream);
        }
        assert_eq!(receiver.recv().await, Some("started"));
        stop.cancel();
        tokio::time::timeout(Duration::from_secs(20), served).await.expect("in time").expect("it ends");
    }
}
