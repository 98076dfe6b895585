//! What is deliberately not shown, and what is said in our own words: as little as possible, each with its reason.

/// A field whose value is not shown: vendor, path and why.
pub const HIDDEN: &[(&str, &str, &str)] = &[];

/// A value of a fact that no field of the body holds: vendor, group, field, values.
pub const HUB_VALUES: &[(&str, &str, &str, &[&str])] = &[
    ("pave", "message", "channel", &["TEXT"]),
    ("pave", "message", "direction", &["OUTBOUND"]),
    ("pave", "message", "status", &["SENT", "FAILED"]),
    ("pave", "photo", "verdict", &["accepted", "rejected"]),
    ("record360", "summary", "direction", &["CHECK_IN", "CHECK_OUT"]),
    ("truepic", "message", "channel", &["TEXT", "EMAIL"]),
    ("truepic", "message", "direction", &["OUTBOUND", "INBOUND"]),
    (
        "truepic",
        "message",
        "purpose",
        &["welcome", "request", "reminder", "auto reminder", "auto reply", "agent reply", "reply"],
    ),
    ("truepic", "message", "status", &["SENT", "RECEIVED", "BOUNCED", "DROPPED"]),
    ("truepic", "message", "error", &["the email had previously bounced", "the customer unsubscribed from emails"]),
    ("truepic", "contact", "channel", &["EMAIL"]),
    ("truepic", "contact", "status", &["SUBSCRIBED", "UNSUBSCRIBED", "BOUNCED"]),
    ("truepic", "photo", "verdict", &["passed", "warn", "failed"]),
];
