//! The vendor's time of an event: a timestamp, or the invalid value in its place.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::value::RawValue;
use std::sync::Arc;

/// A vendor's time that is further ahead of its receipt is not used for ordering: the vendor's clock is wrong.
pub const MAX_CLOCK_AHEAD: TimeDelta = TimeDelta::days(1);

/// The vendor's time of an event, by which the event is ordered.
#[derive(Clone, Debug, Default)]
pub struct VendorTime {
    /// The time, if it is valid.
    pub at: Option<DateTime<Utc>>,
    pub raw_field: Option<Arc<RawTimeField>>,
}

#[derive(Debug)]
pub struct RawTimeField {
    pub field: String,
    pub value: Box<RawValue>,
}

/// Why the vendor's time does not order an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeWarning {
    InvalidTime,
    /// The time is more than [`MAX_CLOCK_AHEAD`] after the receipt, whose time is used instead.
    ClockAhead,
}

impl VendorTime {
    pub fn valid(field: &str, value: &RawValue, at: DateTime<Utc>) -> Self {
        VendorTime { at: Some(at), ..VendorTime::invalid(field, value) }
    }

    pub fn invalid(field: &str, value: &RawValue) -> Self {
        let raw_field = RawTimeField { field: field.to_owned(), value: value.to_owned() };
        VendorTime { at: None, raw_field: Some(Arc::new(raw_field)) }
    }

    /// This time if it is valid, else the other one if it exists.
    pub fn or_else(self, other: impl FnOnce() -> VendorTime) -> Self {
        if self.at.is_some() {
            return self;
        }
        let other = other();
        if other.raw_field.is_some() { other } else { self }
    }

    /// The time by which an event is ordered, given its time of receipt; and the reason if that is not the vendor's time.
    pub fn ordering(&self, received_at: DateTime<Utc>) -> (Option<DateTime<Utc>>, Option<TimeWarning>) {
        match self.at {
            Some(at) if at - received_at > MAX_CLOCK_AHEAD => (Some(received_at), Some(TimeWarning::ClockAhead)),
            None if self.raw_field.is_some() => (None, Some(TimeWarning::InvalidTime)),
            at => (at, None),
        }
    }
}

impl From<&VendorTime> for VendorTime {
    fn from(time: &VendorTime) -> Self {
        time.clone()
    }
}

impl From<Option<DateTime<Utc>>> for VendorTime {
    fn from(at: Option<DateTime<Utc>>) -> Self {
        VendorTime { at, raw_field: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::value::to_raw_value;

    fn moment(text: &str) -> DateTime<Utc> {
        text.parse().expect("a moment")
    }

    #[test]
    fn a_clock_that_is_more_than_a_day_ahead_is_not_believed() {
        let received = moment("2026-05-01T10:00:00Z");
        let tomorrow = moment("2026-05-02T10:00:00Z");
        assert_eq!(VendorTime::from(Some(tomorrow)).ordering(received), (Some(tomorrow), None));
        let later = tomorrow + TimeDelta::microseconds(1);
        let ahead = (Some(received), Some(TimeWarning::ClockAhead));
        assert_eq!(VendorTime::from(Some(later)).ordering(received), ahead);
        assert_eq!(VendorTime::default().ordering(received), (None, None));
    }

    #[test]
    fn a_moment_is_preferred_to_what_is_none() {
        let words = to_raw_value("yesterday").expect("JSON");
        let wrong = || VendorTime::invalid("updated_at", &words);
        let at = moment("2026-05-01T10:00:00Z");
        let right = || VendorTime::valid("created_at", &words, at);
        assert_eq!(wrong().or_else(right).at, Some(at));
        assert_eq!(right().or_else(wrong).at, Some(at));
        assert_eq!(wrong().or_else(VendorTime::default).ordering(at), (None, Some(TimeWarning::InvalidTime)));
        assert_eq!(VendorTime::default().or_else(wrong).ordering(at), (None, Some(TimeWarning::InvalidTime)));
    }
}
