//! A TCP proxy that can be cut silently: it accepts bytes and forwards nothing.

use std::sync::{Arc, Mutex};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub struct Proxy {
    pub port: u16,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// Whether each connection is cut.
    frozen: Mutex<Vec<watch::Sender<bool>>>,
    /// Whether new ones are cut.
    dead: Mutex<bool>,
}

impl Proxy {
    /// To this port on this machine.
    pub async fn to(port: u16) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let proxy = Proxy { port: listener.local_addr().expect("an address").port(), state: Arc::default() };
        let state = proxy.state.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let dead = *state.dead.lock().expect("lock");
                let (freeze, frozen) = watch::channel(dead);
                state.frozen.lock().expect("lock").push(freeze);
                let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else { continue };
                let ((client_in, client_out), (server_in, server_out)) = (client.into_split(), server.into_split());
                tokio::spawn(pump(client_in, server_out, frozen.clone()));
                tokio::spawn(pump(server_in, client_out, frozen));
            }
        });
        proxy
    }

    /// Cuts all open connections; new ones work.
    pub fn cut(&self) {
        self.state.frozen.lock().expect("lock").iter().for_each(|freeze| _ = freeze.send_replace(true));
    }

    /// Cuts all connections, also new ones.
    pub fn cut_for_good(&self) {
        *self.state.dead.lock().expect("lock") = true;
        self.cut();
    }

    /// The address of a database, through this proxy.
    pub fn address(&self, of: &str) -> String {
        let (start, rest) = of.split_once("127.0.0.1:").expect("an address on this machine");
        let (_, rest) = rest.split_once('/').expect("a database");
        format!("{start}127.0.0.1:{}/{rest}", self.port)
    }
}

/// The port in the address of a database.
pub fn port_of(address: &str) -> u16 {
    let port = address.split_once("127.0.0.1:").and_then(|(_, rest)| rest.split('/').next());
    port.and_then(|port| port.parse().ok()).expect("a port")
}

async fn pump(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, mut frozen: watch::Receiver<bool>) {
    let mut bytes = vec![0; 65_536];
    loop {
        let cut = async { _ = frozen.wait_for(|frozen| *frozen).await };
        let read = tokio::select! {
            biased;
            () = cut => return std::future::pending().await,
            read = from.read(&mut bytes) => read,
        };
        let Ok(length @ 1..) = read else { return };
        if to.write_all(&bytes[..length]).await.is_err() {
            return;
        }
    }
}
