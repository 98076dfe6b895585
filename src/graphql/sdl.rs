//! The schema in GraphQL's own language: as it is read by people and their tools, and as a federation's router reads it.

use super::builder;
use async_graphql::SDLExportOptions;
use std::sync::OnceLock;

/// The directives that every GraphQL server has (GraphQL, September 2025, section 3.13).
const BUILT_IN: &[&str] = &["deprecated", "include", "oneOf", "skip", "specifiedBy"];

/// What a router has to know of types: which are entities and by what, and which may be the same in other subgraphs.
const FEDERATION_DIRECTIVES: &[(&str, &str)] = &[
    ("type Inspection implements Node", "@key(fields: \"id\") @key(fields: \"source externalId\")"),
    ("type Session implements Node", "@key(fields: \"id\") @key(fields: \"source externalId\")"),
    ("type Job implements Node", "@key(fields: \"id\")"),
    ("type PageInfo", "@shareable"),
];

/// Of the oldest version of the federation that has subscriptions; newer routers take it too.
const LINK: &str =
    "extend schema @link(url: \"https://specs.apollo.dev/federation/v2.4\", import: [\"@key\", \"@shareable\"])";

/// Newer than what routers compose with (2.14 calls it unknown), so it is defined for them.
const ONE_OF: &str = "directive @oneOf on INPUT_OBJECT";

/// The schema, sorted. As the specification has it (sections 3.3.1 and 3.13), what every server has is left out: the
/// built-in directives, and the names of the root types.
pub fn sdl() -> String {
    let options = SDLExportOptions::new().sorted_fields().sorted_arguments().sorted_enum_items();
    let options = options.prefer_single_line_descriptions().include_specified_by().use_space_ident();
    // This form leaves out what only routers ask for, `_entities` and `_service`. Its link is not needed here.
    let text = builder().enable_subscription_in_federation().finish().sdl_with_options(options.federation());
    let types = text.split_once("extend schema @link(").map_or(text.as_str(), |(types, _)| types);
    without_built_ins(types)
}

/// All that is answered, also what only routers ask for: what a query is weighed by.
pub fn full_sdl() -> String {
    builder().finish().sdl_with_options(SDLExportOptions::new())
}

/// The schema as a subgraph of an Apollo Federation: what `_service { sdl }` answers.
pub fn subgraph_sdl() -> &'static str {
    static SDL: OnceLock<String> = OnceLock::new();
    SDL.get_or_init(|| {
        let types = FEDERATION_DIRECTIVES.iter().fold(sdl(), |sdl, (head, directives)| {
            sdl.replacen(&format!("{head} {{\n"), &format!("{head} {directives} {{\n"), 1)
        });
        format!("{LINK}\n\n{ONE_OF}\n\n{types}")
    })
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
