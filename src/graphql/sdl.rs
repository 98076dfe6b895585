//! The schema in GraphQL's own language.

use super::builder;
use async_graphql::SDLExportOptions;

/// The directives that every GraphQL server has (GraphQL, September 2025, section 3.13).
const BUILT_IN: &[&str] = &["deprecated", "include", "oneOf", "skip", "specifiedBy"];

/// The schema, sorted. As the specification has it (sections 3.3.1 and 3.13), what every server has is left out: the
/// built-in directives, and the names of the root types.
pub fn sdl() -> String {
    let options = SDLExportOptions::new().sorted_fields().sorted_arguments().sorted_enum_items();
    let options = options.prefer_single_line_descriptions().include_specified_by().use_space_ident();
    let text = builder().finish().sdl_with_options(options);
    let types = text.split_once("schema {\n").map_or(text.as_str(), |(types, _)| types);
    without_built_ins(types)
}

fn without_built_ins(sdl: &str) -> String {
    let mut lines: Vec<&str> = Vec::new();
    for line in sdl.lines() {
        let name = line.strip_prefix("directive @").and_then(|rest| rest.split(['(', ' ']).next());
        match name {
            // Its description stands before it.
            Some(name) if BUILT_IN.contains(&name) => drop(lines.pop()),
            _ => lines.push(line),
        }
    }
    format!("{}\n", lines.join("\n").trim_end())
}
