//! Abusive documents of at most a kilobyte: far too expensive, or no documents at all. All of them must be refused.

use anyhow::{Context, ensure};
use serde_json::{Value, json};

/// Bytes of a document, with the comment that makes each one different, so that no cache has it.
pub const BYTES: usize = 1_000;
const COMMENT: usize = "#0000000\n".len();
const ROOM: usize = BYTES - COMMENT;

pub struct Bomb {
    pub what: &'static str,
    text: String,
}

impl Bomb {
    /// For comparison: a request that is executed.
    pub fn none() -> Bomb {
        Bomb { what: "{ __typename }", text: "{ __typename }".to_owned() }
    }

    /// The document with this number.
    fn document(&self, number: usize) -> String {
        format!("#{number:07}\n{}", self.text)
    }

    pub fn bytes(&self) -> usize {
        COMMENT + self.text.len()
    }

    pub fn request(&self, number: usize) -> Vec<u8> {
        post(&self.document(number))
    }
}

/// A query as an HTTP request.
pub fn post(query: &str) -> Vec<u8> {
    let body = json!({ "query": query }).to_string();
    let head = "host: localhost\r\ncontent-type: application/json\r\naccept: application/graphql-response+json";
    format!("POST /graphql HTTP/1.1\r\n{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// The code of the first error. Fails unless the whole request is refused.
pub fn refused(status: u16, body: &[u8]) -> anyhow::Result<String> {
    let answer: Value = serde_json::from_slice(body)?;
    let code = answer["errors"][0]["extensions"]["code"].as_str();
    let is_refused = (400..500).contains(&status) && answer.get("data").is_none();
    ensure!(is_refused, "it is not refused, but answered {status}: {answer}");
    Ok(code.with_context(|| format!("a refusal without a code: {answer}"))?.to_owned())
}

/// All shapes.
pub fn all() -> anyhow::Result<Vec<Bomb>> {
    let bombs: Vec<Bomb> = shapes().into_iter().map(|(what, text)| Bomb { what, text }).collect();
    for bomb in &bombs {
        ensure!(bomb.bytes() <= BYTES, "{} has {} bytes and not {BYTES}", bomb.what, bomb.bytes());
    }
    Ok(bombs)
}

fn shapes() -> Vec<(&'static str, String)> {
    let circle: String = (0..30).map(|at| format!("fragment F{at} on Query{{...F{}}}", (at + 1) % 30)).collect();
    let at_the_limit = format!("{{inspection(id:\"x\"){{...F0}}}}{}", doubled(7, "Inspection", "a b c d e"));
    let listed = |at| {
        format!(
            "a{at}:inspections(first:100){{nodes{{items(first:100){{nodes{{history(first:100){{nodes{{id:position}}}}}}}}}}}}"
        )
    };
    vec![
        ("fragments that double 27 times", format!("{{...F0}}{}", doubled(27, "Query", "__typename"))),
        ("the same, which nobody uses", format!("{{__typename}}{}", doubled(27, "Query", "__typename"))),
        ("896 selections by fragments, 640 of them wrong", at_the_limit),
        ("fragments in a circle", format!("{{...F0}}{circle}")),
        (
            "aliases of a costly field",
            filled("{", "}", |at| {
                format!("a{at}:inspections(first:100){{nodes{{history(first:100){{nodes{{cursor}}}}}}}}")
            }),
        ),
        ("aliases of a cheap field", filled("{head{", "}}", |at| format!("a{at}:time "))),
        ("brackets within brackets", nested("{a", "{a", "", 329)),
        ("fields within fields", nested("{inspections{nodes", "{items{nodes{inspection", "{id", 20)),
        ("lists of 100 within lists of 100", filled("{", "}", listed)),
        ("duplicate fields", filled("{", "}", |_| "head{time}".to_owned())),
        ("duplicate fields of which one differs", filled("{inspections{nodes{", "id:state}}}", |_| "id ".to_owned())),
        ("fields with fields", filled("{", "}", |_| "a{b}".to_owned())),
        ("inline fragments", filled("{", "}", |_| "...{a}".to_owned())),
        ("spreads", filled("{", "}fragment a on Query{b}", |_| "...a ".to_owned())),
        ("objects in an argument", filled("{a(b:[", "])}", |_| "{}".to_owned())),
        ("short names, as many as are read", filled("{", "}", |at| format!("a{} ", at % 10))),
        ("fields that are not there", filled("{inspections{nodes{", "}}}", |at| format!("statu{at} "))),
        ("directives that are not there", filled("{__typename", "}", |_| "@a".to_owned())),
        ("one directive again and again", filled("{__typename", "}", |_| "@skip(if:false)".to_owned())),
        ("operations", filled("", "", |at| format!("query a{at}{{a}}"))),
        ("variables that nobody uses", filled("query(", "){__typename}", |at| format!("$a{at}:[ID!]"))),
        ("deep introspection", nested("{__schema{types", "{fields{type", "{name", 30)),
        (
            "introspection, three lists within each other",
            filled("{__schema{", "}}", |_| "types{fields{type{fields{type{fields{name}}}}}}".to_owned()),
        ),
        (
            "wide introspection",
            filled("{__schema{", "}}", |_| "types{fields{type{fields{name type{name}}}}}".to_owned()),
        ),
        ("lists within lists in an argument", format!("{{nodes(ids:{}{}){{id}}}}", "[".repeat(480), "]".repeat(480))),
        (
            "many lists within lists in an argument",
            filled("{nodes(ids:[", "]){id}}", |_| format!("{}1{}", "[".repeat(30), "]".repeat(30))),
        ),
        ("broken at its end", filled("{", "!", |at| format!("a{at}(b:{{c:[1]}}){{d}}"))),
        ("a string without an end", format!("{{inspection(id:\"{}", "x".repeat(970))),
        ("a block string without an end", format!("{{inspection(id:\"\"\"{}", "\\\"\"\" ".repeat(190))),
    ]
}

/// Fragments that each spread the next one twice.
fn doubled(levels: usize, on: &str, end: &str) -> String {
    let fragments = (0..levels).map(|at| format!("fragment F{at} on {on}{{...F{next}...F{next}}}", next = at + 1));
    fragments.collect::<String>() + &format!("fragment F{levels} on {on}{{{end}}}")
}

/// As many as fit.
fn filled(begin: &str, end: &str, each: impl Fn(usize) -> String) -> String {
    let mut text = begin.to_owned();
    for next in (0..).map(each) {
        if text.len() + next.len() + end.len() > ROOM {
            break;
        }
        text.push_str(&next);
    }
    text + end
}

/// With all brackets closed.
fn nested(begin: &str, each: &str, end: &str, times: usize) -> String {
    let text = format!("{begin}{}{end}", each.repeat(times));
    let open = text.matches('{').count();
    text + &"}".repeat(open)
}
