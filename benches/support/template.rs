//! A sample payload with placeholders for ids and times, so that it can be rendered for any number of inspections.

use chrono::{NaiveDateTime, TimeDelta};
use std::io::Write;

/// Ids that many inspections share, and words that only look like ids.
const SHARED: &[&str] = &[
    "client_id",
    "daemon_id",
    "environment_id",
    "environment_integration_id",
    "instruction_id",
    "integration_id",
    "tenant_id",
    "timeline_action_type_id",
    "unified_model_id",
    "webhook_id",
    "work_order_id",
    "workflow_id",
];

/// One event of a scenario. Rendering all events of a scenario with the same number makes another inspection.
#[derive(Debug)]
pub struct Template {
    pieces: Vec<Piece>,
}

#[derive(Debug)]
enum Piece {
    Text(String),
    /// The number of the inspection, six digits.
    Number,
    /// The same as the first eight digits of a UUID.
    Hex,
    /// A time to the second, and the separator between date and time.
    Moment(NaiveDateTime, char),
}

impl Template {
    /// Finds the ids and times in a JSON body by the names of its fields.
    pub fn of(body: &str) -> Template {
        let mut pieces = Vec::new();
        let mut key = "";
        let mut rest = body;
        while let Some(at) = rest.find(|c: char| c == '"' || c.is_ascii_digit()) {
            let (before, from) = rest.split_at(at);
            pieces.push(Piece::Text(before.to_owned()));
            let token;
            (token, rest) = match from.strip_prefix('"') {
                Some(text) => text.split_at(end_of_text(text)),
                None => from.split_at(from.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(from.len())),
            };
            let quoted = from.starts_with('"');
            if quoted {
                pieces.push(Piece::Text("\"".to_owned()));
            }
            if quoted && rest.trim_start_matches('"').trim_start().starts_with(':') {
                key = token;
                pieces.push(Piece::Text(token.to_owned()));
            } else {
                pieces.extend(value(key, token));
            }
            if quoted {
                pieces.push(Piece::Text("\"".to_owned()));
                rest = rest.get(1..).unwrap_or_default();
            }
        }
        pieces.push(Piece::Text(rest.to_owned()));
        Template { pieces: joined(pieces) }
    }

    /// The body for the inspection with this number.
    pub fn render(&self, life: u32) -> Vec<u8> {
        let mut body = Vec::with_capacity(512);
        for piece in &self.pieces {
            let written = match piece {
                Piece::Text(text) => body.write_all(text.as_bytes()),
                Piece::Number => write!(body, "{life:06}"),
                Piece::Hex => write!(body, "{life:08x}"),
                Piece::Moment(first, between) => {
                    let moment = *first + TimeDelta::seconds(life.into());
                    write!(body, "{}{between}{}", moment.date(), moment.time().format("%H:%M:%S"))
                }
            };
            written.expect("memory takes everything");
        }
        body
    }
}

fn end_of_text(text: &str) -> usize {
    let mut escaped = false;
    let end = text.find(|c| {
        let found = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        found
    });
    end.unwrap_or(text.len())
}

/// The placeholder for a value: its length stays, and different ids of one scenario stay different.
fn value(key: &str, token: &str) -> Vec<Piece> {
    let text = |text: &str| Piece::Text(text.to_owned());
    if let Some((moment, between, rest)) = moment(token) {
        return vec![Piece::Moment(moment, between), text(rest)];
    }
    if !is_own(key) {
        return vec![text(token)];
    }
    let digits = token.bytes().all(|byte| byte.is_ascii_digit());
    match (token.get(8..9), token.len()) {
        // A number always has room behind it.
        _ if digits => vec![text(token), Piece::Number],
        (Some("-"), 36..) => vec![Piece::Hex, text(token.get(8..).unwrap_or_default())],
        (_, 12..) => vec![text(token.get(..token.len() - 6).unwrap_or_default()), Piece::Number],
        _ => vec![text(token), Piece::Number],
    }
}

fn is_own(key: &str) -> bool {
    let named = matches!(key, "id" | "uuid" | "vin" | "session_key" | "external_id");
    let ending = key.ends_with("_id") || key.ends_with("_identifier");
    (named || ending) && !SHARED.contains(&key)
}

fn moment(token: &str) -> Option<(NaiveDateTime, char, &str)> {
    let (seconds, rest) = token.split_at_checked(19)?;
    let between = seconds.chars().nth(10)?;
    let format = format!("%Y-%m-%d{between}%H:%M:%S");
    Some((NaiveDateTime::parse_from_str(seconds, &format).ok()?, between, rest))
}

fn joined(pieces: Vec<Piece>) -> Vec<Piece> {
    let mut joined: Vec<Piece> = Vec::new();
    for piece in pieces {
        match (joined.last_mut(), piece) {
            (Some(Piece::Text(text)), Piece::Text(more)) => text.push_str(&more),
            (_, piece) => joined.push(piece),
        }
    }
    joined
}
