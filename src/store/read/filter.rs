//! Filters. A field that is `None` does not filter; an empty list accepts nothing.

use super::delivery_row_id;
use crate::access::View;
use crate::event::EntityRef;
use crate::machine::EntityType;
use crate::store::{ReadPool, StoreError};
use chrono::{DateTime, Utc};
use entity::{
    Kind, ReasonCode, Status, Verdict, change, change_row, change_type, command, delivery, entity as thing, ledger,
};
use sea_orm::entity::prelude::Uuid;
use sea_orm::sea_query::{Expr, ExprTrait, Func, SelectStatement};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QuerySelect, QueryTrait, Value};
use std::borrow::Cow;

/// Statuses in which an entity is finished.
pub const FINAL_STATUSES: &[Status] =
    &[Status::Completed, Status::Canceled, Status::Expired, Status::Failed, Status::Succeeded];

/// A filter of inspections, sessions, jobs or items.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct EntityFilter {
    pub kind: Option<Kind>,
    /// Names of job or item kinds.
    pub subkind: Option<Vec<&'static str>>,
    pub vendor: Option<Vec<String>>,
    pub source: Option<Vec<String>>,
    pub status: Option<Vec<Status>>,
    pub state: Option<Vec<String>>,
    /// In a state of one of these groups.
    pub state_groups: Option<Vec<StateGroup>>,
    /// The customer's, or the vendor's.
    pub reference: Option<String>,
    /// All of them.
    pub labels: Option<Vec<LabelFilter>>,
    pub overdue: Option<Overdue>,
    pub external_id: Option<String>,
    /// The public ids of all entities that may have the external id: see [`EntityFilter::resolve`].
    pub ids: Option<Vec<Uuid>>,
    pub group: Option<String>,
    /// The inspection they belong to.
    pub inspection: Option<Uuid>,
    pub updated_after: Option<DateTime<Utc>>,
    pub updated_before: Option<DateTime<Utc>>,
    /// Not changed since, and not finished.
    pub stalled_since: Option<DateTime<Utc>>,
}

/// A label that an entity must have.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LabelFilter {
    pub key: String,
    /// `None`: any value.
    pub value: Option<String>,
}

/// Whether an entity must be overdue at a moment: due before it and not finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Overdue {
    pub at: DateTime<Utc>,
    pub wanted: bool,
}

impl LabelFilter {
    /// The column `labels` has this text exactly if it has the label: within JSON, a quotation mark inside of a value is escaped, a key
    /// has none (`graphql::act` refuses it), and only a key is followed by a colon.
    pub fn pattern(&self) -> String {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        match &self.value {
            Some(value) => format!("{}:{}", quoted(&self.key), quoted(value)),
            None => format!("{}:", quoted(&self.key)),
        }
    }

    fn condition(&self) -> Expr {
        // Compares exactly in both databases, unlike LIKE.
        let labels = || Expr::col((thing::Entity, thing::Column::Labels));
        let without = Func::cust("replace").args([labels(), Expr::value(self.pattern()), Expr::value("")]);
        // As the partial index is declared.
        labels().is_not_null().and(Expr::from(without).ne(labels()))
    }
}

impl Overdue {
    fn condition(self) -> Expr {
        let due_before = thing::Column::DueAt.lt(self.at.timestamp_micros()).and(is_unfinished());
        match self.wanted {
            true => thing::Column::DueAt.is_not_null().and(due_before),
            false => thing::Column::DueAt.is_null().or(due_before.not()),
        }
    }
}

/// States of the inspections of some sources of a vendor.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StateGroup {
    pub vendor: &'static str,
    pub sources: GroupSources,
    pub states: Vec<&'static str>,
}

/// The sources of a group of states.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum GroupSources {
    One(String),
    AllBut(Vec<String>),
}

/// A filter of changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangeRowFilter {
    pub vendor: Option<Vec<String>>,
    pub source: Option<Vec<String>>,
    pub kind: Option<Vec<Kind>>,
    pub verdict: Option<Vec<Verdict>>,
    pub event: Option<Vec<String>>,
    /// The inspection they belong to.
    pub inspection: Option<Uuid>,
    /// The entity that they changed.
    pub entity: Option<Uuid>,
    /// The delivery that caused them.
    pub delivery: Option<Uuid>,
    pub to_status: Option<Vec<Status>>,
    pub reason_code: Option<Vec<ReasonCode>>,
    /// The subject of the command that made them.
    pub actor: Option<String>,
}

/// A filter of deliveries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryRowFilter {
    pub vendor: Option<Vec<String>>,
    pub source: Option<Vec<String>>,
    pub verdict: Option<Vec<Verdict>>,
    pub event: Option<Vec<String>>,
    pub received_after: Option<DateTime<Utc>>,
    pub received_before: Option<DateTime<Utc>>,
    /// Whether it was received again.
    pub duplicated: Option<bool>,
}

impl EntityFilter {
    /// Adds the public ids that an external id has in the sources that have delivered, so that they are looked up: a public id
    /// is a hash of source, kind and external id.
    pub async fn resolve(&self, db: &ReadPool) -> Result<Cow<'_, EntityFilter>, StoreError> {
        let Some(external_id) = &self.external_id else { return Ok(Cow::Borrowed(self)) };
        let sources = ledger::Entity::find().select_only().column(ledger::Column::Source);
        let mut sources: Vec<String> = sources.into_tuple().all(db).await?;
        sources.retain(|source| {
            db.view().includes_source(source) && self.source.as_ref().is_none_or(|accepted| accepted.contains(source))
        });
        let types = EntityType::all().filter(|of| self.kind.is_none_or(|kind| of.kind() == kind));
        let types = types.filter(|of| self.subkind.as_ref().is_none_or(|accepted| accepted.contains(&of.subkind())));
        let ids = types.flat_map(|of| {
            let named = EntityRef::new(of, external_id.as_str());
            sources.iter().map(move |source| named.id(source))
        });
        Ok(Cow::Owned(EntityFilter { ids: Some(ids.collect()), ..self.clone() }))
    }

    /// Whether an index finds the few entities that the filter accepts.
    pub fn is_narrow(&self) -> bool {
        let EntityFilter { reference, labels, ids, group, inspection, .. } = self;
        let is_labelled = labels.as_ref().is_some_and(|labels| !labels.is_empty());
        reference.is_some() || is_labelled || ids.is_some() || group.is_some() || inspection.is_some()
    }

    /// The condition that a reader with this view has.
    pub fn condition(&self, view: &View) -> Condition {
        use thing::Column;
        let stalled =
            self.stalled_since.map(|since| Column::UpdatedAt.lte(since.timestamp_micros()).and(is_unfinished()));
        Condition::all()
            .add_option(self.kind.map(|kind| Column::Kind.eq(kind)))
            // As the partial indexes are declared.
            .add_option(self.kind.map(|kind| match kind {
                Kind::Item => Expr::cust(format!("\"entity\".\"kind\" = {}", Kind::Item.number())),
                _ => Expr::cust(format!("\"entity\".\"kind\" <> {}", Kind::Item.number())),
            }))
            .add_option(any_of(Column::Subkind, self.subkind.as_deref()))
            .add_option(any_of(Column::Vendor, self.vendor.as_deref()))
            .add_option(in_sources(Column::Source, view, self.source.as_deref()))
            .add_option(self.status.as_ref().map(|status| Column::Status.is_in(status.iter().copied())))
            .add_option(any_of(Column::State, self.state.as_deref()))
            .add_option(self.state_groups.as_deref().map(|groups| in_state_groups(groups, Column::State.into_expr())))
            .add_option(
                self.reference
                    .as_ref()
                    .map(|reference| Column::CustomerReference.eq(reference).or(Column::Reference.eq(reference))),
            )
            .add_option(
                self.labels
                    .as_ref()
                    .map(|labels| labels.iter().fold(Condition::all(), |all, label| all.add(label.condition()))),
            )
            .add_option(self.overdue.map(Overdue::condition))
            .add_option(self.external_id.as_ref().map(|id| Column::ExternalId.eq(id)))
            .add_option(self.ids.as_ref().map(|ids| Column::Id.is_in(ids.iter().copied())))
            .add_option(self.group.as_ref().map(|group| Column::GroupKey.eq(group)))
            .add_option(self.inspection.map(|id| Column::InspectionRowId.in_subquery(row_id_of(id))))
            .add_option(self.updated_after.map(|at| Column::UpdatedAt.gt(at.timestamp_micros())))
            .add_option(self.updated_before.map(|at| Column::UpdatedAt.lt(at.timestamp_micros())))
            .add_option(stalled)
    }
}

impl StateGroup {
    /// Whether it has this state of a source of a vendor.
    pub fn contains(&self, vendor: Option<&str>, source: Option<&str>, state: Option<&str>) -> bool {
        let is_of_source = match (&self.sources, source) {
            (GroupSources::One(one), source) => source == Some(one),
            (GroupSources::AllBut(others), Some(source)) => others.iter().all(|other| other != source),
            (GroupSources::AllBut(_), None) => false,
        };
        is_of_source && vendor == Some(self.vendor) && state.is_some_and(|state| self.states.contains(&state))
    }

    fn condition(&self, state: Expr) -> Expr {
        let source = thing::Column::Source;
        let is_of_source = match &self.sources {
            GroupSources::One(one) => source.eq(one.as_str()),
            GroupSources::AllBut(others) => source.is_not_in(others.iter().map(String::as_str)),
        };
        thing::Column::Vendor.eq(self.vendor).and(is_of_source).and(state.is_in(self.states.iter().copied()))
    }
}

/// Whether an entity is in a state of one of the groups. `state`: its state, now or in the past.
pub(super) fn in_state_groups(groups: &[StateGroup], state: Expr) -> Expr {
    let conditions = groups.iter().map(|group| group.condition(state.clone()));
    conditions.reduce(|any, one| any.or(one)).unwrap_or_else(|| Expr::value(false))
}

impl ChangeRowFilter {
    /// A condition for `change` and for `change_row`: it names no table.
    pub(super) fn condition(&self, view: &View) -> Condition {
        Condition::all()
            .add_option(self.type_condition(view))
            .add_option(self.event.as_ref().map(|events| {
                let own = || Expr::col(change_row::Column::Event);
                own().is_null().or(own().is_in(events.iter().cloned()))
            }))
            .add_option(self.inspection.map(in_inspection))
            .add_option(self.entity.map(|id| Expr::col(change::Column::EntityRowId).in_subquery(row_id_of(id))))
            .add_option(self.delivery.map(from_delivery))
            .add_option(self.actor.as_ref().map(|actor| {
                let commands = command::Entity::find().select_only().column(command::Column::RowId);
                let commands = commands.filter(command::Column::Actor.eq(actor));
                Expr::col(change_row::Column::CommandRowId).in_subquery(commands.into_query())
            }))
    }

    // There are few types: they are selected once, then each row's number is compared.
    fn type_condition(&self, view: &View) -> Option<Expr> {
        use change_type::Column;
        let conditions = [
            any_of(Column::Vendor, self.vendor.as_deref()),
            in_sources(Column::Source, view, self.source.as_deref()),
            self.kind.as_ref().map(|kind| Column::Kind.is_in(kind.iter().copied())),
            self.verdict.as_ref().map(|verdict| Column::Verdict.is_in(verdict.iter().copied())),
            // Or the row has its own event.
            any_of(Column::Event, self.event.as_deref()).map(|names| names.or(Column::Event.eq(""))),
            self.reason_code.as_ref().map(|codes| Column::ReasonCode.is_in(codes.iter().copied())),
            self.to_status.as_ref().map(|status| Column::ToStatus.is_in(status.iter().copied())),
        ];
        let condition = conditions.into_iter().flatten().reduce(|all, one| all.and(one))?;
        let types = change_type::Entity::find().select_only().column(Column::Id).filter(condition);
        Some(Expr::col(change_row::Column::TypeId).in_subquery(types.into_query()))
    }
}

impl DeliveryRowFilter {
    pub(super) fn condition(&self, view: &View) -> Condition {
        use delivery::Column;
        Condition::all()
            .add_option(any_of(Column::Vendor, self.vendor.as_deref()))
            .add_option(in_sources(Column::Source, view, self.source.as_deref()))
            .add_option(self.verdict.as_ref().map(|verdict| Column::Verdict.is_in(verdict.iter().copied())))
            .add_option(any_of(Column::Event, self.event.as_deref()))
            .add_option(self.received_after.map(|at| Column::ReceivedAt.gt(at.timestamp_micros())))
            .add_option(self.received_before.map(|at| Column::ReceivedAt.lt(at.timestamp_micros())))
            .add_option(self.duplicated.map(|duplicated| match duplicated {
                true => Column::Duplicates.gt(0),
                false => Column::Duplicates.eq(0),
            }))
    }
}

/// Whether an entity has no final status.
pub(super) fn is_unfinished() -> Expr {
    use thing::Column::Status;
    Status.is_null().or(Status.is_not_in(FINAL_STATUSES.iter().copied()))
}

/// Whether a row is in the view, and of a source that is wanted; none if all are.
pub(super) fn in_sources(column: impl ColumnTrait, view: &View, wanted: Option<&[String]>) -> Option<Expr> {
    any_of(column, view.limit_sources(wanted).as_deref())
}

pub(super) fn any_of<T: Clone + Into<Value>>(column: impl ColumnTrait, values: Option<&[T]>) -> Option<Expr> {
    values.map(|values| column.is_in(values.iter().cloned()))
}

// The history of the present members of an inspection. The second part leaves out changes from before they belonged to it.
fn in_inspection(inspection: Uuid) -> Expr {
    let members = thing::Entity::find()
        .select_only()
        .column(thing::Column::RowId)
        .filter(thing::Column::InspectionRowId.in_subquery(row_id_of(inspection)));
    let of_members = Expr::col(change::Column::EntityRowId).in_subquery(members.into_query());
    of_members.and(Expr::col(change::Column::InspectionRowId).in_subquery(row_id_of(inspection)))
}

fn row_id_of(id: Uuid) -> SelectStatement {
    thing::Entity::find().select_only().column(thing::Column::RowId).filter(thing::Column::Id.eq(id)).into_query()
}

// A delivery's changes are contiguous, so their positions find them without another index.
fn from_delivery(id: Uuid) -> Expr {
    use delivery::Column;
    let Some(row_id) = delivery_row_id(id) else { return Expr::value(false) };
    let position = |edge: Expr| {
        let row = delivery::Entity::find().select_only().expr_as(edge, "edge").filter(Column::RowId.eq(row_id));
        Expr::from(row.into_query())
    };
    let first = Expr::col(Column::FirstPosition);
    let end = first.clone().add(Expr::col(Column::ChangeCount));
    let at = Expr::col(change::Column::Position);
    at.clone().gte(position(first)).and(at.lt(position(end)))
}
