//! The reason and the warnings of a change or a delivery, rendered from their columns.

use super::enums::WarningCode;
use super::error::ApiError;
use crate::event::{Explanation, Warning};
use async_graphql::SimpleObject;

/// What to know of an event beside its reason.
#[derive(Debug, SimpleObject)]
#[graphql(name = "Warning")]
pub struct RenderedWarning {
    /// The stable code.
    code: WarningCode,
    /// The warning in words, for an operator.
    message: String,
}

impl From<Warning> for RenderedWarning {
    fn from(warning: Warning) -> Self {
        let code = match warning {
            Warning::TimeNotUnderstood { .. } => WarningCode::TimeNotUnderstood,
            Warning::ClockAhead { .. } => WarningCode::ClockAhead,
            Warning::DetailTimeNotUnderstood => WarningCode::DetailTimeNotUnderstood,
            Warning::InspectionNotNamed { .. } => WarningCode::InspectionNotNamed,
        };
        RenderedWarning { code, message: warning.to_string() }
    }
}

pub fn stored_explanation(
    code: entity::ReasonCode,
    params: Option<&str>,
    warnings: Option<&str>,
) -> Result<Explanation, ApiError> {
    Explanation::from_columns(code, params, warnings)
        .map_err(|error| ApiError::internal(format!("the stored reason {code} is invalid: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_graphql::resolver_utils::enum_value;

    /// The documented values of an enum of the schema.
    fn documented(name: &str) -> Vec<String> {
        let schema = include_str!("../../schema.graphql");
        let (_, values) = schema.split_once(&format!("enum {name} {{\n")).expect(name);
        let (values, _) = values.split_once("\n}").expect("an end");
        let lines: Vec<&str> = values.lines().map(str::trim).collect();
        let described = lines.windows(2).filter(|pair| pair[0].ends_with('"') && !pair[1].starts_with('"'));
        described.map(|pair| pair[1].to_owned()).collect()
    }

    #[test]
    fn every_code_is_documented_in_the_schema() {
        let reasons = documented("ReasonCode");
        assert!(
            entity::ReasonCode::ALL.iter().all(|code| reasons.iter().any(|value| value == code.as_str())),
            "{reasons:?}"
        );
        let field = || "created_at".to_owned();
        let warnings = [
            Warning::TimeNotUnderstood { field: field() },
            Warning::ClockAhead { field: field() },
            Warning::DetailTimeNotUnderstood,
            Warning::InspectionNotNamed { why: "no inspection is named".to_owned() },
        ];
        let documented = documented("WarningCode");
        for warning in warnings {
            let stored = serde_json::to_value(&warning).expect("JSON");
            let code = enum_value(RenderedWarning::from(warning).code).to_string();
            assert_eq!(stored["code"], code, "the same word in the database and the API");
            assert!(documented.contains(&code), "{documented:?}");
        }
    }
}
