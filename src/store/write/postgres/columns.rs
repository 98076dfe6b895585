//! The tables' columns and their types, in the order in which they are bound.

/// Columns and their types.
pub type Columns = [(&'static str, &'static str)];

pub const ADDED: &Columns = &[
    ("number", "bigint"),
    ("id", "uuid"),
    ("kind", "text"),
    ("subkind", "text"),
    ("source", "text"),
    ("vendor", "text"),
    ("external_id", "text"),
    ("created_at", "bigint"),
    ("parent", "bigint"),
    ("inspection", "bigint"),
    ("reference", "text"),
    ("group_key", "text"),
    ("state", "text"),
    ("status", "text"),
    ("cycle", "int"),
    ("tip", "text"),
    ("retold", "bool"),
    ("updated_at", "bigint"),
    ("occurred_at", "bigint"),
    ("position", "bigint"),
    ("facts", "text"),
    ("details", "text"),
    ("stamps", "text"),
];

/// The first names the row. The last three are null where nothing of them has changed.
pub const MOVED: &Columns = &[
    ("number", "bigint"),
    ("parent", "bigint"),
    ("inspection", "bigint"),
    ("reference", "text"),
    ("group_key", "text"),
    ("state", "text"),
    ("status", "text"),
    ("cycle", "int"),
    ("tip", "text"),
    ("retold", "bool"),
    ("updated_at", "bigint"),
    ("occurred_at", "bigint"),
    ("position", "bigint"),
    ("facts", "text"),
    ("details", "text"),
    ("stamps", "text"),
];

pub const DELIVERIES: &Columns = &[
    ("number", "bigint"),
    ("source", "text"),
    ("vendor", "text"),
    ("received_at", "bigint"),
    ("method", "text"),
    ("headers", "text"),
    ("body", "bytea"),
    ("news", "bigint"),
    ("event", "text"),
    ("occurred_at", "bigint"),
    ("verdict", "text"),
    ("reason", "text"),
    ("first_position", "bigint"),
    ("changes", "int"),
    ("duplicates", "bigint"),
    ("duplicate_at", "bigint"),
];

pub const CHANGES: &Columns = &[
    ("position", "bigint"),
    ("kind", "text"),
    ("entity", "bigint"),
    ("inspection", "bigint"),
    ("delivery", "bigint"),
    ("source", "text"),
    ("vendor", "text"),
    ("event", "text"),
    ("verdict", "text"),
    ("reason", "text"),
    ("from_state", "text"),
    ("to_state", "text"),
    ("from_status", "text"),
    ("to_status", "text"),
    ("cycle", "int"),
    ("occurred_at", "bigint"),
    ("received_at", "bigint"),
    ("news", "bigint"),
    ("named_state", "text"),
    ("implied", "bool"),
    ("placed_cycle", "int"),
    ("placed_rank", "int"),
    ("step_before", "bigint"),
];

pub const STEPS: &Columns = &[
    ("entity", "bigint"),
    ("seq", "int"),
    ("position", "bigint"),
    ("to_state", "text"),
    ("at_least", "bool"),
    ("time", "bigint"),
    ("cycle", "int"),
    ("rank", "int"),
    ("received_at", "bigint"),
    ("effective_at", "bigint"),
    ("state_after", "text"),
    ("status_after", "text"),
    ("cycle_after", "int"),
];

pub const LEDGER: &Columns = &[
    ("source", "text"),
    ("received", "bigint"),
    ("duplicates", "bigint"),
    ("applied", "bigint"),
    ("skipped_ahead", "bigint"),
    ("unexpected", "bigint"),
    ("stale", "bigint"),
    ("refused", "bigint"),
    ("no_change", "bigint"),
    ("unrecognized", "bigint"),
    ("unreadable", "bigint"),
    ("orphaned", "bigint"),
    ("received_at", "bigint"),
];

pub const REPEATED: &Columns = &[("number", "bigint"), ("count", "bigint"), ("at", "bigint")];
