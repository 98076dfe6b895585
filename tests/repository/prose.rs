//! Words that this project does not use, in comments, messages and pages, each with what to write instead. The terms that
//! it does use are in `docs/glossary.md`.

use crate::{files, report, rust};

/// Lower case. A phrase is found in any case, between word boundaries.
const PHRASES: &[(&str, &str)] = &[
    ("anew", "again, or from scratch"),
    ("at hand", "cached"),
    ("be meant", "be valid"),
    ("by and by", "gradually"),
    ("forgets", "purges"),
    ("forgetting", "the purge"),
    ("goes on", "continues, or resumes"),
    ("hang on", "belong to"),
    ("hangs on", "belongs to"),
    ("heard of", "received, or changed"),
    ("meanwhile", "name the event: while the rebuild runs, until the lock is free"),
    ("mend", "fix"),
    ("mended", "fixed"),
    ("spares you", "saves you, or: use `x` instead of `y`"),
    ("stand apart", "be separated"),
    ("stands", "is"),
    ("stands for", "means"),
    ("telling", "reporting"),
    ("tells", "sends, reports or publishes"),
    ("told", "sent, reported or published"),
    ("untold", "unpublished"),
    ("who asks", "the client"),
    ("who comes back", "a client that reconnects"),
    ("whoever", "name the role: a client, an operator, a subscriber"),
    ("whomever", "name the role"),
];

/// Lines that need such a word, as a part of the line, and why.
const ALLOWED: &[(&str, &str)] = &[];

#[test]
fn prose_uses_plain_words() {
    let mut problems = Vec::new();
    for folder in ["benches", "entity", "migration", "src", "tests"] {
        for file in files::below(folder, &["rs"]).iter().filter(|file| !file.path.starts_with("tests/repository/")) {
            for line in rust::lines(&file.path, &file.text) {
                for text in [&line.comment, &line.quoted] {
                    problems.extend(found(text).map(|problem| format!("{}:{}: {problem}", file.path, line.number)));
                }
            }
        }
    }
    let mut pages = files::pages();
    pages.extend(files::below("web/src", &["ts", "tsx"]));
    pages.extend(files::below("docs", &["graphql", "js", "mjs", "py", "rs", "toml", "ts"]));
    for name in ["Makefile", "Cargo.toml", ".cargo/config.toml", "schema.graphql"] {
        let text = std::fs::read_to_string(files::root().join(name)).expect(name);
        pages.push(files::File { path: name.to_owned(), text });
    }
    for page in &pages {
        for (number, line) in (1..).zip(page.text.lines()) {
            problems.extend(found(line).map(|problem| format!("{}:{number}: {problem}", page.path)));
        }
    }
    report(
        problems,
        "Write it in the words that are proposed. A line that needs the word is listed in ALLOWED with the reason.",
    );
}

#[test]
fn a_missing_value_is_null_in_the_schema() {
    let schema = std::fs::read_to_string(files::root().join("schema.graphql")).expect("schema.graphql");
    let mut in_description = false;
    let mut problems = Vec::new();
    for (number, line) in (1..).zip(schema.lines()) {
        let quotes = line.matches("\"\"\"").count();
        if (in_description || quotes > 0) && has_phrase(&line.to_lowercase(), "none") && !line.contains("`NONE`") {
            problems.push(format!("schema.graphql:{number}: none: write null, or no …"));
        }
        in_description ^= quotes % 2 == 1;
    }
    report(problems, "Change the description in `src/graphql`, then run `make schema`.");
}

fn found(text: &str) -> impl Iterator<Item = String> {
    let lower = text.to_lowercase();
    let is_allowed = ALLOWED.iter().any(|(part, _)| text.contains(part));
    // A question may begin with it; elsewhere it lacks the noun that it refers to.
    let who = has_phrase(text, "Who") && !text.contains('?') && !has_phrase(text, "Who |");
    let who = who.then(|| "Who: begin with a noun: a client that …".to_owned());
    let phrases = PHRASES.iter().filter(move |(phrase, _)| has_phrase(&lower, phrase));
    let phrases = phrases.map(|(phrase, instead)| format!("{phrase}: write {instead}"));
    phrases.chain(who).filter(move |_| !is_allowed)
}

/// Between word boundaries; `_` belongs to a word, so that names in code do not count.
fn has_phrase(text: &str, phrase: &str) -> bool {
    let is_part = |it: char| it.is_alphanumeric() || it == '_';
    text.match_indices(phrase).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + phrase.len()..].chars().next();
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}

#[test]
fn phrases_are_found() {
    let words = |text: &str| found(text).collect::<Vec<_>>().len();
    assert_eq!(words("Made Anew by whoever asks."), 2);
    assert_eq!(words("a canew, told_at, foretold"), 0);
    assert_eq!(words("It ends. Who follows resumes."), 1);
    assert_eq!(words("Who may ask?"), 0);
    assert!(PHRASES.is_sorted(), "in the order of the alphabet");
}
