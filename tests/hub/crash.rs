//! kill -9 during a burst: acknowledged deliveries are there once, nothing is there twice, and positions have no hole.

use crate::database::TestDatabase;
use crate::hub_process::HubProcess;
use crate::vendor_client::VendorClient;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_deliveries_survive_a_kill() {
    const DELIVERIES: usize = 2_400;
    let database = TestDatabase::new().await;
    let sender = VendorClient::new(DELIVERIES);
    let mut kills = 0;
    while !sender.is_done() {
        let server = HubProcess::start(&database).await;
        let sending = sender.start_sending(std::slice::from_ref(&server.url));
        if kills < 4 {
            sender.wait_for_more_acknowledged(DELIVERIES / 6).await;
            server.kill();
            kills += 1;
        }
        sending.await.expect("sent");
    }
    assert_eq!(kills, 4);
    let server = HubProcess::start(&database).await;
    assert_eq!(sender.discrepancies(&server.url).await, Vec::<String>::new());
    let (code, text) = crate::verify::verify(&database);
    assert_eq!(code, Some(0), "{text}");
}
