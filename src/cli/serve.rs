//! `inspection-hub serve`: runs the hub until Ctrl-C or SIGTERM.

use crate::server::Hub;
use crate::settings::{SettingFlags, Settings};
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// SIGXFSZ on Linux (signal(7)): a write would exceed the process' limit of file sizes.
const FILE_SIZE_LIMIT: i32 = 25;
/// How long unfinished tasks have to close their files.
const RUNTIME_SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(300);

pub fn run(flags: &SettingFlags) -> anyhow::Result<ExitCode> {
    let (settings, warnings) = super::load_settings(flags)?;
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

async fn serve(settings: Settings) -> anyhow::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut stop_signal = async || {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let mut hang_up = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        while hang_up.recv().await.is_some() {
            tracing::warn!("SIGHUP is ignored: settings are read only at the start, so restart to change them");
        }
    });
    // With a handler the signal does not kill the process; the write fails instead.
    let _too_large = signal(SignalKind::from_raw(FILE_SIZE_LIMIT))?;
    let database = super::redacted_database_url(&settings);
    // On another task, because parts of it block.
    let starting = tokio::spawn(Hub::start(settings));
    let hub = tokio::select! {
        started = starting => started??,
        () = stop_signal() => {
            tracing::info!("stopped before it was ready");
            return Ok(());
        }
    };
    let address = hub.address();
    tracing::info!(%address, database, "Inspection Hub is ready: http://{address}/graphiql");
    stop_signal().await;
    tracing::info!("shutdown started: finishing open requests");
    tokio::select! {
        () = hub.stop() => tracing::info!("shutdown finished"),
        () = stop_signal() => tracing::warn!("shutdown aborted by a second signal: open requests were cut off"),
    }
    Ok(())
}
