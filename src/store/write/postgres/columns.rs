//! The tables' columns and their types, in the order in which they are bound.

/// Columns and their types.
pub type ColumnTypes = [(&'static str, &'static str)];

pub const ENTITY_INSERT: &ColumnTypes = &[
    ("row_id", "bigint"),
    ("id", "uuid"),
    ("kind", "text"),
    ("subkind", "text"),
    ("source", "text"),
    ("vendor", "text"),
    ("external_id", "text"),
    ("created_at", "bigint"),
    ("parent_row_id", "bigint"),
    ("inspection_row_id", "bigint"),
    ("reference", "text"),
    ("group_key", "text"),
    ("state", "text"),
    ("status", "text"),
    ("cycle", "int"),
    ("fold_state", "text"),
    ("steps_materialized", "bool"),
    ("updated_at", "bigint"),
    ("occurred_at", "bigint"),
    ("position", "bigint"),
    ("facts", "text"),
    ("details", "text"),
    ("field_versions", "text"),
];

/// The first names the row. The last three are null where nothing of them has changed.
pub const ENTITY_UPDATE: &ColumnTypes = &[
    ("row_id", "bigint"),
    ("parent_row_id", "bigint"),
    ("inspection_row_id", "bigint"),
    ("reference", "text"),
    ("group_key", "text"),
    ("state", "text"),
    ("status", "text"),
    ("cycle", "int"),
    ("fold_state", "text"),
    ("steps_materialized", "bool"),
    ("updated_at", "bigint"),
    ("occurred_at", "bigint"),
    ("position", "bigint"),
    ("facts", "text"),
    ("details", "text"),
    ("field_versions", "text"),
];

pub const DELIVERIES: &ColumnTypes = &[
    ("row_id", "bigint"),
    ("source", "text"),
    ("vendor", "text"),
    ("received_at", "bigint"),
    ("method", "text"),
    ("headers", "text"),
    ("body", "bytea"),
    ("dedup_key", "bigint"),
    ("event", "text"),
    ("occurred_at", "bigint"),
    ("verdict", "text"),
    ("reason", "text"),
    ("first_position", "bigint"),
    ("change_count", "int"),
    ("duplicates", "bigint"),
    ("last_duplicate_at", "bigint"),
];

pub const CHANGES: &ColumnTypes = &[
    ("position", "bigint"),
    ("kind", "text"),
    ("entity_row_id", "bigint"),
    ("inspection_row_id", "bigint"),
    ("delivery_row_id", "bigint"),
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
    ("dedup_key", "bigint"),
    ("target_state", "text"),
    ("at_least", "bool"),
    ("order_cycle", "int"),
    ("order_rank", "int"),
    ("previous_step", "bigint"),
];

pub const STEPS: &ColumnTypes = &[
    ("entity_row_id", "bigint"),
    ("seq", "int"),
    ("position", "bigint"),
    ("target_state", "text"),
    ("at_least", "bool"),
    ("occurred_at", "bigint"),
    ("order_cycle", "int"),
    ("order_rank", "int"),
    ("received_at", "bigint"),
    ("effective_at", "bigint"),
    ("state_after", "text"),
    ("status_after", "text"),
    ("cycle_after", "int"),
];

pub const LEDGER: &ColumnTypes = &[
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

pub const DUPLICATES: &ColumnTypes = &[("row_id", "bigint"), ("count", "bigint"), ("at", "bigint")];
