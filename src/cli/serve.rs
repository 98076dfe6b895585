//! `inspection-hub serve`: until it is told to stop, by Ctrl-C or SIGTERM.

use crate::server::Hub;
use crate::settings::Flags;
use crate::store::Place;
use clap::Args;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

/// SIGXFSZ, as Linux numbers it (signal(7)): a file would grow over the process' limit.
const FILE_SIZE_LIMIT: i32 = 25;

#[derive(Debug, Args)]
pub struct Serve {
    #[command(flatten)]
    flags: Flags,
}

impl Serve {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let (settings, warnings) = super::settings(&self.flags)?;
        super::log(&settings)?;
        for warning in warnings {
            tracing::warn!("{warning}");
        }
        super::runtime()?.block_on(async {
            let mut terminate = signal(SignalKind::terminate())?;
            // Who handles it is not killed by it: the write fails instead, and with it the deliveries.
            let _too_large = signal(SignalKind::from_raw(FILE_SIZE_LIMIT))?;
            let database = Place::of(&settings.database)?.shown();
            let hub = Hub::start(settings).await?;
            let address = hub.address();
            tracing::info!(%address, database, "Inspection Hub is ready: http://{address}/graphiql");
            tokio::select! {
                interrupted = tokio::signal::ctrl_c() => interrupted?,
                _ = terminate.recv() => {}
            }
            tracing::info!("ending: open requests are finished first");
            hub.stop().await;
            Ok(ExitCode::SUCCESS)
        })
    }
}
