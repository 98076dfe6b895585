//! `inspection-hub serve`: until it is told to stop, by Ctrl-C or SIGTERM.

use crate::server::Hub;
use crate::settings::{Flags, Settings};
use crate::store::Place;
use clap::Args;
use std::io;
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGXFSZ, as Linux numbers it (signal(7)): a file would grow over the process' limit.
const FILE_SIZE_LIMIT: i32 = 25;
/// What is left behind gets so long to leave its files in order.
const LEAVE: Duration = Duration::from_millis(300);

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
        let runtime = super::runtime()?;
        let served = runtime.block_on(serve(settings));
        // Not waited for: a look-up of a name, or a writer whose database does not answer, may take for ever.
        runtime.shutdown_timeout(LEAVE);
        served.map(|()| ExitCode::SUCCESS)
    }
}

async fn serve(settings: Settings) -> anyhow::Result<()> {
    let mut signals = Signals::new()?;
    // Who handles it is not killed by it: the write fails instead, and with it the deliveries.
    let _too_large = signal(SignalKind::from_raw(FILE_SIZE_LIMIT))?;
    let database = Place::of(&settings.database)?.shown();
    // A task of its own: parts of it block.
    let starting = tokio::spawn(Hub::start(settings));
    let hub = tokio::select! {
        started = starting => started??,
        () = signals.end() => {
            tracing::info!("ended before it was ready: nothing was taken in yet");
            return Ok(());
        }
    };
    let address = hub.address();
    tracing::info!(%address, database, "Inspection Hub is ready: http://{address}/graphiql");
    signals.end().await;
    tracing::info!("ending: open requests are finished first");
    tokio::select! {
        () = hub.stop() => tracing::info!("ended"),
        () = signals.end() => tracing::warn!("ended at once: open requests were cut off"),
    }
    Ok(())
}

/// What the system asks for.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn new() -> io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Waits until it shall end.
    async fn end(&mut self) {
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
