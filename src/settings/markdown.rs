//! The tables of `docs/configuration.md`, which are made from the tables here.

use super::table::{CONFIG, SCHEMES, SETTINGS, SOURCE, Setting, VERIFY};
use crate::vendor;
use std::fmt::Write;

const END: &str = "<!-- end of generated -->";

/// The document with each of its generated parts (`<!-- generated: settings -->`, `sources`, `verify`) made anew.
pub fn markdown(document: &str) -> String {
    [("settings", settings()), ("sources", sources()), ("verify", verify())]
        .into_iter()
        .fold(document.to_owned(), |document, (name, table)| replaced(&document, name, &table))
}

fn replaced(document: &str, name: &str, table: &str) -> String {
    let begin = format!("<!-- generated: {name} -->\n");
    let parts =
        document.split_once(&begin).and_then(|(before, rest)| rest.split_once(END).map(|(_, after)| (before, after)));
    match parts {
        Some((before, after)) => format!("{before}{begin}{table}{END}{after}"),
        None => document.to_owned(),
    }
}

fn settings() -> String {
    let mut table = String::from("| Key | Flag | Variable | Value | Default | Meaning |\n|---|---|---|---|---|---|\n");
    for setting in std::iter::once(&CONFIG).chain(SETTINGS) {
        let key = if setting.key == CONFIG.key { "–".to_owned() } else { code(setting.key) };
        let (flag, variable) = (code(&setting.flag()), code(&setting.variable()));
        row(&mut table, &[&key, &flag, &variable, &value(setting), &code(setting.default), setting.about]);
    }
    table
}

fn sources() -> String {
    let mut table = String::from(
        "| Key | Variable: `INSPECTION_HUB_SOURCES__…` | Value | Default | Meaning |\n|---|---|---|---|---|\n",
    );
    for setting in SOURCE {
        let variable = match setting.has_variable_of_source() {
            true => code(&format!("<NAME>__{}", setting.key.to_uppercase())),
            false => "–".to_owned(),
        };
        let default = match setting.key {
            "vendor" => setting.default.to_owned(),
            _ => code(setting.default),
        };
        row(&mut table, &[&code(setting.key), &variable, &value(setting), &default, setting.about]);
    }
    table
}

fn verify() -> String {
    let mut table = String::from("| Key | Schemes | Default | Meaning |\n|---|---|---|---|\n");
    for key in VERIFY {
        let schemes = if key.schemes == SCHEMES { "all".to_owned() } else { key.schemes.join(", ") };
        row(&mut table, &[&code(key.key), &schemes, or_dash(key.default), key.about]);
    }
    table
}

fn value(setting: &Setting) -> String {
    match setting.key {
        "config" => "FILE".to_owned(),
        "vendor" => vendor::ALL.iter().map(|vendor| code(vendor.name)).collect::<Vec<_>>().join(" or "),
        _ => setting.form.placeholder().replace('|', " or "),
    }
}

fn code(text: &str) -> String {
    if text.is_empty() { "–".to_owned() } else { format!("`{text}`") }
}

fn or_dash(text: &str) -> &str {
    if text.is_empty() { "–" } else { text }
}

fn row(table: &mut String, cells: &[&str]) {
    // Writing to a string does not fail.
    let _ = writeln!(table, "| {} |", cells.join(" | "));
}
