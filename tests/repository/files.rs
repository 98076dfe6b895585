//! Which files the checks read.

use std::fs;
use std::path::{Path, PathBuf};

/// Folders that are built, downloaded or filled at run time.
const NOT_OURS: [&str; 8] = [".git", ".venv", "__generated__", "data", "dist", "generated", "node_modules", "target"];

pub struct File {
    /// From the repository's root, with `/`.
    pub path: String,
    pub text: String,
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files of these kinds below a folder of the repository, in the order of their paths.
pub fn below(folder: &str, extensions: &[&str]) -> Vec<File> {
    let mut paths = Vec::new();
    collect(&root().join(folder), &mut paths);
    paths.sort();
    let is_wanted =
        |path: &PathBuf| path.extension().and_then(|it| it.to_str()).is_some_and(|it| extensions.contains(&it));
    paths.iter().filter(|path| is_wanted(path)).map(|path| read(path)).collect()
}

/// Every Markdown page: those at the root, and all below `docs`, `tests` and `web`.
pub fn pages() -> Vec<File> {
    let at_root = fs::read_dir(root()).expect("the repository").flatten().map(|entry| entry.path());
    let mut pages: Vec<File> =
        at_root.filter(|path| path.extension().is_some_and(|it| it == "md")).map(|path| read(&path)).collect();
    pages.extend(["docs", "tests", "web"].iter().flat_map(|folder| below(folder, &["md"])));
    assert!(pages.len() > 10, "{} pages: the search is broken", pages.len());
    pages
}

/// The program's own Rust files.
pub fn sources() -> Vec<File> {
    let sources = below("src", &["rs"]);
    assert!(sources.len() > 100, "{} files in src: the search is broken", sources.len());
    sources
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())).flatten() {
        let path = entry.path();
        if !path.is_dir() {
            found.push(path);
        } else if !NOT_OURS.iter().any(|name| entry.file_name() == *name) {
            collect(&path, found);
        }
    }
}

fn read(path: &Path) -> File {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let path = path.strip_prefix(root()).expect("below the root").to_string_lossy().replace('\\', "/");
    File { path, text }
}
