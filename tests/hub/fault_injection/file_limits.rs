//! A low limit of open files: the hub accepts as many connections as it can serve, and no more.

use crate::database::TestDatabase;
use crate::hub_process::HubProcess;
use crate::test_hub::TIMEOUT;
use serde_json::json;
use std::process::Command;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

async fn limited(database: &TestDatabase, files: &str) -> HubProcess {
    let port = HubProcess::free_port();
    let mut command = Command::new("prlimit");
    command.args([&format!("--nofile={files}"), env!("CARGO_BIN_EXE_inspection-hub")]);
    HubProcess::arguments(&mut command, port, &database.address);
    command.args(["--header-timeout", "1h"]).current_dir(database.folder.path());
    HubProcess::ready(port, command).await
}

async fn many(server: &HubProcess, connections: usize) -> Vec<TcpStream> {
    let mut open = Vec::new();
    for _ in 0..connections {
        let connecting = tokio::time::timeout(TIMEOUT, TcpStream::connect(("127.0.0.1", server.port)));
        open.push(connecting.await.expect("in time").expect("a connection"));
    }
    open
}

/// One connection that stays open; an HTTP client could open another at any time.
struct KeepAliveConnection(BufReader<TcpStream>);

impl KeepAliveConnection {
    async fn open(server: &HubProcess) -> KeepAliveConnection {
        KeepAliveConnection(BufReader::new(TcpStream::connect(("127.0.0.1", server.port)).await.expect("a connection")))
    }

    async fn ask(&mut self, method: &str, path: &str, body: &str) -> (u16, String) {
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        let answered = async {
            self.0.write_all(request.as_bytes()).await.expect("sent");
            let (mut line, mut length, mut code) = (String::new(), 0, 0);
            while line != "\r\n" {
                line.clear();
                assert!(self.0.read_line(&mut line).await.expect("a line") > 0, "it was closed");
                if let Some(status) = line.strip_prefix("HTTP/1.1 ") {
                    code = status[..3].parse().expect("a status");
                }
                if let Some(text) = line.strip_prefix("content-length: ") {
                    length = text.trim().parse().expect("a length");
                }
            }
            let mut body = vec![0; length];
            self.0.read_exact(&mut body).await.expect("a body");
            (code, String::from_utf8(body).expect("text"))
        };
        tokio::time::timeout(TIMEOUT, answered).await.expect("in time")
    }

    async fn still_works(&mut self, server: &HubProcess) {
        let body = json!({ "event": "job-state-changed", "job_id": 1, "state": "working" });
        let (code, text) = self.ask("POST", "/webhooks/hover", &body.to_string()).await;
        assert_eq!(code, 200, "{text}: {}", server.log());
        let query = json!({ "query": "{ inspections { nodes { id history { nodes { position } } } } }" });
        let (_, text) = self.ask("POST", "/graphql", &query.to_string()).await;
        assert!(text.starts_with("{\"data\":{\"inspections\":"), "{text}");
        let (code, text) = self.ask("GET", "/readyz", "").await;
        assert_eq!(code, 200, "{text}: {}", server.log());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_soft_limit_is_raised() {
    let database = TestDatabase::file();
    let server = limited(&database, "128:4096").await;
    let open = many(&server, 300).await;
    // On a connection after all of these.
    KeepAliveConnection::open(&server).await.still_works(&server).await;
    drop(open);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_it_cannot_be_raised_fewer_connections_are_taken() {
    let database = TestDatabase::file();
    let server = limited(&database, "128:128").await;
    server.wait_for_log("max_connections was lowered").await;
    let mut kept = KeepAliveConnection::open(&server).await;
    kept.still_works(&server).await;
    let open = many(&server, 100).await;
    for _ in 0..20 {
        kept.still_works(&server).await;
    }
    assert!(!server.log().contains("accept failed"), "{}", server.log());
    drop(open);
    KeepAliveConnection::open(&server).await.still_works(&server).await;
}
