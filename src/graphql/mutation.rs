//! The fields of mutations.

use super::act::{
    self, AddCommentInput, AddCommentPayload, AnnotateInspectionInput, InspectionPayload, LinkEntityInput,
    LinkEntityPayload, RegisterInspectionInput,
};
use super::api_key::{
    self, ApiKeyPayload, CreateApiKeyInput, CreateApiKeyPayload, RevokeApiKeyInput, RotateApiKeyInput,
};
use super::error::ApiError;
use async_graphql::{Context, Object};

#[derive(Debug)]
pub struct MutationRoot;

/// The fields of mutations.
#[Object(name = "Mutation")]
impl MutationRoot {
    /// Announces an inspection before the vendor's first webhook: its status is `REQUESTED` until the vendor reports a state. One that is
    /// known is annotated. Needs the scope `OPERATE`.
    async fn register_inspection(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The inspection.")] input: RegisterInspectionInput,
    ) -> Result<InspectionPayload, ApiError> {
        act::register(ctx, input).await
    }

    /// Sets the customer's own reference, labels and due date of an inspection, or takes them away. Needs the scope `OPERATE`.
    async fn annotate_inspection(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The inspection, and what to change.")] input: AnnotateInspectionInput,
    ) -> Result<InspectionPayload, ApiError> {
        act::annotate(ctx, input).await
    }

    /// Adds a comment to an inspection. Needs the scope `OPERATE`.
    async fn add_comment(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The inspection, and the comment.")] input: AddCommentInput,
    ) -> Result<AddCommentPayload, ApiError> {
        act::comment(ctx, input).await
    }

    /// Puts a session, job or item under an inspection of the same source, with all that belongs to it. That wins over what the vendor says
    /// until it is undone: with null as the inspection. The history stays as it is. Needs the scope `OPERATE`.
    async fn link_entity(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to link, and to which inspection.")] input: LinkEntityInput,
    ) -> Result<LinkEntityPayload, ApiError> {
        act::link(ctx, input).await
    }

    /// Creates an API key, which never exceeds your own scopes, sources and expiry. The secret is in this response and nowhere else.
    /// Needs the scope `ADMIN`.
    async fn create_api_key(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The new key.")] input: CreateApiKeyInput,
    ) -> Result<CreateApiKeyPayload, ApiError> {
        api_key::create(ctx, input).await
    }

    /// Replaces an API key by a new one with the same name, scopes and sources. Both are valid for a while. Needs the scope `ADMIN`.
    async fn rotate_api_key(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which key, and for how long the old one stays valid.")] input: RotateApiKeyInput,
    ) -> Result<CreateApiKeyPayload, ApiError> {
        api_key::rotate(ctx, input).await
    }

    /// Revokes an API key for good. All replicas refuse it within a second, and end the subscriptions that use it. A key that is
    /// revoked already stays as it is. Needs the scope `ADMIN`.
    async fn revoke_api_key(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which key.")] input: RevokeApiKeyInput,
    ) -> Result<ApiKeyPayload, ApiError> {
        api_key::revoke(ctx, input).await
    }
}
