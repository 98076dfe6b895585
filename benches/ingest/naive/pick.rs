//! The id and the status that a handler written for each vendor would take from a body.

use serde_json::Value;

pub fn pick(source: &str, body: &Value) -> Option<(String, String)> {
    let (ids, statuses): (&[&str], &[&str]) = match source {
        "truepic" => (&["/inspection_id", "/event_id"], &["/action", "/action_type/id_internal"]),
        "pave" => (&["/session_key", "/session/session_key"], &["/status", "/session/status", "/event"]),
        "hover" => (&["/job_id"], &["/state", "/event"]),
        "truto" => (&["/payload/id", "/payload/sync_job_run_id"], &["/payload/status", "/event", "/event_type"]),
        _ => (&["/transaction/id", "/task/id"], &["/task/status", "/event"]),
    };
    Some((first(body, ids)?, first(body, statuses)?))
}

fn first(body: &Value, paths: &[&str]) -> Option<String> {
    paths.iter().find_map(|path| match body.pointer(path)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    })
}
