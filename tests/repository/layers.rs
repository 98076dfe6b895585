//! Modules import in one direction: each only from those to its left.

use crate::rust::Line;
use crate::{files, report, rust};

/// From the lowest to the highest. `lib.rs` and `main.rs` put them together and are not listed.
const ORDER: [&str; 27] = [
    "failpoints",
    "sync",
    "progress_reporter",
    "clock",
    "machine",
    "event",
    "vendor",
    "command",
    "access",
    "store",
    "auth",
    "feed",
    "ingest",
    "rebuild",
    "retention",
    "rejection",
    "replica",
    "graphql",
    "request",
    "live",
    "settings",
    "file_limit",
    "http",
    "server",
    "simulate",
    "cli",
    "main",
];

/// The crates that send SQL.
const DRIVERS: [&str; 4] = ["rusqlite", "sea_orm", "sea_query", "sqlx"];

/// Which code may write SQL, and why.
const MAY_USE_DRIVERS: [(&str, &str); 4] = [
    ("src/store/", "the statements of the hub"),
    ("src/rebuild/", "compares, copies and swaps whole tables, whatever their columns are"),
    ("src/retention/", "deletes by key from every table"),
    ("src/feed/postgres.rs", "LISTEN and NOTIFY, which touch no table"),
];

#[test]
fn modules_import_in_one_direction() {
    let mut problems = Vec::new();
    for file in files::sources() {
        let module = module(&file.path);
        if module == "lib" {
            continue;
        }
        let Some(own) = rank(module) else {
            problems.push(format!("{}:1: the module {module} is not in ORDER", file.path));
            continue;
        };
        let lines: Vec<Line> = rust::lines(&file.path, &file.text).into_iter().filter(|line| !line.is_test).collect();
        for (number, used) in used(&lines) {
            // What `lib.rs` itself exports has no place in the order.
            let Some(other) = rank(&used) else { continue };
            if other > own {
                problems.push(format!("{}:{number}: {module} uses crate::{used}, which is to its right", file.path));
            }
        }
    }
    let order = ORDER.join(" -> ");
    report(problems, &format!("Move what is shared to the left, or pass it in. The order: {order}"));
}

#[test]
fn the_order_is_the_one_in_the_map() {
    let map = std::fs::read_to_string(files::root().join("src/lib.rs")).expect("src/lib.rs");
    let row = map.lines().find(|line| line.contains("machine -> event")).expect("the map in src/lib.rs");
    let named: Vec<&str> = row.trim_start_matches("//!").split("->").map(str::trim).collect();
    let known: Vec<&str> = ORDER.iter().copied().filter(|module| named.contains(module)).collect();
    // The crate `entity` is below all of them.
    assert_eq!(named[1..], known, "src/lib.rs and ORDER in tests/repository/layers.rs name another order");
}

#[test]
fn sql_is_in_the_store() {
    let mut problems = Vec::new();
    for file in files::sources() {
        if MAY_USE_DRIVERS.iter().any(|(path, _)| file.path.starts_with(path)) {
            continue;
        }
        for line in rust::lines(&file.path, &file.text).iter().filter(|line| !line.is_test) {
            let words = line.code.split(|it: char| !it.is_alphanumeric() && it != '_');
            for driver in words.filter(|word| DRIVERS.contains(word)) {
                problems.push(format!("{}:{}: {driver}", file.path, line.number));
            }
        }
    }
    report(
        problems,
        "Move the statement to src/store, and call it from here. Only maintenance of whole tables has its own.",
    );
}

fn module(path: &str) -> &str {
    let below = path.strip_prefix("src/").expect("in src");
    below.split(['/', '.']).next().expect("a name")
}

fn rank(module: &str) -> Option<usize> {
    ORDER.iter().position(|it| *it == module)
}

/// The modules named by `crate::x` and `crate::{x, y::z}`, with the line of each.
fn used(lines: &[Line]) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let text: Vec<(usize, char)> =
        lines.iter().flat_map(|line| line.code.chars().chain(['\n']).map(|it| (line.number, it))).collect();
    let characters: String = text.iter().map(|(_, it)| *it).collect();
    let at_character = |byte: usize| characters[..byte].chars().count();
    for (byte, path) in characters.match_indices("crate::") {
        let from = at_character(byte);
        // `$crate::` in a macro names the same module; `mycrate::` does not.
        if from > 0 && (text[from - 1].1.is_alphanumeric() || text[from - 1].1 == '_') {
            continue;
        }
        let mut rest = &text[from + path.len()..];
        if rest.first().map(|it| it.1) != Some('{') {
            found.extend(name(rest));
            continue;
        }
        // At depth one, a name stands after the brace and after each comma.
        let mut depth = 0_usize;
        while let Some((_, character)) = rest.first() {
            rest = &rest[1..];
            match character {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                break;
            }
            if depth == 1 && matches!(character, '{' | ',') {
                let blanks = rest.iter().take_while(|it| it.1.is_whitespace()).count();
                found.extend(name(&rest[blanks..]));
            }
        }
    }
    found
}

fn name(text: &[(usize, char)]) -> Option<(usize, String)> {
    let name: String = text.iter().map(|it| it.1).take_while(|it| it.is_alphanumeric() || *it == '_').collect();
    (!name.is_empty()).then(|| (text[0].0, name))
}

#[test]
fn imports_are_found() {
    let text = "use crate::a::{b, c};\nuse crate::{\n    d::{e, f},\n    g,\n};\nfn h() { crate::i::j(\"crate::no\") } // crate::no\n";
    let found = used(&rust::lines("src/x.rs", text));
    let found: Vec<(usize, &str)> = found.iter().map(|(number, name)| (*number, name.as_str())).collect();
    assert_eq!(found, [(1, "a"), (3, "d"), (4, "g"), (6, "i")]);
    assert_eq!((module("src/vendor/hover.rs"), module("src/server.rs")), ("vendor", "server"));
}
