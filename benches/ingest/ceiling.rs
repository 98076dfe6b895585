//! The upper bound of the hub: the same hub, whose writer stores nothing and responds at once. It shows what everything but the
//! writer costs.

use entity::{Verdict, log_head};
use inspection_hub::event::Reason;
use inspection_hub::ingest::{BatchWriter, CommittedBatch, DeliveryReceipt, LogRecord};
use inspection_hub::server::Hub;
use inspection_hub::settings::Settings;
use inspection_hub::store::StoreError;

#[derive(Debug, Default)]
struct DiscardingWriter {
    deliveries: i64,
}

pub async fn start(settings: Settings) -> anyhow::Result<Hub> {
    Ok(Hub::start_with_writer(settings, |_| Ok(Box::new(DiscardingWriter::default()))).await?)
}

impl BatchWriter for DiscardingWriter {
    fn write_batch(&mut self, deliveries: &[LogRecord]) -> Result<CommittedBatch, StoreError> {
        let receipt = |_| {
            self.deliveries += 1;
            DeliveryReceipt {
                delivery: self.deliveries,
                duplicate: false,
                verdict: Verdict::NoChange,
                explanation: Reason::StateUnchanged { state: "STARTED".to_owned() }.into(),
            }
        };
        let receipts = deliveries.iter().map(receipt).collect();
        // No position is new.
        let head = log_head::Model {
            id: 1,
            position: 0,
            last_delivery_row_id: 0,
            last_entity_row_id: 0,
            received_at: 0,
            updated_at: 0,
            generation: 0,
            retained_from: 0,
        };
        Ok(CommittedBatch { receipts, commands: Vec::new(), head, entities: Vec::new(), handshake_requested: false })
    }

    fn probe(&mut self, _: usize) -> Result<(), StoreError> {
        Ok(())
    }

    fn run_maintenance(&mut self, _: usize) {}
}
