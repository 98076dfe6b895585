//! The objects of the four kinds: inspection, session, job, item. One macro declares the fields and lists that they
//! share.

use super::ApiContext;
use super::change::Change;
use super::command::{Comment, Label};
use super::connection::object_with_lists;
use super::entity::{EntityFields, Subject, load_entity};
use super::enums::{InspectionStatus, JobStatus, SessionStatus};
use super::error::ApiError;
use super::filter::subkinds;
use super::node::Node;
use super::pagination;
use crate::event::{
    Account, Answer, Contact, Damage, Document, File, Form, Lead, Message, Model, Note, Photo, Record, Run, Signing,
    Summary, Task, Video,
};
use crate::machine::EntityType;
use crate::store::read::{ChildRelation, EntityRow, datetime_from_micros};
use async_graphql::{Context, ID};
use chrono::{DateTime, Utc};
use entity::{ItemKind, JobKind, Kind, Party};
use std::sync::Arc;

/// Declares the object of a kind. `lists by` says whose entities the lists have: those of an inspection, or of a
/// parent.
macro_rules! entity_object {
    ($(#[$about:meta])* $name:ident {
        $(kind: $kind:ident, $kind_about:literal;)?
        $(status: $status:ident;)?
        $(waits for: $party:ident;)?
        $(subject: $subject_about:literal;)?
        $(annotations: $labels:ident, $comments:literal;)?
        $(links: $inspection:ident, $parent:ident, $linked_by_hand:ident;)?
        $(facts { $($(#[$fact_about:meta])* $fact:ident: $group:ident;)+ })?
        lists by $relation:ident {
            $(sessions: $sessions_about:literal;)?
            $(jobs: $jobs_about:literal;)?
            items: $items_about:literal;
        }
    }) => {
        #[derive(Clone, Debug)]
        pub struct $name(pub EntityFields);

        object_with_lists! {
            $(#[$about])*
            $name {
                own {
                    #[graphql(flatten)]
                    async fn common(&self) -> &EntityFields {
                        &self.0
                    }

                    $(
                        #[doc = $kind_about]
                        async fn kind(&self) -> Result<$kind, ApiError> {
                            let row = &self.0.row;
                            let kind = $kind::parse(&row.subkind);
                            kind.ok_or_else(|| ApiError::internal(format!("entity {} has no kind", row.row_id)))
                        }
                    )?

                    $(
                        /// The status, in the same words for all vendors, derived from `state`; null before the vendor
                        /// reports a state.
                        async fn status(&self) -> Option<$status> {
                            $status::of(self.0.row.status?)
                        }
                    )?

                    $(
                        /// The party that has to act next; null if it has ended, or if the vendor does not document it. By `state`: the vendor's default, or what the setting `waits_for` of the source
                        /// says.
                        async fn waits_for(&self, ctx: &Context<'_>) -> Result<Option<$party>, ApiError> {
                            Ok(ApiContext::of(ctx)?.party_waited_for(&self.0.row))
                        }

                        /// The page of it at the vendor, if the source has the setting `vendor_link`.
                        async fn vendor_url(&self, ctx: &Context<'_>) -> Result<Option<String>, ApiError> {
                            let source = ApiContext::of(ctx)?.source(&self.0.row.source);
                            Ok(source.and_then(|source| Some(source.link.as_ref()?.url(&self.0.row.external_id))))
                        }
                    )?

                    $(
                        #[doc = $subject_about]
                        async fn subject(&self) -> Result<Option<Subject>, ApiError> {
                            self.0.subject()
                        }
                    )?

                    $(
                        /// What people have labelled it with, in the order of the keys.
                        async fn $labels(&self) -> Result<Vec<Label>, ApiError> {
                            self.0.labels()
                        }

                        /// The customer's own key as the vendor passes it on; `reference` is the customer's word where there is one.
                        async fn vendor_reference(&self) -> Option<&str> {
                            self.0.row.reference.as_deref()
                        }

                        /// When it was announced to the hub; null if a vendor named it without that.
                        async fn registered_at(&self) -> Option<DateTime<Utc>> {
                            self.0.row.registered_at.map(datetime_from_micros)
                        }

                        /// When it should be finished, as it was set by hand; null if it was not.
                        async fn due_at(&self) -> Option<DateTime<Utc>> {
                            self.0.row.due_at.map(datetime_from_micros)
                        }
                    )?

                    $(
                        /// The inspection it belongs to; null while that is unknown, and if there is none.
                        async fn $inspection(&self, ctx: &Context<'_>) -> Result<Option<Inspection>, ApiError> {
                            Ok(load_entity(ctx, self.0.row.inspection_row_id).await?.map(Inspection::from))
                        }

                        /// Whether a link by hand decides about its inspection: its own, or that of what it belongs to. Only its own can be
                        /// undone.
                        async fn $linked_by_hand(&self) -> bool {
                            self.0.row.hand_linked_row_id.is_some()
                        }

                        /// What it belongs to directly, if the vendor reports it.
                        async fn $parent(&self, ctx: &Context<'_>) -> Result<Option<Node>, ApiError> {
                            Ok(load_entity(ctx, self.0.row.parent_row_id).await?.and_then(Node::of))
                        }
                    )?

                    $($(
                        $(#[$fact_about])*
                        async fn $fact(&self) -> Result<Option<&$group>, ApiError> {
                            Ok(self.0.facts()?.$fact.as_ref())
                        }
                    )+)?
                }

                /// All that was reported about it, oldest first, including events without effect. `last` returns the
                /// newest.
                fn history(&self, ctx, page) -> Change {
                    pagination::history(ctx, page, self.0.row.row_id).await
                }

                $(
                    #[doc = $comments]
                    fn comments(&self, ctx, page) -> Comment {
                        pagination::comments(ctx, page, self.0.row.row_id).await
                    }
                )?

                $(
                    #[doc = $sessions_about]
                    fn sessions(&self, ctx, page) -> Session {
                        pagination::children(ctx, page, (ChildRelation::$relation, self.0.row.row_id), Kind::Session, None).await
                    }
                )?

                $(
                    #[doc = $jobs_about]
                    fn jobs(&self, ctx, page, #[graphql(desc = "Only jobs of these kinds.")] kind: Option<Vec<JobKind>>) -> Job {
                        let kinds = subkinds(kind, EntityType::Job);
                        pagination::children(ctx, page, (ChildRelation::$relation, self.0.row.row_id), Kind::Job, kinds).await
                    }
                )?

                #[doc = $items_about]
                fn items(&self, ctx, page, #[graphql(desc = "Only items of these kinds.")] kind: Option<Vec<ItemKind>>) -> Item {
                    let kinds = subkinds(kind, EntityType::Item);
                    pagination::children(ctx, page, (ChildRelation::$relation, self.0.row.row_id), Kind::Item, kinds).await
                }
            }
        }

        impl From<Arc<EntityRow>> for $name {
            fn from(row: Arc<EntityRow>) -> Self {
                $name(row.into())
            }
        }

        impl $name {
            /// For `Node.id`.
            pub async fn id(&self, _: &Context<'_>) -> Result<ID, ApiError> {
                Ok(self.0.row.id.into())
            }
        }
    };
}

entity_object! {
    /// The real-world thing being inspected: a car, a roof, a claim. One object, whichever vendor reports it.
    Inspection {
        status: InspectionStatus;
        waits for: Party;
        subject: "What is inspected, and where; null before the vendor reports any of it.";
        annotations: labels, "The comments that people have added, oldest first.";
        facts {
            /// The result; null before the vendor reports any of it.
            summary: Summary;
        }
        lists by Inspection {
            sessions: "The capture sessions, in the order in which the hub first saw them.";
            jobs: "The back-office work, in the order in which the hub first saw it.";
            items: "The items of the inspection and of its sessions and jobs, in the order in which the hub first saw them.";
        }
    }
}

entity_object! {
    /// One capture session by a person: a PAVE session, a Truepic app session, a Hover capture request, a Record360
    /// transaction.
    Session {
        status: SessionStatus;
        subject: "What is to be captured, and where, if the vendor reports it for the session and not for the inspection.";
        links: inspection, parent, linked_by_hand;
        lists by Parent {
            jobs: "The jobs that belong to this session directly, in the order in which the hub first saw them.";
            items: "The items that belong to this session directly, in the order in which the hub first saw them.";
        }
    }
}

entity_object! {
    /// Back-office work with a state of its own: a Hover job, a PDF, a condition report, a sync run, a task.
    Job {
        kind: JobKind, "The kind of work.";
        status: JobStatus;
        subject: "What the work is about, and where, if the vendor reports it for the job and not for the inspection.";
        links: inspection, parent, linked_by_hand;
        facts {
            /// The file to download, of a PDF or a condition report.
            document: Document;
            /// The signature, of a signature request.
            signing: Signing;
            /// The run, of a data sync.
            run: Run;
            /// The task, of work that is assigned to a person.
            task: Task;
        }
        lists by Parent {
            jobs: "The jobs that belong to this job directly, in the order in which the hub first saw them.";
            items: "The items that belong to this job directly, in the order in which the hub first saw them.";
        }
    }
}

entity_object! {
    /// A part of an inspection, session or job: a photo, a message, a damage, a record. `kind` says which, and the
    /// field of that name has its facts; the other such fields are null.
    Item {
        kind: ItemKind, "The kind of item.";
        links: inspection, parent, linked_by_hand;
        facts {
            /// The photo.
            photo: Photo;
            /// The video.
            video: Video;
            /// The answer.
            answer: Answer;
            /// The message.
            message: Message;
            /// Whether the person can be reached.
            contact: Contact;
            /// The note.
            note: Note;
            /// The completed form.
            form: Form;
            /// The file, signature or identity document.
            file: File;
            /// The 3D model.
            model: Model;
            /// The damage.
            damage: Damage;
            /// The person who wants to be called.
            lead: Lead;
            /// The account.
            account: Account;
            /// The record, or why it could not be synced.
            record: Record;
        }
        lists by Parent {
            items: "The items that belong to this item directly, e.g. the records of an account.";
        }
    }
}
