//! The documentation that is made from the code: the machines on the vendors' pages.

use inspection_hub::graphql::{CODES, Entry};
use inspection_hub::machine::{Machine, State};
use inspection_hub::vendor;
use std::fmt::Write;
use std::path::{Path, PathBuf};

const END: &str = "<!-- /machines -->";

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")
}

/// `UPDATE_DOCS=1 cargo test --test hub docs` writes the machines anew.
#[test]
fn the_machines_on_the_vendors_pages_are_current() {
    for vendor in vendor::ALL {
        let path = docs().join(format!("vendors/{}.md", vendor.name));
        let page = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let begin = format!("<!-- machines: {} -->\n", vendor.name);
        let parts = page.split_once(&begin).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
        let Some((before, after)) = parts else { panic!("{} lacks {begin}{END}", path.display()) };
        let machines: String = vendor.machines.iter().map(section).collect();
        let current = format!("{before}{begin}{machines}\n{END}{after}");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&path, current).expect("written");
            continue;
        }
        let name = vendor.name;
        assert!(page == current, "{name}.md is not current; run UPDATE_DOCS=1 cargo test --test hub docs");
    }
}

/// `UPDATE_DOCS=1 cargo test --test hub docs` writes the tables from scratch.
#[test]
fn the_reference_fields_on_the_vendors_pages_are_current() {
    const END: &str = "<!-- /references -->";
    for vendor in vendor::ALL.iter().filter(|vendor| !vendor.references.is_empty()) {
        let path = docs().join(format!("vendors/{}.md", vendor.name));
        let page = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let begin = format!("<!-- references: {} -->\n", vendor.name);
        let parts = page.split_once(&begin).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
        let Some((before, after)) = parts else { panic!("{} lacks {begin}{END}", path.display()) };
        let fields: String =
            (1..).zip(vendor.references).map(|(number, field)| format!("{number}. `{field}`\n")).collect();
        let current = format!("{before}{begin}\n{fields}\n{END}{after}");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&path, current).expect("written");
            continue;
        }
        let name = vendor.name;
        assert!(page == current, "{name}.md is not current; run UPDATE_DOCS=1 cargo test --test hub docs");
    }
}

#[test]
fn every_vendor_stands_in_the_index() {
    let index = std::fs::read_to_string(docs().join("vendors.md")).expect("docs/vendors.md");
    for vendor in vendor::ALL {
        let link = format!("(vendors/{}.md)", vendor.name);
        let row = index.lines().any(|line| line.starts_with(&format!("| {} |", vendor.title)) && line.contains(&link));
        assert!(row, "docs/vendors.md has no row of {}", vendor.title);
    }
}

/// `UPDATE_DOCS=1 cargo test --test hub docs` writes the list of codes anew.
#[test]
fn the_codes_of_errors_are_current() {
    const BEGIN: &str = "<!-- generated: codes -->\n";
    const END: &str = "<!-- end of generated -->";
    let path = docs().join("errors.md");
    let page = std::fs::read_to_string(&path).expect("docs/errors.md");
    let (before, rest) = page.split_once(BEGIN).expect("where the list begins");
    let (_, after) = rest.split_once(END).expect("where the list ends");
    let row = |entry: &Entry| format!("| `{}` | {} | {} |\n", entry.name, entry.meaning, entry.remedy);
    let rows: String = CODES.iter().map(row).collect();
    let current = format!("{before}{BEGIN}| Code | What it means | What to do |\n|---|---|---|\n{rows}{END}{after}");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, current).expect("written");
        return;
    }
    assert!(page == current, "errors.md is not current; run UPDATE_DOCS=1 cargo test --test hub docs");
    assert!(CODES.is_sorted_by_key(|entry| entry.name), "in the order of the alphabet");
    assert!(CODES.iter().all(|entry| entry.code.name() == entry.name));
}

// The heading is spelled as in the API: the kind, and the word of the job's or item's kind.
fn section(machine: &Machine) -> String {
    let kind = machine.subject.kind().as_str();
    let (first, rest) = kind.split_at(1);
    let mut text = format!("\n### {first}{}", rest.to_lowercase());
    if !machine.subject.subkind().is_empty() {
        let _ = write!(text, " `{}`", machine.subject.subkind());
    }
    text.push_str("\n\n| State | Status | Final | Description |\n|---|---|---|---|\n");
    text.extend(machine.states.iter().map(row));
    let _ = write!(text, "\n```mermaid\n{}```\n", machine.mermaid());
    text
}

fn row(state: &State) -> String {
    let status = state.status.map_or("–".to_owned(), |status| format!("`{status}`"));
    let last = if state.terminal { "yes" } else { "" };
    format!("| `{}` | {status} | {last} | {} |\n", state.name, state.about.replace('|', "\\|"))
}
