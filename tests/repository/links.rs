//! Every relative link, every anchor and every path of the repository that a page or a comment names.

use crate::files::{self, File};
use crate::{report, rust};
use std::collections::HashMap;

/// What a path in backticks begins with, to be taken for one of this repository.
const FOLDERS: [&str; 9] = [".cargo/", ".ci/", "benches/", "docs/", "entity/", "migration/", "src/", "tests/", "web/"];

/// Paths that are named but not there, and why.
const ABSENT: [(&str, &str); 3] = [
    ("safetyculture", "the vendor that the guide adds as an example"),
    ("web/dist", "built by `make web`"),
    ("node_modules", "installed by `make test`"),
];

#[test]
fn links_lead_somewhere() {
    let pages = files::pages();
    let anchors: HashMap<&str, Vec<String>> = pages.iter().map(|page| (page.path.as_str(), anchors(page))).collect();
    let mut problems = Vec::new();
    for page in &pages {
        for (number, line) in prose(page) {
            for target in targets(line) {
                if let Err(problem) = follow(&page.path, &target, &anchors) {
                    problems.push(format!("{}:{number}: {problem}", page.path));
                }
            }
        }
    }
    report(problems, "Correct the link, or remove it. Anchors are headings in lower case, with `-` for each blank.");
}

#[test]
fn paths_in_backticks_exist() {
    let mut problems = Vec::new();
    for page in files::pages() {
        for (number, line) in page.text.lines().enumerate() {
            problems.extend(absent(line).map(|path| format!("{}:{}: no {path}", page.path, number + 1)));
        }
    }
    for folder in ["benches", "entity", "migration", "src", "tests"] {
        for file in files::below(folder, &["rs"]) {
            for line in rust::lines(&file.path, &file.text) {
                problems.extend(absent(&line.comment).map(|path| format!("{}:{}: no {path}", file.path, line.number)));
            }
        }
    }
    report(problems, "Write where it is now. A path starts at the repository's root.");
}

fn absent(line: &str) -> impl Iterator<Item = &str> {
    let quoted = line.split('`').skip(1).step_by(2);
    quoted.filter(|path| {
        let is_path = FOLDERS.iter().any(|folder| path.starts_with(folder))
            && path.chars().all(|it| it.is_ascii_alphanumeric() || "./-_".contains(it));
        is_path && !ABSENT.iter().any(|(part, _)| path.contains(part)) && !files::root().join(path).exists()
    })
}

fn follow(from: &str, target: &str, anchors: &HashMap<&str, Vec<String>>) -> Result<(), String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return Ok(());
    }
    let (path, anchor) = target.split_once('#').map_or((target, None), |(path, anchor)| (path, Some(anchor)));
    let folder = from.rsplit_once('/').map_or("", |(folder, _)| folder);
    let path = if path.is_empty() { from.to_owned() } else { normal(&format!("{folder}/{path}")) };
    if !files::root().join(&path).exists() {
        return Err(format!("no {path}"));
    }
    let Some(anchor) = anchor else { return Ok(()) };
    match anchors.get(path.as_str()) {
        Some(known) if known.iter().any(|it| it == anchor) => Ok(()),
        _ => Err(format!("{path} has no heading #{anchor}")),
    }
}

/// Without `.` and `..`.
fn normal(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
        match part {
            ".." => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

/// The lines outside of fenced blocks, with their numbers.
fn prose(page: &File) -> impl Iterator<Item = (usize, &str)> {
    let mut in_block = false;
    (1..).zip(page.text.lines()).filter(move |(_, line)| {
        let is_fence = line.trim_start().starts_with("```");
        in_block ^= is_fence;
        !in_block && !is_fence
    })
}

/// What `[text](target)` and `![text](target)` lead to. Within backticks nothing is a link.
fn targets(line: &str) -> Vec<String> {
    let parts = line.split('`').enumerate();
    let line: String = parts.map(|(place, part)| if place % 2 == 0 { part } else { "code" }).collect();
    let links = line.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    links.filter_map(|(target, _)| target.split_whitespace().next()).map(str::to_owned).collect()
}

/// The anchors of a page's headings, as GitHub makes them.
fn anchors(page: &File) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for (_, line) in prose(page) {
        let Some(heading) = line.strip_prefix('#').map(|it| it.trim_start_matches('#')) else { continue };
        let Some(heading) = heading.strip_prefix(' ') else { continue };
        let kept = heading.trim().to_lowercase();
        let kept = kept.chars().filter(|it| it.is_alphanumeric() || " -_".contains(*it));
        let anchor: String = kept.map(|it| if it == ' ' { '-' } else { it }).collect();
        let before = found.iter().filter(|it| **it == anchor).count();
        found.push(if before == 0 { anchor } else { format!("{anchor}-{before}") });
    }
    found
}

#[test]
fn links_are_found() {
    let line = "see [`a`](x.md#b), `[no](z.md)`, ![c](y.png \"title\")";
    assert_eq!(targets(line), ["x.md#b", "y.png"]);
    let page = File { path: "docs/x.md".into(), text: "# A `b`, c\n```\n# no\n```\n## A b c\n[x](#a-b-c)\n".into() };
    assert_eq!(anchors(&page), ["a-b-c", "a-b-c-1"]);
    let known = HashMap::from([("docs/README.md", vec!["here".to_owned()])]);
    assert!(follow("docs/x.md", "https://example.com/none", &known).is_ok());
    assert!(follow("docs/x.md", "../Cargo.toml", &known).is_ok());
    assert!(follow("docs/x.md", "gone.md", &known).is_err());
    assert!(follow("docs/README.md", "#gone", &known).is_err());
    let absent: Vec<&str> = absent("`src/lib.rs`, `src/gone.rs`, `src/vendor/`, `docs/<name>.md`").collect();
    assert_eq!(absent, ["src/gone.rs"]);
}
