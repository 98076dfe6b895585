//! `inspection-hub verify`: whether what is stored is what the raw log says.

use crate::progress::Progress;
use crate::settings::Flags;
use crate::store::{Database, Difference, Differences, Mode, Place, Stored, Writer};
use anyhow::Context;
use clap::Args;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

/// The exit status when there are differences, so that a script can tell them from a failure.
const DIFFERENT: u8 = 2;
/// How much of a value is shown, in characters.
const SHOWN: usize = 120;

#[derive(Debug, Args)]
pub struct Verify {
    /// Show so many differences at most
    #[arg(long, value_name = "NUMBER", default_value = "50")]
    show: usize,
    /// Where the second database is made, which is as large as the first [default: the system's folder for temporary
    /// files]
    #[arg(long, value_name = "FOLDER")]
    scratch: Option<PathBuf>,
    #[command(flatten)]
    flags: Flags,
}

impl Verify {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        // No log: the second database is nobody's concern.
        let (settings, _) = super::settings(&self.flags)?;
        let shown = Place::of(&settings.database)?.shown();
        let stored = Stored::open(&settings.database).with_context(|| format!("cannot read {shown}"))?;
        let (deliveries, position) = (stored.deliveries, stored.position);
        println!("{}: {deliveries} deliveries, {position} changes", shown);
        let scratch = match &self.scratch {
            Some(folder) => tempfile::tempdir_in(folder),
            None => tempfile::tempdir(),
        };
        let scratch = scratch.context("no folder for the second database can be made")?;
        let address = format!("sqlite://{}", scratch.path().join("derived.db").display());
        let differences = super::runtime()?.block_on(async {
            let derived = Database::open(&address, Mode::Migrate).await?;
            let mut writer = Writer::open(&derived)?;
            let progress = Progress::new("checked", Some(deliveries.unsigned_abs()));
            let counted = progress.clone();
            let compared = tokio::task::spawn_blocking(move || {
                stored.replay(&mut writer, |more| counted.steps(more))?;
                drop(writer);
                stored.compare(&Stored::open(&address)?)
            });
            anyhow::Ok(progress.during(compared).await??)
        })?;
        Ok(self.tell(&differences))
    }

    fn tell(&self, differences: &Differences) -> ExitCode {
        if differences.all == 0 {
            println!("all {} rows are what the deliveries say", differences.rows);
            return ExitCode::SUCCESS;
        }
        for difference in differences.kept.iter().take(self.show) {
            println!("{}", line(difference));
        }
        let shown = differences.kept.len().min(self.show) as u64;
        if differences.all > shown {
            println!("and {} more (--show)", differences.all - shown);
        }
        println!("{} differences in {} rows, by table: {}", differences.all, differences.rows, by_table(differences));
        ExitCode::from(DIFFERENT)
    }
}

fn line(difference: &Difference) -> String {
    let Difference { table, row, field, stored, derived } = difference;
    let cut = |text: &String| text.chars().take(SHOWN).collect::<String>();
    match (stored, derived) {
        (Some(_), None) if field.is_empty() => format!("{table}, {row}: is stored, and would not be there"),
        (None, Some(_)) if field.is_empty() => format!("{table}, {row}: is not stored, and would be there"),
        _ => {
            let said = |value: &Option<String>| value.as_ref().map_or("nothing".to_owned(), cut);
            format!("{table}, {row}: {field} is {}, and would be {}", said(stored), said(derived))
        }
    }
}

fn by_table(differences: &Differences) -> String {
    let mut tables = BTreeMap::<&str, u64>::new();
    differences.kept.iter().for_each(|difference| *tables.entry(difference.table).or_default() += 1);
    tables.iter().map(|(table, count)| format!("{table} {count}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_one_line() {
        let difference = Difference {
            table: "entity",
            row: "pave INSPECTION K-1".into(),
            field: "facts.vehicle.vin".into(),
            stored: Some("\"A\"".into()),
            derived: None,
        };
        let expected = "entity, pave INSPECTION K-1: facts.vehicle.vin is \"A\", and would be nothing";
        assert_eq!(line(&difference), expected);
        let whole = Difference { field: String::new(), stored: None, derived: Some(String::new()), ..difference };
        assert_eq!(line(&whole), "entity, pave INSPECTION K-1: is not stored, and would be there");
    }
}
