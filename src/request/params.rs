//! The parameters of a request, whatever its transport: those of GraphQL over HTTP (section 4.1), which a `subscribe` over
//! WebSocket has too.

use super::limits;
use crate::graphql::ApiError;
use async_graphql::{Value, Variables};
use serde::Deserialize;
use serde_json::Map;
use std::sync::Arc;

/// A request as it was sent. Unknown parameters are ignored.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Params {
    #[serde(default)]
    pub query: Option<Arc<str>>,
    #[serde(default)]
    pub operation_name: Option<Arc<str>>,
    #[serde(default)]
    pub variables: Variables,
    #[serde(default)]
    pub extensions: Option<Map<String, serde_json::Value>>,
    /// The id of a trusted document.
    #[serde(default)]
    pub document_id: Option<Arc<str>>,
}

/// How a request refers to its document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DocumentRef<'a> {
    pub text: Option<&'a Arc<str>>,
    /// The hash of Apollo's persisted queries.
    pub hash: Option<&'a str>,
    pub id: Option<&'a str>,
}

impl Params {
    pub fn from_document(query: impl Into<Arc<str>>) -> Params {
        Params { query: Some(query.into()), ..Params::default() }
    }

    /// Parses a JSON object.
    ///
    /// # Errors
    /// If it is not an object, or a parameter is of another type.
    pub fn from_json(json: &[u8]) -> Result<Params, ApiError> {
        // Serde would accept an array of the parameters in their order.
        if json.trim_ascii_start().first() != Some(&b'{')
            && serde_json::from_slice::<&serde_json::value::RawValue>(json).is_ok()
        {
            return Err(invalid_request("a request is a JSON object"));
        }
        serde_json::from_slice(json).map_err(invalid_request)
    }

    /// Parses the query of a URL, `application/x-www-form-urlencoded`, with JSON in `variables` and `extensions`.
    ///
    /// # Errors
    /// If a parameter is repeated, or `variables` or `extensions` is not JSON.
    pub fn from_query_string(query: &str) -> Result<Params, ApiError> {
        let mut params = Params::default();
        let mut seen = Vec::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if seen.contains(&name) {
                return Err(invalid_request(format!("`{name}` is given twice")));
            }
            let not_json = |error: serde_json::Error| invalid_request(format!("`{name}`: {error}"));
            match &*name {
                "query" => params.query = Some((*value).into()),
                "operationName" => params.operation_name = Some((*value).into()),
                "documentId" => params.document_id = Some((*value).into()),
                "variables" if !value.is_empty() => {
                    params.variables = serde_json::from_str(&value).map_err(not_json)?
                }
                "extensions" if !value.is_empty() => {
                    params.extensions = serde_json::from_str(&value).map_err(not_json)?
                }
                _ => continue,
            }
            seen.push(name);
        }
        Ok(params)
    }

    /// # Errors
    /// If the request refers to no document.
    pub fn document_ref(&self) -> Result<DocumentRef<'_>, ApiError> {
        let persisted = self.extension("persistedQuery").and_then(|persisted| persisted.as_object());
        if let Some(persisted) = persisted {
            if persisted.get("version").and_then(serde_json::Value::as_u64) != Some(1) {
                return Err(invalid_request("`extensions.persistedQuery.version` must be 1"));
            }
            if !persisted.get("sha256Hash").is_some_and(serde_json::Value::is_string) {
                return Err(invalid_request(
                    "`extensions.persistedQuery.sha256Hash` must be the document's SHA-256 in hex",
                ));
            }
        }
        let hash = persisted.and_then(|persisted| persisted.get("sha256Hash")?.as_str());
        // Some clients send an empty text along with the hash.
        let text = self.query.as_ref().filter(|text| !text.is_empty());
        match (DocumentRef { text, hash, id: self.document_id.as_deref() }) {
            DocumentRef { text: None, hash: None, id: None } => Err(invalid_request("`query` is missing")),
            document => Ok(document),
        }
    }

    /// Null for an empty name: many clients send one.
    pub fn operation_name(&self) -> Option<&Arc<str>> {
        self.operation_name.as_ref().filter(|name| !name.is_empty())
    }

    /// Whether the response must report its cost: `"extensions": {"cost": true}`.
    pub fn wants_cost(&self) -> bool {
        self.extension("cost") == Some(&serde_json::Value::Bool(true))
    }

    /// # Errors
    /// If the variables have too many values.
    pub fn check_variables(&self) -> Result<(), ApiError> {
        let mut left = limits::MAX_VARIABLE_VALUES;
        let mut waiting: Vec<&Value> = self.variables.values().collect();
        while let Some(value) = waiting.pop() {
            let Some(rest) = left.checked_sub(1) else {
                return Err(ApiError::too_costly("values in variables", limits::MAX_VARIABLE_VALUES, None));
            };
            left = rest;
            match value {
                Value::List(values) => waiting.extend(values),
                Value::Object(object) => waiting.extend(object.values()),
                _ => {}
            }
        }
        Ok(())
    }

    pub fn extension(&self, name: &str) -> Option<&serde_json::Value> {
        self.extensions.as_ref()?.get(name).filter(|value| !value.is_null())
    }
}

fn invalid_request(why: impl std::fmt::Display) -> ApiError {
    ApiError::bad_request(
        format!("this is not a GraphQL request: {why}"),
        "Send {\"query\": \"…\", \"variables\": {…}, \"operationName\": \"…\"}.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graphql::ApiErrorCode;
    use serde_json::json;

    #[test]
    fn parameters_are_strict_in_type_and_may_be_null() {
        let read = |json: serde_json::Value| Params::from_json(json.to_string().as_bytes());
        let params =
            read(json!({ "query": "{ a }", "operationName": null, "variables": null, "extensions": null, "x": 1 }));
        assert_eq!(params.expect("a request").query.as_deref(), Some("{ a }"));
        for bad in [
            json!({ "query": 1 }),
            json!({ "query": { "a": 1 } }),
            json!({ "query": "{ a }", "operationName": ["x"] }),
            json!({ "query": "{ a }", "variables": ["x"] }),
            json!({ "query": "{ a }", "variables": "x" }),
            json!({ "query": "{ a }", "extensions": ["x"] }),
            json!({ "query": "{ a }", "documentId": 5 }),
            json!(["{ a }"]),
            json!("{ a }"),
            json!(null),
        ] {
            assert_eq!(read(bad.clone()).expect_err("not a request").code, ApiErrorCode::BadRequest, "{bad}");
        }
        assert!(Params::from_json(b"{\"query\":\"{a}\",\"query\":\"{b}\"}").is_err(), "a repeated key");
        assert!(Params::from_json(b"{\"query\":\"\xff\"}").is_err(), "no UTF-8");
        assert!(Params::from_json(b"").is_err());
        assert!(read(json!({})).expect("an object").document_ref().is_err());
    }

    #[test]
    fn a_url_has_the_same_parameters() {
        let params = Params::from_query_string("query=%7B+a+%7D&variables=%7B%22x%22%3A1%7D&operationName=Q&x=1&x=2")
            .expect("read");
        assert_eq!((params.query.as_deref(), params.operation_name.as_deref()), (Some("{ a }"), Some("Q")));
        assert_eq!(params.variables.len(), 1);
        for bad in ["query=a&query=b", "query=a&variables=x", "query=a&variables=[1]", "query=a&extensions=5"] {
            assert!(Params::from_query_string(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_document_is_found_by_its_text_its_hash_or_its_id() {
        let with =
            |extensions: serde_json::Value| Params { extensions: extensions.as_object().cloned(), ..Params::default() };
        let hash = with(json!({ "persistedQuery": { "version": 1, "sha256Hash": "ab" } }));
        assert_eq!(hash.document_ref().expect("named").hash, Some("ab"));
        for bad in [
            json!({}),
            json!({ "persistedQuery": { "version": 2, "sha256Hash": "ab" } }),
            json!({ "persistedQuery": { "version": 1 } }),
        ] {
            assert!(with(bad.clone()).document_ref().is_err(), "{bad}");
        }
        let id = Params { document_id: Some("x".into()), query: Some("".into()), ..Params::default() };
        assert_eq!(id.document_ref().expect("named"), DocumentRef { text: None, hash: None, id: Some("x") });
    }

    #[test]
    fn variables_are_counted_with_what_is_in_them() {
        let with = |ids: usize| Params {
            variables: Variables::from_json(json!({ "a": { "ids": vec![1; ids] } })),
            ..Params::default()
        };
        assert!(with(9_000).check_variables().is_ok());
        assert_eq!(with(10_000).check_variables(), Err(ApiError::too_costly("values in variables", 10_000, None)));
    }
}
