//! `inspection-hub serve`: until it is told to stop, by Ctrl-C or SIGTERM.

use crate::server::Hub;
use crate::settings::{SettingFlags, Settings};
use crate::store::DatabaseAddress;
use clap::Args;
use std::io;
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGXFSZ, as Linux numbers it (signal(7)): a file would grow over the process' limit.
const FILE_SIZE_LIMIT: i32 = 25;
/// What is left behind gets so long to leave its files in order.
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
        // Not waited for: a look-up of a name, or a writer whose database does not answer, may take for ever.
        runtime.shutdown_timeout(RUNTIME_SHUTDOWN_TIMEOUT);
        served.map(|()| ExitCode::SUCCESS)
    }
}

async fn serve(settings: Settings) -> anyhow::Result<()> {
    let mut signals = ShutdownSignals::new()?;
    // Who handles it is not killed by it: the write fails instead, and with it the deliveries.
    let _too_large = signal(SignalKind::from_raw(FILE_SIZE_LIMIT))?;
    let database = DatabaseAddress::parse(&settings.database)?.redacted();
    // A task of its own: parts of it block.
    let starting = tokio::spawn(Hub::start(settings));
    let hub = tokio::select! {
        started = starting => started??,
        () = signals.recv() => {
            tracing::info!("ended before it was ready: nothing was taken in yet");
            return Ok(());
        }
    };
    let address = hub.address();
    tracing::info!(%address, database, "Inspection Hub is ready: http://{address}/graphiql");
    signals.recv().await;
    tracing::info!("ending: open requests are finished first");
    tokio::select! {
        () = hub.stop() => tracing::info!("ended"),
        () = signals.recv() => tracing::warn!("ended at once: open requests were cut off"),
    }
    Ok(())
}

/// What the system asks for.
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

    /// Waits until it shall end.
    async fn recv(&mut self) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hang_up.recv() => {
                    tracing::warn!("SIGHUP is ignored: settings are read at the start, so restart to change them");
                }
            }
        }
    }
}
