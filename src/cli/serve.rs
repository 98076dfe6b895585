//! `inspection-hub serve`: runs the hub until Ctrl-C or SIGTERM.

use crate::server::Hub;
use crate::settings::{SettingFlags, Settings};
use crate::store::DatabaseAddress;
use clap::Args;
use std::io;
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGXFSZ on Linux (signal(7)): a write would exceed the process' limit of file sizes.
const FILE_SIZE_LIMIT: i32 = 25;
/// How long unfinished tasks have to close their files.
const RUNTIME_SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(300);

#[derive(Debug, Args)]
pub struct ServeCommand {
    #[command(flatten)]
    flags: SettingFlags,
}

impl ServeCommand {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let (settings, warnings) = super::load_settings(&self.flags)?;
        super::init_logging(&settings)?;
        for warning in warnings {
            tracing::warn!("{warning}");
        }
        let runtime = super::runtime()?;
        let served = runtime.block_on(serve(settings));
        // Do not wait: a DNS look-up, or a writer whose database does not respond, may take forever.
        runtime.shutdown_timeout(RUNTIME_SHUTDOWN_TIMEOUT);
        served.map(|()| ExitCode::SUCCESS)
    }
}

async fn serve(settings: Settings) -> anyhow::Result<()> {
    let mut signals = ShutdownSignals::new()?;
    // With a handler the signal does not kill the process; the write fails instead.
    let _too_large = signal(SignalKind::from_raw(FILE_SIZE_LIMIT))?;
    let database = DatabaseAddress::parse(&settings.database)?.redacted();
    // On another task, because parts of it block.
    let starting = tokio::spawn(Hub::start(settings));
    let hub = tokio::select! {
        started = starting => started??,
        () = signals.recv() => {
            tracing::info!("stopped before it was ready");
            return Ok(());
        }
    };
    let address = hub.address();
    tracing::info!(%address, database, "Inspection Hub is ready: http://{address}/graphiql");
    signals.recv().await;
    tracing::info!("shutdown started: finishing open requests");
    tokio::select! {
        () = hub.stop() => tracing::info!("shutdown finished"),
        () = signals.recv() => tracing::warn!("shutdown aborted by a second signal: open requests were cut off"),
    }
    Ok(())
}

struct ShutdownSignals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl ShutdownSignals {
    fn new() -> io::Result<ShutdownSignals> {
        Ok(ShutdownSignals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for a signal to stop.
    async fn recv(&mut self) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hang_up.recv() => {
                    tracing::warn!("SIGHUP is ignored: settings are read only at the start, so restart to change them");
                }
            }
        }
    }
}
