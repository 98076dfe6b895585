//! One planned delivery, and how its body is made of a sample.

use super::sample::{JsonTree, SampleBody, SampleError, SampleTemplate, json_string};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

#[derive(Clone, Debug)]
pub struct ScenarioStep {
    /// Since the run began; [`TimeMapping`] makes a timestamp of it.
    pub at: TimeDelta,
    pub sample: String,
    /// The new values by JSON pointer.
    pub patches: Vec<(String, FieldPatch)>,
}

/// The new value of a sample's field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldPatch {
    /// A string or a number, whichever the field is; the new length of a list.
    Text(String),
    /// Time since the run began, in the format of the field.
    Time(TimeDelta),
    /// There is none: the script does not set this variable.
    Unset(String),
}

/// Maps the times of a run to timestamps.
#[derive(Clone, Copy, Debug)]
pub struct TimeMapping {
    /// This moment of the run …
    pub anchor: TimeDelta,
    /// … has this timestamp,
    pub at: DateTime<Utc>,
    /// and the distance to others is multiplied by this.
    pub scale: f64,
}

impl ScenarioStep {
    /// The body; an error if the script does not fit the sample.
    pub fn body(&self, times: &TimeMapping) -> Result<SampleBody, SampleError> {
        let mut sample = SampleTemplate::get(&self.sample)?.clone();
        for (pointer, patch) in &self.patches {
            let no_field = || SampleError::NoField { sample: self.sample.clone(), pointer: pointer.clone() };
            match (patch, sample.fields.pointer_mut(pointer).ok_or_else(no_field)?) {
                (FieldPatch::Unset(variable), _) => return Err(SampleError::Unset(variable.clone())),
                (FieldPatch::Time(at), JsonTree::Leaf(old)) => *old = timestamp_like(old, times.timestamp(*at)).into(),
                (FieldPatch::Text(text), JsonTree::Leaf(old)) => {
                    *old = if old.starts_with('"') { json_string(text).into() } else { text.as_str().into() };
                }
                (FieldPatch::Text(length), JsonTree::List(entries)) => {
                    entries.truncate(length.parse().map_err(|_| no_field())?);
                }
                _ => return Err(no_field()),
            }
        }
        Ok(sample.body())
    }
}

impl TimeMapping {
    pub fn timestamp(&self, of_run: TimeDelta) -> DateTime<Utc> {
        let distance = (of_run - self.anchor).num_milliseconds() as f64 * self.scale;
        self.at + TimeDelta::milliseconds(distance as i64)
    }
}

/// A timestamp as JSON, in the format of another one: RFC 3339 with its time zone and its precision, or seconds since the
/// Unix epoch.
fn timestamp_like(sample: &str, at: DateTime<Utc>) -> String {
    let Ok(like) = DateTime::parse_from_rfc3339(sample.trim_matches('"')) else { return at.timestamp().to_string() };
    let precision = if sample.contains('.') { SecondsFormat::Millis } else { SecondsFormat::Secs };
    json_string(&at.with_timezone(like.offset()).to_rfc3339_opts(precision, sample.contains('Z')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_have_the_format_of_the_sample() {
        let times = TimeMapping { anchor: TimeDelta::hours(2), at: DateTime::UNIX_EPOCH, scale: 0.5 };
        let at = times.timestamp(TimeDelta::hours(3));
        for (sample, expected) in [
            (r#""2024-03-04T14:00:00.000Z""#, r#""1970-01-01T00:30:00.000Z""#),
            (r#""2021-05-28T22:47:10+00:00""#, r#""1970-01-01T00:30:00+00:00""#),
            (r#""2021-05-29T03:47:10+05:00""#, r#""1970-01-01T05:30:00+05:00""#),
            ("1598555054", "1800"),
        ] {
            assert_eq!(timestamp_like(sample, at), expected);
        }
    }

    #[test]
    fn what_a_sample_has_not_cannot_be_replaced() {
        let times = TimeMapping { anchor: TimeDelta::zero(), at: DateTime::UNIX_EPOCH, scale: 1.0 };
        let body = |pointer: &str, patch| {
            let known = ("/inspection_id".to_owned(), FieldPatch::Text("7".to_owned()));
            let patches = vec![known, (pointer.to_owned(), patch)];
            let step =
                ScenarioStep { at: TimeDelta::zero(), sample: "truepic/status-started.json".to_owned(), patches };
            step.body(&times).map(|body| String::from_utf8_lossy(&body.bytes).into_owned())
        };
        let error = body("/photo_id", FieldPatch::Text("8".to_owned())).expect_err("no photo");
        assert_eq!(error.to_string(), "the sample truepic/status-started.json has no /photo_id");
        let error = body("/action", FieldPatch::Unset("photo".to_owned())).expect_err("no value");
        assert_eq!(error.to_string(), "a template contains {photo}, which the script does not set");
        let body = body("/created_at", FieldPatch::Time(TimeDelta::zero())).expect("a body");
        assert_eq!(
            body,
            r#"{"action":"ACTION_STATUS_STARTED","inspection_id":7,"created_at":"1970-01-01T00:00:00.000Z"}"#
        );
    }
}
