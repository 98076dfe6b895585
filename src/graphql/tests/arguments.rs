//! Every argument of every field, with valid and invalid values. The arguments are found by walking the schema, so that
//! a new one is tested too.

use super::*;
use crate::graphql::schema_types;
use serde_json::{Map, json};
use std::collections::{BTreeMap, HashSet, VecDeque};

const INTROSPECTION: &str = "{ __schema { types { kind name
    fields { name type { ...T } args { name defaultValue type { ...T } } }
    inputFields { name defaultValue type { ...T } } isOneOf } } }
  fragment T on __Type { kind name ofType { kind name ofType { kind name ofType { kind name } } } }";

/// Strings with a format, by the name of their argument: an invalid one, and what the hint has to show.
const INVALID_TEXTS: &[(&str, &str, &str)] = &[
    ("stalledFor", "soon", "`PT24H`"),
    ("ages", "soon", "`PT24H`"),
    ("timeZone", "Europe/Nowhere", "`Europe/Berlin`"),
    ("after", "nonsense", "`YzI6Nzo0Mg`"),
    ("before", "nonsense", "`YzI6Nzo0Mg`"),
];

/// A type of an argument.
#[derive(Clone, Debug)]
enum ArgumentType {
    NonNull(Box<ArgumentType>),
    List(Box<ArgumentType>),
    Named(String),
}

impl ArgumentType {
    fn of(value: &Value) -> ArgumentType {
        match value["kind"].as_str() {
            Some("NON_NULL") => ArgumentType::NonNull(Box::new(ArgumentType::of(&value["ofType"]))),
            Some("LIST") => ArgumentType::List(Box::new(ArgumentType::of(&value["ofType"]))),
            _ => ArgumentType::Named(value["name"].as_str().expect("a name").to_owned()),
        }
    }

    fn named(&self) -> &str {
        match self {
            ArgumentType::NonNull(of) | ArgumentType::List(of) => of.named(),
            ArgumentType::Named(name) => name,
        }
    }

    fn spelled(&self) -> String {
        match self {
            ArgumentType::NonNull(of) => format!("{}!", of.spelled()),
            ArgumentType::List(of) => format!("[{}]", of.spelled()),
            ArgumentType::Named(name) => name.clone(),
        }
    }
}

/// An argument, or a field of an input.
#[derive(Clone, Debug)]
struct ArgumentSpec {
    name: String,
    ty: ArgumentType,
    is_required: bool,
}

impl ArgumentSpec {
    fn all(values: &Value) -> Vec<ArgumentSpec> {
        let input = |value: &Value| {
            let ty = ArgumentType::of(&value["type"]);
            let is_needed = matches!(ty, ArgumentType::NonNull(_)) && value["defaultValue"].is_null();
            ArgumentSpec { name: value["name"].as_str().expect("a name").to_owned(), ty, is_required: is_needed }
        };
        values.as_array().into_iter().flatten().map(input).collect()
    }
}

/// A field that takes arguments, and what leads to it.
struct TestedField {
    name: String,
    inputs: Vec<ArgumentSpec>,
    has_fields: bool,
    /// The fields above it, with the arguments that they need.
    path: Vec<String>,
}

struct SchemaArguments {
    types: BTreeMap<String, Value>,
    fields: Vec<TestedField>,
}

/// What can be given.
#[derive(Clone, Debug)]
struct ArgumentValue(Value);

// An enum's word is a text that begins so.
const WORD: &str = "§";

impl ArgumentValue {
    /// As a literal in a document.
    fn literal(&self) -> String {
        fn print(value: &Value) -> String {
            match value {
                Value::String(text) => match text.strip_prefix(WORD) {
                    Some(word) => word.to_owned(),
                    None => value.to_string(),
                },
                Value::Array(values) => format!("[{}]", values.iter().map(print).collect::<Vec<_>>().join(", ")),
                Value::Object(fields) => {
                    let fields = fields.iter().map(|(name, value)| format!("{name}: {}", print(value)));
                    format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
                }
                other => other.to_string(),
            }
        }
        print(&self.0)
    }

    /// As JSON for variables.
    fn json(&self) -> Value {
        serde_json::from_str(&self.0.to_string().replace(WORD, "")).expect("JSON")
    }
}

impl SchemaArguments {
    async fn of(hub: &ApiFixture) -> SchemaArguments {
        let data = hub.query(INTROSPECTION).await;
        let types = data["__schema"]["types"].as_array().expect("types").iter();
        let types: BTreeMap<_, _> =
            types.map(|ty| (ty["name"].as_str().expect("a name").to_owned(), ty.clone())).collect();
        let mut walked = SchemaArguments { types, fields: Vec::new() };
        let mut seen = HashSet::from(["Query".to_owned()]);
        let mut waiting = VecDeque::from([("Query".to_owned(), Vec::<String>::new())]);
        let mut fields = Vec::new();
        while let Some((parent, path)) = waiting.pop_front() {
            for field in walked.types[&parent]["fields"].as_array().into_iter().flatten() {
                let (name, of) = (field["name"].as_str().expect("a name"), ArgumentType::of(&field["type"]));
                let inputs = ArgumentSpec::all(&field["args"]);
                let has_fields = walked.types[of.named()]["fields"].is_array();
                let needed = walked.required_arguments(&inputs, None);
                // An object that is looked up by a key is null here.
                let by_key = inputs.iter().any(|input| input.is_required && input.ty.named() != "DateTime");
                let is_object = walked.types[of.named()]["kind"] == "OBJECT";
                if has_fields && is_object && !by_key && seen.insert(of.named().to_owned()) {
                    let below = path.iter().cloned().chain([format!("{name}{needed}")]).collect();
                    waiting.push_back((of.named().to_owned(), below));
                }
                if !inputs.is_empty() {
                    fields.push(TestedField { name: name.to_owned(), inputs, has_fields, path: path.clone() });
                }
            }
        }
        walked.fields = fields;
        for (name, ty) in &walked.types {
            let takes = |field: &Value| field["args"].as_array().is_some_and(|arguments| !arguments.is_empty());
            let fields = ty["fields"].as_array().into_iter().flatten();
            if !name.starts_with("__")
                && !["Mutation", "Subscription"].contains(&name.as_str())
                && fields.into_iter().any(takes)
            {
                assert!(seen.contains(name), "nothing leads to {name}");
            }
        }
        walked
    }

    // The arguments that must be given but one, in brackets.
    fn required_arguments(&self, inputs: &[ArgumentSpec], but: Option<(&str, &str)>) -> String {
        let needed = inputs.iter().filter(|input| input.is_required && but.is_none_or(|(name, _)| name != input.name));
        let given =
            needed.map(|input| format!("{}: {}", input.name, ArgumentValue(self.valid_value(&input.ty)).literal()));
        let given: Vec<_> = given.chain(but.map(|(name, value)| format!("{name}: {value}"))).collect();
        if given.is_empty() { String::new() } else { format!("({})", given.join(", ")) }
    }

    fn query(&self, field: &TestedField, argument: Option<(&str, &str)>) -> String {
        let arguments = self.required_arguments(&field.inputs, argument);
        let below = if field.has_fields { " { __typename }" } else { "" };
        let innermost = format!("{}{arguments}{below}", field.name);
        field.path.iter().rev().fold(innermost, |below, above| format!("{above} {{ {below} }}"))
    }

    /// A valid value.
    fn valid_value(&self, ty: &ArgumentType) -> Value {
        match ty {
            ArgumentType::NonNull(of) => self.valid_value(of),
            ArgumentType::List(of) => json!([self.valid_value(of)]),
            ArgumentType::Named(name) => match name.as_str() {
                "Int" => json!(1),
                "Boolean" => json!(true),
                "String" => json!("lot"),
                "ID" => json!("018f3c5e-7a10-5b8c-9d21-4f6e8a0b2c3d"),
                "DateTime" => json!("2024-01-01T01:00:00Z"),
                name => {
                    let ty = &self.types[name];
                    match ty["kind"].as_str() {
                        Some("ENUM") => {
                            let Some(schema_types::SchemaType::Enum(words)) = schema_types::schema_type(name) else {
                                panic!("{name} is no enum")
                            };
                            json!(format!("{WORD}{}", words[0]))
                        }
                        Some("INPUT_OBJECT") => {
                            let fields = ArgumentSpec::all(&ty["inputFields"]);
                            let one = ty["isOneOf"] == true;
                            let fields = fields.iter().enumerate().filter(|(place, field)| match one {
                                true => *place == 0,
                                false => field.is_required,
                            });
                            let fields = fields.map(|(_, field)| (field.name.clone(), self.valid_value(&field.ty)));
                            Value::Object(fields.collect::<Map<_, _>>())
                        }
                        kind => panic!("{name} is {kind:?}: say what can be given for it"),
                    }
                }
            },
        }
    }

    /// Invalid values.
    fn invalid_values(&self, name: &str, ty: &ArgumentType) -> Vec<Value> {
        match ty {
            ArgumentType::NonNull(of) => self.invalid_values(name, of).into_iter().chain([Value::Null]).collect(),
            ArgumentType::List(of) => {
                let wrong = self.invalid_values(name, of);
                let lists = wrong.iter().map(|wrong| json!([wrong]));
                lists.chain(wrong.iter().filter(|wrong| !wrong.is_null()).cloned()).collect()
            }
            ArgumentType::Named(of) => match of.as_str() {
                "Int" => vec![json!("x"), json!(1.5), json!(true), json!(3_000_000_000_i64), json!({ "a": 1 })],
                "Boolean" => vec![json!("yes"), json!(1), json!({ "a": 1 })],
                "String" => {
                    let meant =
                        INVALID_TEXTS.iter().filter(|(known, ..)| *known == name).map(|(_, wrong, _)| json!(wrong));
                    [json!(5), json!(true), json!({ "a": 1 })].into_iter().chain(meant).collect()
                }
                "ID" => vec![json!("x"), json!("8471920"), json!(true), json!(1.5), json!({ "a": 1 })],
                "DateTime" => {
                    vec![
                        json!("2020-05-01"),
                        json!("yesterday"),
                        json!("2020-05-01T10:00:00"),
                        json!(5),
                        json!(true),
                        json!({ "a": 1 }),
                    ]
                }
                of => {
                    let ty = &self.types[of];
                    if ty["kind"] == "ENUM" {
                        return vec![json!("§NOPE"), json!("§nope"), json!(5), json!({ "a": 1 })];
                    }
                    let fields = ArgumentSpec::all(&ty["inputFields"]);
                    let mut wrong = vec![json!(5), json!("x"), json!({ "nope": 1 })];
                    let around = match ty["isOneOf"] == true {
                        true => Value::Object(Map::new()),
                        false => self.valid_value(&ArgumentType::Named(of.to_owned())),
                    };
                    for field in fields {
                        for value in self.invalid_values(&field.name, &field.ty) {
                            let mut whole = around.clone();
                            whole[&field.name] = value;
                            wrong.push(whole);
                        }
                    }
                    wrong
                }
            },
        }
    }

    /// Values with a text in each place that accepts one.
    fn with_text(&self, ty: &ArgumentType, text: &str) -> Vec<Value> {
        match ty {
            ArgumentType::NonNull(of) => self.with_text(of, text),
            ArgumentType::List(of) => self.with_text(of, text).into_iter().map(|value| json!([value])).collect(),
            ArgumentType::Named(of) if matches!(of.as_str(), "String" | "ID" | "DateTime") => vec![json!(text)],
            ArgumentType::Named(of) => {
                let ty = &self.types[of];
                let mut all = Vec::new();
                for field in ArgumentSpec::all(&ty["inputFields"]) {
                    for value in self.with_text(&field.ty, text) {
                        let mut whole = match ty["isOneOf"] == true {
                            true => Value::Object(Map::new()),
                            false => self.valid_value(&ArgumentType::Named(of.clone())),
                        };
                        whole[&field.name] = value;
                        all.push(whole);
                    }
                }
                all
            }
        }
    }
}

/// A hub in which each type has a row, so that each field is reached.
async fn filled_fixture() -> ApiFixture {
    let hub = ApiFixture::new().await;
    hub.inspection(1).await;
    for (number, subject) in [(2, EntityType::Session), (3, REPORT), (4, PHOTO)] {
        let at = |row: &mut entity::entity::Model| (row.inspection_row_id, row.parent_row_id) = (Some(1), Some(1));
        hub.entity(number, subject, at).await;
    }
    hub.delivery(1, 1, 4, |_| {}).await;
    for (number, kind) in [(1, Kind::Inspection), (2, Kind::Session), (3, Kind::Job), (4, Kind::Item)] {
        hub.change(number, kind, number, |_| {}).await;
    }
    hub.comment(2, 5, 1).await;
    hub
}

async fn errors_of(hub: &ApiFixture, query: String, variables: Value) -> Vec<(String, String, String)> {
    let request = Request::new(query).variables(Variables::from_json(variables));
    let response = hub.graph.execute(request).await;
    let parts = |error: &async_graphql::ServerError| {
        let extension = |name: &str| match error.extensions.as_ref().and_then(|extensions| extensions.get(name)) {
            Some(async_graphql::Value::String(text)) => text.clone(),
            _ => String::new(),
        };
        (extension("code"), error.message.clone(), extension("hint"))
    };
    response.errors.iter().map(parts).collect()
}

/// The names that a message calls types.
fn called_types(message: &str) -> Vec<&str> {
    let parts: Vec<&str> = message.split('"').collect();
    let says = |before: &str| ["type ", "parsing ", "parse "].iter().any(|word| before.ends_with(word));
    parts.chunks(2).filter_map(|pair| (says(pair[0])).then(|| pair.get(1).copied()).flatten()).collect()
}

#[tokio::test]
async fn an_invalid_value_is_refused_with_an_example_and_with_names_of_the_schema() {
    let hub = filled_fixture().await;
    let walked = SchemaArguments::of(&hub).await;
    let mut tried = 0;
    for field in &walked.fields {
        for ArgumentSpec { name, ty, .. } in &field.inputs {
            for wrong in walked.invalid_values(name, ty) {
                let given = ArgumentValue(wrong);
                let literal = walked.query(field, Some((name.as_str(), &given.literal())));
                let variable = walked.query(field, Some((name.as_str(), "$v")));
                let variable = format!("query($v: {}) {{ {variable} }}", ty.spelled());
                for (query, variables) in
                    [(format!("{{ {literal} }}"), Value::Null), (variable, json!({ "v": given.json() }))]
                {
                    tried += 1;
                    let errors = errors_of(&hub, query.clone(), variables).await;
                    let Some((code, message, hint)) = errors.first() else { panic!("{query} is accepted: {given:?}") };
                    assert!(
                        ["BAD_USER_INPUT", "GRAPHQL_VALIDATION_FAILED", "CURSOR_INVALID", "NOT_FOUND"]
                            .contains(&code.as_str()),
                        "{query} {given:?}: {code} {message}"
                    );
                    assert!(!hint.is_empty(), "{query} {given:?}: {message}");
                    for ty in called_types(message) {
                        let ty = ty.trim_matches(['[', ']', '!']);
                        assert!(
                            schema_types::schema_type(ty).is_some(),
                            "{query}: `{ty}` is not in the schema: {message}"
                        );
                    }
                    if message.contains("\"DateTime\"") {
                        assert!(hint.contains("2024-05-01T12:00:00Z"), "{query}: {message}; {hint}");
                    }
                    if let Some((.., example)) =
                        INVALID_TEXTS.iter().find(|(_, wrong, _)| literal.contains(&format!("\"{wrong}\"")))
                    {
                        assert!(hint.contains(example), "{query}: {message}; {hint}");
                    }
                }
            }
        }
    }
    assert!(tried > 2_000, "{tried}");
}

#[tokio::test]
async fn an_invalid_time_is_refused_with_an_example() {
    let hub = filled_fixture().await;
    for query in [
        "{ inspections(filter: { updatedAfter: \"2020-05-01\" }) { nodes { id } } }",
        "{ inspectionsAsOf(at: \"yesterday\") { nodes { state } } }",
        "{ inspections { nodes { asOf(at: 5) { state } } } }",
        "{ deliveries(filter: { receivedAfter: \"12:00\" }) { nodes { id } } }",
        "{ funnel(since: \"2024\") { completed } }",
    ] {
        let (code, message, hint) = hub.error_of(query).await;
        assert_eq!(code, "BAD_USER_INPUT", "{query}: {message}");
        assert!(hint.contains("`\"2024-05-01T12:00:00Z\"`"), "{query}: {hint}");
        assert!(!message.contains("Common"), "{query}: {message}");
    }
}

#[tokio::test]
async fn every_database_accepts_every_text() {
    let hub = filled_fixture().await;
    let walked = SchemaArguments::of(&hub).await;
    let mut tried = 0;
    for field in &walked.fields {
        for ArgumentSpec { name, ty, .. } in &field.inputs {
            for odd in ["a\0b", "\0", "\u{fffd}", "\u{10ffff}", "%_\\'\"`;--", "\u{202e}e\u{301}"] {
                for value in walked.with_text(ty, odd) {
                    tried += 1;
                    let variable = walked.query(field, Some((name.as_str(), "$v")));
                    let query = format!("query($v: {}) {{ {variable} }}", ty.spelled());
                    let errors =
                        errors_of(&hub, query.clone(), json!({ "v": ArgumentValue(value.clone()).json() })).await;
                    assert!(!errors.iter().any(|(code, ..)| code == "INTERNAL"), "{query} {value}: {errors:?}");
                }
            }
        }
    }
    assert!(tried > 500, "{tried}");
}

#[tokio::test]
async fn the_past_is_filtered_by_text_as_the_present_is() {
    let hub = ApiFixture::new().await;
    let stored = "a\u{fffd}b";
    hub.entity(1, EntityType::Inspection, |row| {
        row.steps_materialized = false;
        row.reference = Some(stored.into());
        row.group_key = Some(stored.into());
        row.external_id = stored.into();
        row.source = stored.into();
        row.vendor = stored.into();
        row.state = Some(stored.into());
    })
    .await;
    hub.change(1, Kind::Inspection, 1, |row| row.to_state = Some(stored.into())).await;
    for filter in [
        "reference: \"a\\u0000b\"",
        "group: \"a\\u0000b\"",
        "externalId: \"a\\u0000b\"",
        "source: [\"a\\u0000b\"]",
        "vendor: [\"a\\u0000b\"]",
        "state: [\"a\\u0000b\"]",
    ] {
        let query = format!(
            "{{ now: inspections(filter: {{ {filter} }}) {{ totalCount }}
               past: inspectionsAsOf(at: \"2024-01-01T01:00:00Z\", filter: {{ {filter} }}) {{ totalCount }}
               counts: statusCountsAsOf(at: \"2024-01-01T01:00:00Z\", filter: {{ {filter} }}) {{ count }} }}"
        );
        let data = hub.query(query).await;
        assert_eq!((&data["now"]["totalCount"], &data["past"]["totalCount"]), (&json!(1), &json!(1)), "{filter}");
        assert!(data["counts"].as_array().expect("counts").iter().any(|count| count["count"] == 1), "{filter}");
    }
}
