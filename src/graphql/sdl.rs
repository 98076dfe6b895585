//! The schema as SDL: for people and tools, and for the router of a federation.

use super::builder;
use async_graphql::SDLExportOptions;
use std::sync::OnceLock;

/// The directives that every GraphQL server has (GraphQL, September 2025, section 3.13).
const BUILT_IN: &[&str] = &["deprecated", "include", "oneOf", "skip", "specifiedBy"];

/// The federation's directives per type: keys of entities, and types that other subgraphs may define too.
const FEDERATION_DIRECTIVES: &[(&str, &str)] = &[
    ("type Inspection implements Node", "@key(fields: \"id\") @key(fields: \"source externalId\")"),
    ("type Session implements Node", "@key(fields: \"id\") @key(fields: \"source externalId\")"),
    ("type Job implements Node", "@key(fields: \"id\")"),
    ("type PageInfo", "@shareable"),
];

/// The oldest version of federation with subscriptions. Newer routers accept it.
const LINK: &str =
    "extend schema @link(url: \"https://specs.apollo.dev/federation/v2.4\", import: [\"@key\", \"@shareable\"])";

/// Defined for routers, which do not know it yet (2.14 rejects it as unknown).
const ONE_OF: &str = "directive @oneOf on INPUT_OBJECT";

/// The schema, sorted. As the specification recommends (sections 3.3.1 and 3.13), built-in directives and the default
/// names of the root types are left out.
pub fn sdl() -> String {
    let options = SDLExportOptions::new().sorted_fields().sorted_arguments().sorted_enum_items();
    let options = options.prefer_single_line_descriptions().include_specified_by().use_space_ident();
    // This format leaves out `_entities` and `_service`, which are for routers. Its `@link` is not needed here.
    let text = builder().enable_subscription_in_federation().finish().sdl_with_options(options.federation());
    let types = text.split_once("extend schema @link(").map_or(text.as_str(), |(types, _)| types);
    without_built_ins(types)
}

/// The complete schema, including the fields for routers. The cost of queries is computed from it.
pub fn full_sdl() -> String {
    builder().finish().sdl_with_options(SDLExportOptions::new())
}

/// The schema as a subgraph of an Apollo Federation, for `_service { sdl }`.
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
            // Its description is the line before.
            Some(name) if BUILT_IN.contains(&name) => drop(lines.pop()),
            _ => lines.push(line),
        }
    }
    format!("{}\n", lines.join("\n").trim_end())
}
