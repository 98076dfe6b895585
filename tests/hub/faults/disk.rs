//! A disk that is full: what is answered then, and what afterwards.

use crate::database::TestDatabase;
use crate::driver::client;
use crate::sender::Sender;
use crate::server::Server;
use std::process::Command;
use std::time::Duration;

async fn status(server: &Server, path: &str) -> u16 {
    client().get(format!("{}{path}", server.url)).send().await.expect("an answer").status().as_u16()
}

// No file may grow further, as on a disk without room.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_answered_503_and_costs_nothing() {
    let database = TestDatabase::file();
    let server = Server::start(&database).await;
    let sender = Sender::new(2_000);
    let limit = |bytes: &str| {
        let limited =
            Command::new("prlimit").args([format!("--pid={}", server.pid()), format!("--fsize={bytes}")]).status();
        assert!(limited.expect("prlimit (util-linux)").success());
    };
    limit("1000000:unlimited");
    sender.send(std::slice::from_ref(&server.url)).await;
    assert!(!sender.is_done(), "the disk was full before all were stored");
    assert_eq!((status(&server, "/healthz").await, status(&server, "/readyz").await), (200, 503));
    let before = sender.acknowledged();
    assert_eq!(sender.complaints(&server.url).await, Vec::<String>::new(), "while it is full");
    limit("unlimited:unlimited");
    while status(&server, "/readyz").await != 200 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    sender.send(std::slice::from_ref(&server.url)).await;
    assert!(sender.is_done() && before < sender.acknowledged());
    assert_eq!(sender.complaints(&server.url).await, Vec::<String>::new());
}
