//! Generates the tables of `docs/configuration.md`.

use crate::settings::source_table::{SOURCE_SETTINGS, VERIFY_SETTINGS};
use crate::settings::table::{
    self, API_KEY_SETTINGS, CONFIG, OIDC_SETTINGS, PROXY_GRANT_SETTINGS, Setting, TOKEN_GRANT_SETTINGS,
    TOKEN_ISSUER_SETTINGS,
};
use crate::vendor;
use std::fmt::Write;

const END: &str = "<!-- end of generated -->";

/// The document with its generated parts (`<!-- generated: settings -->`, `sources`, `verify` and others) replaced.
pub fn render_markdown(document: &str) -> String {
    let tables = [
        ("settings", settings()),
        ("sources", sources()),
        ("verify", verify()),
        ("api_keys", keys_of_file(API_KEY_SETTINGS)),
        ("token_issuers", keys_of_file(TOKEN_ISSUER_SETTINGS)),
        ("token_grants", keys_of_file(TOKEN_GRANT_SETTINGS)),
        ("oidc", keys_of_file(OIDC_SETTINGS)),
        ("proxy_grants", keys_of_file(PROXY_GRANT_SETTINGS)),
    ];
    tables
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
    let mut markdown =
        String::from("| Key | Flag | Variable | Value | Default | Meaning |\n|---|---|---|---|---|---|\n");
    for setting in table::flag_settings() {
        let key = code(if setting.key == CONFIG.key { "" } else { setting.key });
        let (flag, variable) = (code(&setting.flag()), code(&setting.env_var()));
        write_row(
            &mut markdown,
            &[&key, &flag, &variable, &value(setting), &code(setting.default), setting.description()],
        );
    }
    markdown
}

fn sources() -> String {
    let mut markdown = String::from(
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
        write_row(&mut markdown, &[&code(setting.key), &variable, &value(setting), &default, setting.description()]);
    }
    markdown
}

fn keys_of_file(settings: &[Setting]) -> String {
    let mut markdown = String::from("| Key | Value | Default | Meaning |\n|---|---|---|---|\n");
    for setting in settings {
        let default = if setting.default.is_empty() { "–" } else { setting.default };
        write_row(&mut markdown, &[&code(setting.key), setting.placeholder, default, setting.description()]);
    }
    markdown
}

fn verify() -> String {
    let mut markdown = String::from("| Key | Schemes | Default | Meaning |\n|---|---|---|---|\n");
    for setting in VERIFY_SETTINGS {
        let schemes = if setting.schemes.is_empty() { "all".to_owned() } else { setting.schemes.join(", ") };
        write_row(&mut markdown, &[&code(setting.key), &schemes, or_dash(setting.default), setting.description()]);
    }
    markdown
}

fn value(setting: &Setting) -> String {
    match setting.key {
        "vendor" => vendor::ALL.iter().map(|vendor| code(vendor.name)).collect::<Vec<_>>().join(" or "),
        _ => setting.placeholder.replace('|', " or "),
    }
}

fn code(text: &str) -> String {
    if text.is_empty() { "–".to_owned() } else { format!("`{text}`") }
}

fn or_dash(text: &str) -> &str {
    if text.is_empty() { "–" } else { text }
}

fn write_row(markdown: &mut String, cells: &[&str]) {
    writeln!(markdown, "| {} |", cells.join(" | ")).expect("a string");
}
