//! The acts on inspections and their parts: checks what is asked for, and hands it to the writer as a command.

use super::ApiContext;
use super::command::{Command, Comment, LabelInput};
use super::entities::Inspection;
use super::error::ApiError;
use super::error_code::ApiErrorCode;
use super::node::{Node, parse_id, truncated};
use crate::command::{
    Act, Annotation, CommandError, EntityLink, IdempotencyKey, MAX_LABELS, NewCommand, NewComment, Registration,
};
use crate::event::{AnnotationChange, storable};
use crate::ingest::{CommandReceipt, Unavailable};
use crate::machine::EntityType;
use crate::store::read::{self, EntityProjection, EntityRow};
use crate::vendor::{self, Vendor};
use async_graphql::{Context, ID, InputObject, MaybeUndefined, SimpleObject};
use chrono::{DateTime, SubsecRound, Utc};
use entity::Kind;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The longest of each text, in characters.
const MAX_KEY: usize = 128;
const MAX_EXTERNAL_ID: usize = 256;
const MAX_REFERENCE: usize = 256;
const MAX_LABEL_KEY: usize = 64;
const MAX_LABEL_VALUE: usize = 256;
const MAX_REASON: usize = 1_000;
const MAX_COMMENT: usize = 10_000;

/// Announces an inspection. One that is known is annotated.
#[derive(Debug, InputObject)]
pub struct RegisterInspectionInput {
    /// Your own name for this call, e.g. `5f1c7d0e-claim-7`: 1 to 128 characters. Sent again with the same input, it gives the first result again.
    idempotency_key: String,
    /// The source that will receive its webhooks: see `Source.name`.
    source: String,
    /// The vendor's own id of the inspection, which its webhooks will have: see `Inspection.externalId`.
    external_id: String,
    /// Your own key for it, e.g. `PO-4711`: at most 256 characters.
    reference: MaybeUndefined<String>,
    /// Labels to set, at most 50 in all; null takes all away.
    labels: MaybeUndefined<Vec<LabelInput>>,
    /// When it should be finished, e.g. `2026-12-24T12:00:00Z`.
    due_at: MaybeUndefined<DateTime<Utc>>,
    /// Why, for the record, e.g. `moved to the team north`: at most 1,000 characters.
    reason: Option<String>,
}

/// What to change of an inspection's annotations. What is left out stays as it is; null takes a value away.
#[derive(Debug, InputObject)]
pub struct AnnotateInspectionInput {
    /// Your own name for this call, e.g. `5f1c7d0e-claim-7`: 1 to 128 characters. Sent again with the same input, it gives the first result again.
    idempotency_key: String,
    /// The `id` of the inspection.
    inspection: ID,
    /// Your own key for it, e.g. `PO-4711`: at most 256 characters. It wins over the vendor's word.
    reference: MaybeUndefined<String>,
    /// Labels to set, at most 50 in all; others stay. A value of null takes one away, and null instead of the list all of them.
    labels: MaybeUndefined<Vec<LabelInput>>,
    /// When it should be finished, e.g. `2026-12-24T12:00:00Z`.
    due_at: MaybeUndefined<DateTime<Utc>>,
    /// Why, for the record, e.g. `moved to the team north`: at most 1,000 characters.
    reason: Option<String>,
}

/// A comment to add.
#[derive(Debug, InputObject)]
pub struct AddCommentInput {
    /// Your own name for this call, e.g. `5f1c7d0e-claim-7`: 1 to 128 characters. Sent again with the same input, it gives the first result again.
    idempotency_key: String,
    /// The `id` of the inspection.
    inspection: ID,
    /// The text, e.g. `The customer will be there at noon.`: 1 to 10,000 characters.
    text: String,
}

/// What to link to which inspection.
#[derive(Debug, InputObject)]
pub struct LinkEntityInput {
    /// Your own name for this call, e.g. `5f1c7d0e-claim-7`: 1 to 128 characters. Sent again with the same input, it gives the first result again.
    idempotency_key: String,
    /// The `id` of a session, job or item, e.g. `018f3c5e-7a10-5b8c-9d21-4f6e8a0b2c3d`. What belongs to it moves with it.
    entity: ID,
    /// The `id` of an inspection of the same source, e.g. `018f3c5e-7a10-5b8c-9d21-4f6e8a0b2c3e`; null undoes the link by hand.
    inspection: MaybeUndefined<ID>,
    /// Why, for the record, e.g. `moved to the team north`: at most 1,000 characters.
    reason: Option<String>,
}

/// An entity after it was linked by hand, or after that was undone.
#[derive(Debug, SimpleObject)]
pub struct LinkEntityPayload {
    /// The act, as it is in the log.
    command: Command,
    /// The session, job or item as it is now.
    entity: Node,
    /// The inspection that it belongs to now; null if it belongs to none.
    inspection: Option<Inspection>,
}

/// An inspection after an act.
#[derive(Debug, SimpleObject)]
pub struct InspectionPayload {
    /// The act, as it is in the log.
    command: Command,
    /// The inspection as it is now.
    inspection: Inspection,
}

/// A comment that was added.
#[derive(Debug, SimpleObject)]
pub struct AddCommentPayload {
    /// The act, as it is in the log.
    command: Command,
    /// The comment.
    comment: Comment,
    /// The inspection as it is now.
    inspection: Inspection,
}

pub async fn register(ctx: &Context<'_>, input: RegisterInspectionInput) -> Result<InspectionPayload, ApiError> {
    let api = ApiContext::of(ctx)?;
    let sources = || api.sources.iter().filter(|source| api.view().includes_source(&source.name));
    let Some(source) = sources().find(|source| source.name == input.source) else {
        let names: Vec<&str> = sources().map(|source| source.name.as_str()).collect();
        return Err(ApiError::bad_user_input(
            format!("there is no source `{}`", truncated(&input.source)),
            format!("The sources are: {}.", names.join(", ")),
        ));
    };
    if source.vendor.machine(EntityType::Inspection).is_none() {
        return Err(ApiError::bad_user_input(
            format!("{} has no inspections that could be announced", source.vendor.title),
            "Name a source of another vendor.",
        ));
    }
    let external_id = text("externalId", input.external_id, MAX_EXTERNAL_ID)?;
    if external_id.trim() != external_id {
        return Err(ApiError::bad_user_input(
            "`externalId` begins or ends with a blank",
            "Give the id exactly as the vendor's webhooks will have it.",
        ));
    }
    let act = Act::Register(Registration {
        external_id,
        annotation: annotation_change(input.reference, input.labels, input.due_at)?,
    });
    let request = ActRequest { key: input.idempotency_key, act, source: &source.name, vendor: source.vendor };
    let command = request.submit(ctx, "registerInspection", input.reason).await?;
    let inspection = inspection_of(ctx, &command).await?;
    Ok(InspectionPayload { command: Command(command), inspection })
}

pub async fn annotate(ctx: &Context<'_>, input: AnnotateInspectionInput) -> Result<InspectionPayload, ApiError> {
    let annotation = annotation_change(input.reference, input.labels, input.due_at)?;
    if annotation.is_empty() {
        return Err(ApiError::bad_user_input(
            "nothing is to be changed",
            "Give `reference`, `labels` or `dueAt`; null takes a value away.",
        ));
    }
    let target = inspection(ctx, &input.inspection).await?;
    let act = Act::Annotate(Annotation { inspection: target.id, annotation });
    let command = ActRequest::about(&target, input.idempotency_key, act)?;
    let command = command.submit(ctx, "annotateInspection", input.reason).await?;
    let inspection = inspection_of(ctx, &command).await?;
    Ok(InspectionPayload { command: Command(command), inspection })
}

pub async fn comment(ctx: &Context<'_>, input: AddCommentInput) -> Result<AddCommentPayload, ApiError> {
    let text = text("text", input.text, MAX_COMMENT)?;
    let target = inspection(ctx, &input.inspection).await?;
    let act = Act::Comment(NewComment { inspection: target.id, text });
    let command = ActRequest::about(&target, input.idempotency_key, act)?.submit(ctx, "addComment", None).await?;
    let inspection = inspection_of(ctx, &command).await?;
    Ok(AddCommentPayload { comment: Comment(command.clone()), command: Command(command), inspection })
}

pub async fn link(ctx: &Context<'_>, input: LinkEntityInput) -> Result<LinkEntityPayload, ApiError> {
    let readers = &ApiContext::of(ctx)?.readers;
    let inspection = match input.inspection {
        MaybeUndefined::Value(id) => Some(parse_id(&id)?),
        MaybeUndefined::Null => None,
        MaybeUndefined::Undefined => {
            return Err(ApiError::bad_user_input(
                "`inspection` is missing",
                "Give the id of an inspection, or null to undo a link by hand.",
            ));
        }
    };
    let id = parse_id(&input.entity)?;
    let projection = EntityProjection::SOURCE | EntityProjection::VENDOR;
    let ids: Vec<_> = [Some(id), inspection].into_iter().flatten().collect();
    let mut found = read::entities_by_id(readers, projection, &ids).await?;
    if found.len() != ids.len() && id != inspection.unwrap_or_default() {
        return Err(not_found());
    }
    let target = found.remove(&id).ok_or_else(not_found)?;
    let act = Act::Link(EntityLink { entity: id, inspection });
    let command = ActRequest::about(&target, input.idempotency_key, act)?;
    let command = command.submit(ctx, "linkEntity", input.reason).await?;
    let entity = command.entity_row_id.ok_or_else(not_found)?;
    let mut rows = read::entities_by_row_id(readers, EntityProjection::ALL, &[entity]).await?;
    let row = rows.remove(&entity).ok_or_else(not_found)?;
    let inspection = match row.inspection_row_id {
        Some(row_id) => read::entities_by_row_id(readers, EntityProjection::ALL, &[row_id]).await?.remove(&row_id),
        None => None,
    };
    let entity = Node::of(row).ok_or_else(not_found)?;
    Ok(LinkEntityPayload { command: Command(command), entity, inspection: inspection.map(Inspection::from) })
}

/// What is handed to the writer.
struct ActRequest<'a> {
    key: String,
    act: Act,
    source: &'a str,
    vendor: &'static Vendor,
}

impl<'a> ActRequest<'a> {
    fn about(target: &'a EntityRow, key: String, act: Act) -> Result<Self, ApiError> {
        let vendor = vendor::by_name(&target.vendor);
        let vendor = vendor.ok_or_else(|| ApiError::internal(format!("the vendor of entity {}", target.row_id)))?;
        Ok(ActRequest { key, act, source: &target.source, vendor })
    }

    /// Carries it out; the command as it is stored.
    async fn submit(
        self,
        ctx: &Context<'_>,
        mutation: &str,
        reason: Option<String>,
    ) -> Result<Arc<entity::command::Model>, ApiError> {
        let api = ApiContext::of(ctx)?;
        let ActRequest { key, act, source, vendor } = self;
        let key = text("idempotencyKey", key, MAX_KEY)?;
        let reason = reason.map(|reason| text("reason", reason, MAX_REASON)).transpose()?;
        let subject = &api.principal.subject;
        let input = act.to_input().map_err(|error| ApiError::internal(error.to_string()))?;
        let input = format!("{source}\n{input}\n{}", reason.as_deref().unwrap_or_default());
        let command = NewCommand {
            act,
            source: source.to_owned(),
            vendor,
            received_at: api.now(),
            actor: subject.to_string(),
            reason,
            idempotency: Some(IdempotencyKey::new(subject, mutation, &key, &input)),
        };
        let CommandReceipt { command } = api.ingest.submit_command(command).await.map_err(unavailable)??;
        let mut found = read::commands_by_row_id(&api.readers, &[command]).await?;
        found.remove(&command).ok_or_else(|| {
            ApiError::new(
                ApiErrorCode::NotFound,
                "the result of the first call with this idempotency key is not there any more, or not in your view",
                "Use another key.",
            )
        })
    }
}

/// The inspection that an act is about.
async fn inspection(ctx: &Context<'_>, id: &ID) -> Result<Arc<EntityRow>, ApiError> {
    let (readers, id) = (&ApiContext::of(ctx)?.readers, parse_id(id)?);
    let projection = EntityProjection::SOURCE | EntityProjection::VENDOR;
    let found = read::entities_by_id(readers, projection, &[id]).await?.into_values();
    found.into_iter().find(|row| row.kind == Kind::Inspection).ok_or_else(not_found)
}

/// The inspection of a command, as it is now.
async fn inspection_of(ctx: &Context<'_>, command: &entity::command::Model) -> Result<Inspection, ApiError> {
    let readers = &ApiContext::of(ctx)?.readers;
    let row_id = command.entity_row_id.ok_or_else(not_found)?;
    let mut found = read::entities_by_row_id(readers, EntityProjection::ALL, &[row_id]).await?;
    found.remove(&row_id).map(Inspection::from).ok_or_else(not_found)
}

fn annotation_change(
    reference: MaybeUndefined<String>,
    labels: MaybeUndefined<Vec<LabelInput>>,
    due_at: MaybeUndefined<DateTime<Utc>>,
) -> Result<AnnotationChange, ApiError> {
    let reference = reference.as_opt_ref().map(|reference| reference.cloned());
    let reference =
        reference.map(|reference| reference.map(|value| text("reference", value, MAX_REFERENCE)).transpose());
    let labels = match labels {
        MaybeUndefined::Undefined => None,
        MaybeUndefined::Null => Some(None),
        MaybeUndefined::Value(labels) => Some(Some(label_changes(labels)?)),
    };
    // As precisely as it is stored.
    let due_at = due_at.as_opt_ref().map(|due_at| due_at.map(|at| at.trunc_subsecs(6)));
    Ok(AnnotationChange { reference: reference.transpose()?, labels, due_at })
}

fn label_changes(labels: Vec<LabelInput>) -> Result<BTreeMap<String, Option<String>>, ApiError> {
    let mut changes = BTreeMap::new();
    for LabelInput { key, value } in labels {
        let key = label_key(key)?;
        let value = value.map(|value| text("value", value, MAX_LABEL_VALUE)).transpose()?;
        if changes.insert(key.clone(), value).is_some() {
            return Err(ApiError::bad_user_input(
                format!("the label `{key}` is given twice"),
                "Give each label once: a label has one value.",
            ));
        }
    }
    if changes.len() > MAX_LABELS {
        return Err(CommandError::TooManyLabels.into());
    }
    Ok(changes)
}

/// The name of a label, if it can be one.
pub fn label_key(key: String) -> Result<String, ApiError> {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || "_.:/-".contains(letter);
    if (1..=MAX_LABEL_KEY).contains(&key.len()) && key.chars().all(allowed) {
        return Ok(key);
    }
    Err(ApiError::bad_user_input(
        format!("`{}` cannot be the key of a label", truncated(&key)),
        "A key has 1 to 64 letters, digits and `_ . : / -`, e.g. `team`.",
    ))
}

// A text that is neither empty nor longer than allowed.
fn text(name: &str, value: String, max: usize) -> Result<String, ApiError> {
    let length = value.chars().count();
    if value.trim().is_empty() {
        return Err(ApiError::bad_user_input(
            format!("`{name}` is empty"),
            format!("Give 1 to {max} characters, or leave it out."),
        ));
    }
    if length > max {
        return Err(ApiError::bad_user_input(
            format!("`{name}` has {length} characters"),
            format!("At most {max} are accepted."),
        ));
    }
    Ok(storable(value))
}

fn not_found() -> ApiError {
    ApiError::new(
        ApiErrorCode::NotFound,
        "there is nothing with this id that the act could be about",
        "`inspections`, `sessions`, `jobs` and `items` list what you may see.",
    )
}

fn unavailable(unavailable: Unavailable) -> ApiError {
    let outcome = match unavailable {
        Unavailable::Overloaded => "Nothing was changed.",
        // The connection may have been lost when the transaction was committed.
        Unavailable::Storage | Unavailable::ShuttingDown => "It is not known whether it was carried out.",
    };
    ApiError::new(
        ApiErrorCode::Unavailable,
        format!("the act could not be confirmed: {unavailable}"),
        format!("{outcome} Try again in a few seconds, with the same idempotency key: it is carried out once."),
    )
}

impl From<CommandError> for ApiError {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::NotFound => not_found(),
            CommandError::KeyReused => ApiError::new(
                ApiErrorCode::IdempotencyKeyReused,
                error.to_string(),
                "Use a new key for each act; send the same key only with the same input.",
            ),
            CommandError::CannotBeLinked => ApiError::bad_user_input(
                error.to_string(),
                "`entity` is a session, job or item, and `inspection` an inspection of the same source.",
            ),
            CommandError::NotLinkedByHand => {
                ApiError::bad_user_input(error.to_string(), "Only a link by hand can be undone: see `linkedByHand`.")
            }
            CommandError::TooManyParts => ApiError::bad_user_input(error.to_string(), "Link its parts one by one."),
            CommandError::TooManyLabels => {
                ApiError::bad_user_input(error.to_string(), "Take labels away with `value: null`.")
            }
        }
    }
}
