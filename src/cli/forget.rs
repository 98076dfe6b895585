//! `inspection-hub forget`: removes lives that have been at their end for long.

use crate::progress::Progress;
use crate::settings::{Flags, age};
use crate::store::{Database, Doing, Forgetting, Forgotten, Mode, StoreError};
use anyhow::Context;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use clap::Args;
use std::process::ExitCode;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

#[derive(Debug, Args)]
pub struct Forget {
    /// Remove lives of which nothing was heard for so long: 90d, 12h
    #[arg(long, value_name = "DURATION", value_parser = age)]
    older_than: Duration,
    /// Only say what would be removed
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    flags: Flags,
}

impl Forget {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        // No log: it would stand between the lines of progress.
        let (settings, _) = super::settings(&self.flags)?;
        let age = TimeDelta::from_std(self.older_than).ok();
        let before = age.and_then(|age| Utc::now().checked_sub_signed(age)).context("--older-than is too long")?;
        let doing = if self.dry_run { Doing::OnlyCount } else { Doing::Remove };
        super::runtime()?.block_on(async {
            let opened = Database::open_with(&settings.database, Mode::AsItIs, settings.pools).await;
            let db = opened.with_context(|| format!("cannot open {}", super::shown(&settings)))?;
            let stop = CancellationToken::new();
            tokio::spawn(super::rebuild::ended(stop.clone()));
            println!("{}: lives of which nothing was heard since {}", db.shown(), shown(before));
            let forgetting = Forgetting::open(db, stop).await?;
            let progress = Progress::new("looked at", Some(forgetting.candidates(before).await?));
            let counted = progress.clone();
            let mut forgotten = Forgotten::default();
            let work = forgetting.run(before, doing, &mut forgotten, |more| counted.steps(more));
            let done = progress.during(work).await;
            tell(&forgotten, doing);
            match done {
                Err(StoreError::Stopped) => anyhow::bail!("stopped; the same command goes on from there"),
                done => done?,
            }
            Ok(ExitCode::SUCCESS)
        })
    }
}

fn shown(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn tell(forgotten: &Forgotten, doing: Doing) {
    let Forgotten { lives, entities, changes, deliveries, open, in_use, large } = forgotten;
    let done = match doing {
        Doing::Remove => "removed",
        Doing::OnlyCount => "would be removed",
    };
    println!("{done}: {lives} lives with {entities} entities, {changes} changes and {deliveries} deliveries");
    for (kept, why) in [
        (open, "not at an end"),
        (in_use, "something that belongs to it is newer"),
        (large, "too large to be removed at once"),
    ] {
        if *kept > 0 {
            println!("kept: {kept}, {why}");
        }
    }
}
