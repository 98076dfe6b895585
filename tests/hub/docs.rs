//! Documentation that is generated from the code: state machines, references, error codes, and the numbers of stored words.

use entity::{Kind, ReasonCode, Status, Verdict};
use inspection_hub::graphql::{ERROR_CODES, ErrorCodeEntry};
use inspection_hub::machine::{Machine, State};
use inspection_hub::vendor;
use std::fmt::Write;
use std::path::{Path, PathBuf};

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")
}

/// `UPDATE_DOCS=1 cargo test --test hub docs` writes the state machines and the fields of references again.
#[test]
fn what_is_generated_on_the_vendors_pages_is_current() {
    for vendor in vendor::ALL {
        let path = docs().join(format!("vendors/{}.md", vendor.name));
        let page = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let machines: String = vendor.machines.iter().map(section).collect();
        let mut current = with_part(&page, "machines", vendor.name, &machines);
        if !vendor.reference_paths.is_empty() {
            let fields = (1..).zip(vendor.reference_paths).map(|(number, field)| format!("{number}. `{field}`\n"));
            current = with_part(&current, "references", vendor.name, &format!("\n{}", fields.collect::<String>()));
        }
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&path, current).expect("written");
            continue;
        }
        let name = vendor.name;
        assert!(page == current, "{name}.md is not current; run UPDATE_DOCS=1 cargo test --test hub docs");
    }
}

fn with_part(page: &str, part: &str, vendor: &str, text: &str) -> String {
    let (begin, end) = (format!("<!-- {part}: {vendor} -->\n"), format!("<!-- /{part} -->"));
    let parts = page.split_once(&begin).and_then(|(before, rest)| Some((before, rest.split_once(&end)?.1)));
    let Some((before, after)) = parts else { panic!("{vendor}.md lacks {begin}{end}") };
    format!("{before}{begin}{text}\n{end}{after}")
}

#[test]
fn every_vendor_is_in_the_index() {
    let index = std::fs::read_to_string(docs().join("vendors.md")).expect("docs/vendors.md");
    for vendor in vendor::ALL {
        let link = format!("(vendors/{}.md)", vendor.name);
        let row = index.lines().any(|line| line.starts_with(&format!("| {} |", vendor.title)) && line.contains(&link));
        assert!(row, "docs/vendors.md has no row of {}", vendor.title);
    }
}

/// `UPDATE_DOCS=1 cargo test --test hub docs` writes the list of codes again.
#[test]
fn the_codes_of_errors_are_current() {
    const BEGIN: &str = "<!-- generated: codes -->\n";
    const END: &str = "<!-- end of generated -->";
    let path = docs().join("errors.md");
    let page = std::fs::read_to_string(&path).expect("docs/errors.md");
    let (before, rest) = page.split_once(BEGIN).expect("where the list begins");
    let (_, after) = rest.split_once(END).expect("where the list ends");
    let row = |entry: &ErrorCodeEntry| format!("| `{}` | {} | {} |\n", entry.name, entry.meaning, entry.remedy);
    let rows: String = ERROR_CODES.iter().map(row).collect();
    let current = format!("{before}{BEGIN}| Code | What it means | What to do |\n|---|---|---|\n{rows}{END}{after}");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, current).expect("written");
        return;
    }
    assert!(page == current, "errors.md is not current; run UPDATE_DOCS=1 cargo test --test hub docs");
    assert!(ERROR_CODES.is_sorted_by_key(|entry| entry.name), "in the order of the alphabet");
    assert!(ERROR_CODES.iter().all(|entry| entry.code.name() == entry.name));
}

/// `UPDATE_DOCS=1 cargo test --test hub docs` writes the tables of numbers again.
#[test]
fn the_numbers_of_stored_words_are_current() {
    fn table<T: Copy>(name: &str, all: &[T], number: impl Fn(T) -> i16, word: impl Fn(T) -> &'static str) -> String {
        let row = |value: &T| format!("| {} | `{}` |\n", number(*value), word(*value));
        format!("\n### {name}\n\n| Number | Word |\n|---|---|\n{}", all.iter().map(row).collect::<String>())
    }
    let path = docs().join("sql.md");
    let page = std::fs::read_to_string(&path).expect("docs/sql.md");
    let tables = [
        table("Kinds", Kind::ALL, Kind::number, Kind::as_str),
        table("Statuses", Status::ALL, Status::number, Status::as_str),
        table("Verdicts", Verdict::ALL, Verdict::number, Verdict::as_str),
        table("Reason codes", ReasonCode::ALL, ReasonCode::number, ReasonCode::as_str),
    ];
    let (begin, end) = ("<!-- generated: numbers -->\n", "\n<!-- end of generated -->");
    let (before, rest) = page.split_once(begin).expect("where the tables begin");
    let (_, after) = rest.split_once(end).expect("where the tables end");
    let current = format!("{before}{begin}{}{end}{after}", tables.concat());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, current).expect("written");
        return;
    }
    assert!(page == current, "sql.md is not current; run UPDATE_DOCS=1 cargo test --test hub docs");
}

// The heading is spelled as in the API: the kind, and the word of the job's or item's kind.
fn section(machine: &Machine) -> String {
    let kind = machine.entity_type.kind().as_str();
    let (first, rest) = kind.split_at(1);
    let mut text = format!("\n### {first}{}", rest.to_lowercase());
    if !machine.entity_type.subkind().is_empty() {
        let _ = write!(text, " `{}`", machine.entity_type.subkind());
    }
    text.push_str("\n\n| State | Status | Final | Waits for | Description |\n|---|---|---|---|---|\n");
    text.extend(machine.states.iter().map(row));
    let _ = write!(text, "\n```mermaid\n{}```\n", machine.mermaid());
    text
}

fn row(state: &State) -> String {
    let status = state.status.map_or("–".to_owned(), |status| format!("`{status}`"));
    let last = if state.terminal { "yes" } else { "" };
    let waits_for = state.waits_for.map_or(String::new(), |party| format!("`{party}`"));
    format!("| `{}` | {status} | {last} | {waits_for} | {} |\n", state.name, state.description.replace('|', "\\|"))
}
