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
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// How long connections may go on after the end was asked for.
const GRACE: Duration = Duration::from_secs(10);

/// What a server allows its connections.
#[derive(Clone, Copy, Debug)]
pub struct Connections {
    pub most: usize,
    /// How long a request's head may take to arrive, also on a connection that is kept open.
    pub header_timeout: Duration,
}

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub IpAddr);

/// A connection's place among those that are allowed. Who makes something else of a connection, a socket, keeps it: the
/// connection counts as long, and the end waits for it.
#[derive(Clone, Debug)]
pub struct Place {
    _open: TaskTrackerToken,
    _permit: Option<Arc<OwnedSemaphorePermit>>,
}

/// Serves until told to stop, then lets open requests finish.
pub async fn serve(listener: TcpListener, router: Router, allowed: Connections, stop: CancellationToken) {
    let open = TaskTracker::new();
    let room = Arc::new(Semaphore::new(allowed.most));
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
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        // Small answers must not wait for more to send.
        let _ = stream.set_nodelay(true);
        let answer = TowerToHyperService::new(router.clone());
        let place = Place { _open: open.token(), _permit: place.ok().map(Arc::new) };
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
        let stop = stop.clone();
        open.spawn(async move {
            let mut connection = pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                () = stop.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection ended with an error");
            }
        });
    }
    drop(listener);
    open.close();
    if tokio::time::timeout(GRACE, open.wait()).await.is_err() {
        tracing::warn!("some connections did not finish in time");
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
    struct Witness(mpsc::UnboundedSender<&'static str>);

    impl Drop for Witness {
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
                let _witness = Witness(said);
                std::future::pending::<()>().await;
            }
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let allowed = Connections { most: 10, header_timeout: Duration::from_secs(10) };
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
}
