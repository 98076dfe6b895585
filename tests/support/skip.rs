//! A test that cannot test here reports why: in its output, and in a file that `make test` sums up.

use std::io::Write;

/// Reports a skipped test, or the part of a test that is skipped: `return skip("needs root: it mounts a file system");`.
pub fn skip(reason: &str) {
    let thread = std::thread::current();
    let database = if std::env::var_os("TEST_DATABASE_URL").is_some() { "PostgreSQL" } else { "SQLite" };
    let line = format!("{reason}\t{} ({database})\n", thread.name().unwrap_or("unnamed"));
    // The test harness hides what `eprintln!` prints in a test that passes; it does not hide this.
    let _ = std::io::stderr().write_all(format!("SKIPPED {line}").as_bytes());
    // A test program is `target/debug/deps/hub-…`.
    let program = std::env::current_exe().expect("the path of this program");
    let file = program.ancestors().nth(3).expect("the target folder").join("skipped-tests.tsv");
    let written = std::fs::File::options().create(true).append(true).open(&file);
    written
        .and_then(|mut it| it.write_all(line.as_bytes()))
        .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
}
