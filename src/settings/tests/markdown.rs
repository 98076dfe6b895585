//! The tables of `docs/configuration.md`, which are made from the tables here.

use super::table::{CONFIG, SCHEMES, SETTINGS, SOURCE_SETTINGS, Setting, VERIFY_KEYS};
use crate::vendor;
use std::fmt::Write;

const END: &str = "<!-- end of generated -->";

/// The document with each of its generated parts (`<!-- generated: settings -->`, `sources`, `verify`) made anew.
pub fn render_markdown(document: &str) -> String {
    [("settings", settings()), ("sources", sources()), ("verify", verify())]
        .into_iter()
        .fold(document.to_owned(), |document, (name, table)| replace_generated_section(&document, name, &table))
}

fn replace_generated_section(document: &str, name: &str, table: &str) -> String {
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
        let (flag, variable) = (code(&setting.flag()), code(&setting.env_var()));
        write_row(&mut table, &[&key, &flag, &variable, &value(setting), &code(setting.default), setting.description]);
    }
    table
}

fn sources() -> String {
    let mut table = String::from(
        "| Key | Variable: `INSPECTION_HUB_SOURCES__…` | Value | Default | Meaning |\n|---|---|---|---|---|\n",
    );
    for setting in SOURCE_SETTINGS {
        let variable = match setting.has_source_env_var() {
            true => code(&format!("<NAME>__{}", setting.key.to_uppercase())),
            false => "–".to_owned(),
        };
        let default = match setting.key {
            "vendor" => setting.default.to_owned(),
            _ => code(setting.default),
        };
        write_row(&mut table, &[&code(setting.key), &variable, &value(setting), &default, setting.description]);
    }
    table
}

fn verify() -> String {
    let mut table = String::from("| Key | Schemes | Default | Meaning |\n|---|---|---|---|\n");
    for key in VERIFY_KEYS {
        let schemes = if key.schemes == SCHEMES { "all".to_owned() } else { key.schemes.join(", ") };
        write_row(&mut table, &[&code(key.key), &schemes, or_dash(key.default), key.description]);
    }
    table
}

fn value(setting: &Setting) -> String {
    match setting.key {
        "config" => "FILE".to_owned(),
        "vendor" => vendor::ALL.iter().map(|vendor| code(vendor.name)).collect::<Vec<_>>().join(" or "),
        _ => setting.kind.placeholder().replace('|', " or "),
    }
}

fn code(text: &str) -> String {
    if text.is_empty() { "–".to_owned() } else { format!("`{text}`") }
}

fn or_dash(text: &str) -> &str {
    if text.is_empty() { "–" } else { text }
}

fn write_row(table: &mut String, cells: &[&str]) {
    // Writing to a string does not fail.
    let _ = writeln!(table, "| {} |", cells.join(" | "));
}
