//! Carries out commands. What a command changes depends on the records before it alone, so that a replay decides alike.

use super::apply_events::without_step;
use super::{DuplicatePolicy, RecordBatch, RecordContext, RecordNumber};
use crate::command::{
    Act, Annotation, CommandError, IdempotencyKey, MAX_LABELS, MAX_LINKED_PARTS, NewComment, Registration,
};
use crate::event::{AnnotationChange, EntityRef, Reason};
use crate::ingest::log_record::{LogRecord, PreparedCommand};
use crate::ingest::writer::CommandReceipt;
use crate::machine::EntityType;
use crate::store::StoreError;
use chrono::DateTime;
use entity::{Verdict, idempotency_key};
use uuid::Uuid;

impl RecordBatch<'_> {
    pub(super) fn prefetch_idempotency_keys(&mut self, records: &[LogRecord]) -> Result<(), StoreError> {
        let keys = records.iter().filter_map(|record| record.as_command()?.command.idempotency.as_ref());
        let digests: Vec<&str> = keys.map(|key| key.digest.as_str()).collect();
        if !digests.is_empty() {
            let used = self.connection.idempotency_keys(&digests)?;
            self.working.idempotency_keys = used.into_iter().map(|key| (key.digest.clone(), key)).collect();
        }
        Ok(())
    }

    /// Carries out one of the prefetched commands. The inner error: nothing has changed, and nothing is stored.
    pub(super) fn process_command(
        &mut self,
        command: &PreparedCommand,
    ) -> Result<Result<CommandReceipt, CommandError>, StoreError> {
        if let Some(gap) = &command.replay.log_gap {
            self.counters.skip_gap(gap);
        }
        if let Some(first) = self.first_with_key(command.command.idempotency.as_ref()) {
            return Ok(first);
        }
        let parts = match self.prepare_act(command)? {
            Ok(parts) => Some(parts),
            // It was carried out once, so it keeps its number, although what it is about is not there today.
            Err(_) if self.duplicate_policy == DuplicatePolicy::Keep => None,
            Err(refused) => return Ok(Err(refused)),
        };
        let received_at = self.counters.assign_received_at(command.command.received_at);
        let row_id = self.counters.next_record(received_at);
        let context = RecordContext {
            number: RecordNumber::Command(row_id),
            source: &command.command.source,
            vendor: command.command.vendor,
            event: "",
            occurred_at: None,
            received_at: DateTime::from_timestamp_micros(received_at).unwrap_or(command.command.received_at),
            first_position: self.counters.head.position + 1,
            replay: &command.replay,
        };
        if let Some(parts) = parts {
            self.apply_act(&context, command, &parts);
        }
        let input = command.command.act.to_input().map_err(|error| StoreError::Corrupt(error.to_string()))?;
        let row_id_of = |id: Uuid| self.working.get(id).map(|cached| cached.entity.row_id);
        let entities = (row_id_of(command.entity), command.target.and_then(row_id_of));
        let change_count = self.counters.head.position + 1 - context.first_position;
        self.output.push_command(&context, row_id, command, entities, input, change_count);
        if let Some(IdempotencyKey { digest, input_digest }) = command.command.idempotency.clone() {
            let key = idempotency_key::Model {
                digest: digest.clone(),
                input_digest,
                command_row_id: row_id,
                created_at: received_at,
            };
            self.working.idempotency_keys.insert(digest, key);
        }
        Ok(Ok(CommandReceipt { command: row_id }))
    }

    /// The result of the first command with this key, if there was one.
    fn first_with_key(&self, key: Option<&IdempotencyKey>) -> Option<Result<CommandReceipt, CommandError>> {
        let (key, used) = (key?, self.working.idempotency_keys.get(&key?.digest)?);
        Some(match used.input_digest == key.input_digest {
            true => Ok(CommandReceipt { command: used.command_row_id }),
            false => Err(CommandError::KeyReused),
        })
    }

    /// Checks a command, and loads what moves with the entity that it links.
    fn prepare_act(&mut self, command: &PreparedCommand) -> Result<Result<Vec<Uuid>, CommandError>, StoreError> {
        if let Err(refused) = self.check_command(command) {
            return Ok(Err(refused));
        }
        match &command.command.act {
            Act::Link(_) => {
                let parts = self.load_parts(command.entity, MAX_LINKED_PARTS)?;
                Ok(parts.ok_or(CommandError::TooManyParts))
            }
            Act::Register(_) | Act::Annotate(_) | Act::Comment(_) => Ok(Ok(Vec::new())),
        }
    }

    fn check_command(&self, command: &PreparedCommand) -> Result<(), CommandError> {
        let is_purged = |id: Option<Uuid>| id.is_some_and(|id| command.replay.purged_entities.contains(&id));
        if is_purged(Some(command.entity)) || is_purged(command.target) {
            return Err(CommandError::NotFound);
        }
        let known = self.working.get(command.entity).map(|cached| &cached.entity);
        let change = match &command.command.act {
            Act::Register(Registration { annotation, .. }) => annotation,
            Act::Link(link) => return self.check_link(command.entity, link),
            _ if known.is_none_or(|entity| entity.entity_type != EntityType::Inspection) => {
                return Err(CommandError::NotFound);
            }
            Act::Annotate(Annotation { annotation, .. }) => annotation,
            Act::Comment(NewComment { .. }) => return Ok(()),
        };
        let mut annotations = known.map(|entity| entity.annotations.clone()).unwrap_or_default();
        annotations.apply(change);
        if annotations.labels.len() > MAX_LABELS { Err(CommandError::TooManyLabels) } else { Ok(()) }
    }

    fn apply_act(&mut self, context: &RecordContext<'_>, command: &PreparedCommand, parts: &[Uuid]) {
        let id = command.entity;
        match &command.command.act {
            Act::Register(Registration { external_id, annotation }) => {
                if self.working.get(id).is_none() {
                    let of = EntityRef::new(EntityType::Inspection, external_id.as_str());
                    let mut cached = self.new_entity(context, &of, id);
                    cached.entity.inspection_row_id = Some(cached.entity.row_id);
                    cached.entity.fold_state.only_registered = true;
                    self.working.insert(cached);
                }
                self.annotate(context, id, annotation, true);
            }
            Act::Annotate(Annotation { annotation, .. }) => self.annotate(context, id, annotation, false),
            Act::Comment(NewComment { .. }) => self.record_act(context, id, Verdict::Applied, Reason::Commented {}),
            Act::Link(link) => self.apply_link(context, id, link, parts),
        }
    }

    fn annotate(&mut self, context: &RecordContext<'_>, id: Uuid, change: &AnnotationChange, registers: bool) {
        let Some(cached) = self.working.get_mut(id) else { return };
        let registered = registers && cached.entity.annotations.registered_at.is_none();
        let from_status = cached.entity.status;
        if registered {
            cached.entity.annotations.registered_at = Some(context.received_at);
            cached.entity.status = cached.derive_status();
        }
        let changed = cached.entity.annotations.apply(change);
        cached.links_changed |= registered || changed;
        let (verdict, reason) = match (registered, changed) {
            (true, _) => (Verdict::Applied, Reason::Registered {}),
            (false, true) => (Verdict::Applied, Reason::Annotated {}),
            (false, false) => (Verdict::NoChange, Reason::NothingNew {}),
        };
        self.record_act_from(context, id, verdict, reason, from_status);
    }

    pub(super) fn record_act(&mut self, context: &RecordContext<'_>, id: Uuid, verdict: Verdict, reason: Reason) {
        let status = self.working.get(id).and_then(|cached| cached.entity.status);
        self.record_act_from(context, id, verdict, reason, status);
    }

    // Adds a row of history. An act with an effect is the newest change of its entity.
    fn record_act_from(
        &mut self,
        context: &RecordContext<'_>,
        id: Uuid,
        verdict: Verdict,
        reason: Reason,
        from_status: Option<entity::Status>,
    ) {
        let position = self.counters.head.position + 1;
        let Some(cached) = self.working.get_mut(id) else { return };
        if verdict == Verdict::Applied {
            cached.entity.updated_at = context.received_at;
            cached.entity.position = position;
            cached.dirty = true;
        }
        let mut outcome = without_step(cached, verdict, reason);
        outcome.from_status = from_status;
        self.push_change(context, id, None, &outcome);
    }
}
