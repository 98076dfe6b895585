//! Every Rust file is compiled, and every folder of tests says what it is.

use crate::files::{self, File};
use crate::{report, rust};
use std::collections::HashSet;

/// Folders whose Rust files belong to one package.
const FOLDERS: [&str; 5] = ["benches", "entity", "migration", "src", "tests"];

/// Folders of `tests` that are described by the page of the folder above.
const DESCRIBED_ABOVE: [(&str, &str); 2] = [
    ("tests/samples/", "one folder per vendor, and files that are read byte for byte"),
    ("tests/hub/snapshots", "written by tests"),
];

#[test]
fn every_rust_file_is_a_module() {
    let files: Vec<File> = FOLDERS.iter().flat_map(|folder| files::below(folder, &["rs"])).collect();
    let declared: HashSet<String> = files.iter().flat_map(declared).collect();
    let forgotten = files.iter().map(|file| &file.path).filter(|path| !is_root(path) && !declared.contains(*path));
    let problems =
        forgotten.map(|path| format!("{path}:1: no `mod` includes this file, so it is not compiled")).collect();
    report(problems, "Declare it with `mod` in the file above, or delete it.");
}

#[test]
fn every_folder_of_tests_says_what_it_is() {
    let mut folders: Vec<String> = Vec::new();
    for file in files::below("tests", &["graphql", "js", "json", "mjs", "py", "rs", "sh"]) {
        let folder = file.path.rsplit_once('/').expect("a folder").0.to_owned();
        let is_described = DESCRIBED_ABOVE.iter().any(|(above, _)| folder.starts_with(above));
        if !is_described && !folders.contains(&folder) {
            folders.push(folder);
        }
    }
    assert!(folders.len() > 8, "{folders:?}: the search is broken");
    let text = |folder: &str| std::fs::read_to_string(files::root().join(folder).join("README.md")).unwrap_or_default();
    let lacking = folders.iter().filter(|folder| text(folder).lines().filter(|line| !line.is_empty()).count() < 4);
    let problems =
        lacking.map(|folder| format!("{folder}/README.md:1: fewer than three lines below the heading")).collect();
    report(problems, "Write what the folder is, what runs it, and what it needs.");
}

/// The root of a crate: cargo finds it by its place.
fn is_root(path: &str) -> bool {
    let (folder, name) = path.rsplit_once('/').expect("a folder");
    matches!(name, "lib.rs" | "main.rs") || folder == "benches"
}

/// The files that a file may include, from its `mod` declarations: `mod a;`, `mod a { mod b; }` and `#[path = "…"] mod c;`.
fn declared(file: &File) -> Vec<String> {
    let (folder, name) = file.path.rsplit_once('/').expect("a folder");
    let own = match name {
        "mod.rs" => folder.to_owned(),
        _ if is_root(&file.path) => folder.to_owned(),
        _ => format!("{folder}/{}", name.trim_end_matches(".rs")),
    };
    let mut found = Vec::new();
    let mut inline: Vec<(String, usize)> = Vec::new();
    let (mut depth, mut path) = (0_usize, None);
    for line in rust::lines(&file.path, &file.text) {
        let code = line.code.trim();
        if code.starts_with("#[path") {
            path = Some(line.quoted.trim().to_owned());
        }
        let words: Vec<&str> = code.split(|it: char| !it.is_alphanumeric() && it != '_').collect();
        let module = words.iter().position(|word| *word == "mod").and_then(|at| words.get(at + 1));
        if let Some(module) = module.filter(|module| !module.is_empty()) {
            let parts: Vec<&str> = inline.iter().map(|(name, _)| name.as_str()).collect();
            let below = [&[own.as_str()], parts.as_slice()].concat().join("/");
            match path.take() {
                // Within an inline module, a path starts below a folder of its name.
                Some(path) => {
                    let from = if parts.is_empty() { folder } else { &below };
                    found.push(normal(&format!("{from}/{path}")));
                }
                None if code.ends_with('{') => inline.push(((*module).to_owned(), depth)),
                None => found.extend([format!("{below}/{module}.rs"), format!("{below}/{module}/mod.rs")]),
            }
        }
        for character in code.chars() {
            match character {
                '{' => depth += 1,
                '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
        inline.retain(|(_, begun)| depth > *begun);
    }
    found
}

/// Without `..`.
fn normal(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            ".." => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

#[test]
fn modules_are_found() {
    let text = "mod a;\n#[path = \"../support/b.rs\"]\nmod c;\npub mod d {\n    pub mod e;\n    #[path = \"../f.rs\"]\n    mod g;\n}\nmod h;\n";
    let file = |path: &str| File { path: path.into(), text: text.into() };
    let in_root = declared(&file("tests/hub/main.rs"));
    for path in ["tests/hub/a.rs", "tests/support/b.rs", "tests/hub/d/e.rs", "tests/hub/f.rs", "tests/hub/h/mod.rs"] {
        assert!(in_root.iter().any(|it| it == path), "{path} in {in_root:?}");
    }
    assert!(declared(&file("src/x.rs")).contains(&"src/x/a.rs".to_owned()));
}
