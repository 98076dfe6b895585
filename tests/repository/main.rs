//! Checks of the repository: links and paths exist, prose uses plain words, a type name occurs once, modules import in one
//! direction, and every file is compiled. Reads files only; `cargo test --test repository` takes about a second.

mod files;
mod layers;
mod links;
mod modules;
mod prose;
mod rust;
mod types;

/// Fails with all problems at once: each is `file:line: what is wrong`, and `advice` says what to do about them.
#[track_caller]
fn report(mut problems: Vec<String>, advice: &str) {
    problems.sort();
    problems.dedup();
    assert!(problems.is_empty(), "{} problems\n{}\n\n{advice}", problems.len(), problems.join("\n"));
}
