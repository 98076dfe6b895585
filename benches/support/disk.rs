//! The folder of the benchmarks' databases: on the disk that is measured, not in memory.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Names another folder, say on the disk that production uses.
const VARIABLE: &str = "BENCH_DATA";

/// An empty folder for this benchmark: in `target/bench-data`, or where the variable says.
pub fn folder(name: &str) -> std::io::Result<PathBuf> {
    let base = match std::env::var_os(VARIABLE) {
        Some(base) => PathBuf::from(base),
        None => Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("bench-data"),
    };
    let folder = base.join(format!("inspection-hub-{name}"));
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;
    std::path::absolute(folder)
}

/// The time to sync 4 KiB, the lower bound of a durable commit: the median of a hundred.
pub fn time_to_sync(folder: &Path) -> std::io::Result<Duration> {
    let path = folder.join("sync");
    let mut file = std::fs::File::create(&path)?;
    let mut times = Vec::new();
    for _ in 0..100 {
        let start = Instant::now();
        file.write_all(&[1; 4096])?;
        file.sync_data()?;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    std::fs::remove_file(path)?;
    Ok(times.get(times.len() / 2).copied().unwrap_or_default())
}
