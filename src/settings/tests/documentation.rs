use super::markdown::render_markdown;
use super::*;

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md");
const EXAMPLE: &str = include_str!("../../../docs/inspection-hub.example.toml");

/// `UPDATE_DOCS=1 cargo test --lib settings` generates the tables.
#[test]
fn the_tables_are_current() {
    let document = std::fs::read_to_string(DOCUMENT).unwrap();
    let current = render_markdown(&document);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        return std::fs::write(DOCUMENT, current).unwrap();
    }
    assert!(document == current, "docs/configuration.md is not current; run UPDATE_DOCS=1 cargo test --lib settings");
    let all = table::SETTINGS
        .iter()
        .chain(source_table::SOURCE_SETTINGS)
        .map(|row| row.key)
        .chain(source_table::VERIFY_SETTINGS.iter().map(|row| row.key))
        .chain(table::API_KEY_SETTINGS.iter().map(|row| row.key));
    for key in all {
        assert!(document.contains(&format!("\n| `{key}` |")), "{key} has no row");
    }
}

#[test]
fn the_example_works() {
    let input = file(EXAMPLE)
        .variable("TRUEPIC_SECRET", "s")
        .variable("PAVE_TOKEN", "s")
        .variable("HOVER_API_TOKEN", "s")
        .variable("HOVER_SECRET_230293", "s")
        .variable("HOVER_SECRET_230294", "s")
        .variable("HOVER_URL_TOKEN", "s")
        .variable("TRUTO_STAGING_SECRET", "s")
        .variable("RECORD360_PASSWORD", "s")
        .other_file("secrets/truto-new", "s\n")
        .other_file("secrets/truto-old", "s\n");
    assert_eq!(input.warnings(), Vec::<String>::new());
    let sources = input.settings().sources;
    let schemes: Vec<_> = sources.iter().map(|source| (source.name.as_str(), source.verifier.schemes())).collect();
    assert_eq!(
        schemes,
        [
            ("hover", vec!["signature", "url_token"]),
            ("pave", vec!["bearer"]),
            ("record360", vec!["basic"]),
            ("truepic", vec!["signature"]),
            ("truto-production", vec!["signature"]),
            ("truto-staging", vec!["signature"]),
        ]
    );
}

#[test]
fn the_documented_messages_are_current() {
    let document = std::fs::read_to_string(DOCUMENT).unwrap();
    let text = "\n\nbody_limt = 1\n\n\n\n\n\n\n\n[[sources.truepic.verify]]\nscheme = 'signature'\nsecrets = 's'\n";
    let input = file(text).variable("INSPECTION_HUB_LISTEN", "8080");
    assert!(document.contains(&input.load().unwrap_err().to_string()), "{}", input.load().unwrap_err());
}
