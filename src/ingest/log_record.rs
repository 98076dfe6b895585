//! A record of the raw log on its way to the writer: a delivery, or a command.

use super::prepared_delivery::{PreparedDelivery, ReplayContext};
use crate::command::NewCommand;
use crate::vendor::verify::Verified;
use uuid::Uuid;

#[derive(Debug)]
pub enum LogRecord {
    Delivery(Box<PreparedDelivery>),
    Command(Box<PreparedCommand>),
}

/// A command, ready for the writer.
#[derive(Debug)]
pub struct PreparedCommand {
    pub(super) command: NewCommand,
    /// The public id of the entity that it is about.
    pub(super) entity: Uuid,
    /// That of another entity that it names.
    pub(super) target: Option<Uuid>,
    pub(super) replay: ReplayContext,
}

impl LogRecord {
    /// A delivery, with its payload as it is stored.
    pub fn prepare(verified: Verified) -> Self {
        LogRecord::Delivery(Box::new(PreparedDelivery::prepare(verified)))
    }

    /// A delivery for a shadow database, which stores no payloads.
    pub fn prepare_without_payload(verified: Verified) -> Self {
        LogRecord::Delivery(Box::new(PreparedDelivery::prepare_without_payload(verified)))
    }

    pub fn command(command: NewCommand) -> Self {
        let (entity, target) = (command.entity_id(), command.target_id());
        LogRecord::Command(Box::new(PreparedCommand { command, entity, target, replay: ReplayContext::default() }))
    }

    /// As a record of a raw log from which others were purged.
    pub fn with_replay_context(mut self, replay: ReplayContext) -> Self {
        match &mut self {
            LogRecord::Delivery(delivery) => delivery.replay = replay,
            LogRecord::Command(command) => command.replay = replay,
        }
        self
    }

    /// The public ids of all entities that it names.
    pub fn referenced_ids(&self) -> impl Iterator<Item = Uuid> {
        let (delivery, command) = match self {
            LogRecord::Delivery(delivery) => (Some(delivery.referenced_ids()), None),
            LogRecord::Command(command) => (None, Some([Some(command.entity), command.target])),
        };
        delivery.into_iter().flatten().chain(command.into_iter().flatten().flatten())
    }

    /// The size of what is stored of a delivery's request, or of a command's input, in bytes.
    pub fn payload_bytes(&self) -> usize {
        match self {
            LogRecord::Delivery(delivery) => delivery.payload_bytes(),
            // Its texts are bounded.
            LogRecord::Command(_) => 0,
        }
    }

    pub fn source(&self) -> &str {
        match self {
            LogRecord::Delivery(delivery) => delivery.source(),
            LogRecord::Command(command) => &command.command.source,
        }
    }

    pub(super) fn as_delivery(&self) -> Option<&PreparedDelivery> {
        match self {
            LogRecord::Delivery(delivery) => Some(delivery),
            LogRecord::Command(_) => None,
        }
    }

    pub(super) fn as_command(&self) -> Option<&PreparedCommand> {
        match self {
            LogRecord::Delivery(_) => None,
            LogRecord::Command(command) => Some(command),
        }
    }
}
