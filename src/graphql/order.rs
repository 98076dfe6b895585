//! The orders of lists. Every list has an order in which rows keep their places while a client pages through it.

use crate::store::read::{self, SortDirection};
use async_graphql::{Enum, InputObject};

/// Declares the orders of entities.
macro_rules! orders {
    ($($order:ident $field:ident, $about:literal, $about_field:literal;)+) => {
        $(
            #[doc = $about]
            #[derive(Clone, Copy, Debug, InputObject)]
            pub struct $order {
                /// The field to order by.
                field: $field,
                /// The direction.
                direction: SortDirection,
            }

            #[doc = $about_field]
            #[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
            pub enum $field {
                /// When the newest event that changed them was received. Rows move while you page through the list: a
                /// row that changes can occur again on a later page, or move to a page that you have read.
                UpdatedAt,
                /// When the hub first saw them. Rows keep their places.
                CreatedAt,
            }

            impl From<$order> for read::EntityOrder {
                fn from(order: $order) -> Self {
                    match order.field {
                        $field::UpdatedAt => read::EntityOrder::Updated(order.direction),
                        $field::CreatedAt => read::EntityOrder::Created(order.direction),
                    }
                }
            }
        )+
    };
}

orders! {
    InspectionOrder InspectionOrderField, "The order of a list of inspections.", "The fields that inspections can be ordered by.";
    SessionOrder SessionOrderField, "The order of a list of sessions.", "The fields that sessions can be ordered by.";
    JobOrder JobOrderField, "The order of a list of jobs.", "The fields that jobs can be ordered by.";
    ItemOrder ItemOrderField, "The order of a list of items.", "The fields that items can be ordered by.";
}

/// The order of a list of deliveries.
#[derive(Clone, Copy, Debug, InputObject)]
pub struct DeliveryOrder {
    /// The field to order by.
    field: DeliveryOrderField,
    /// The direction.
    direction: SortDirection,
}

/// The fields that deliveries can be ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum DeliveryOrderField {
    /// When the hub received them. Rows keep their places.
    ReceivedAt,
}

impl From<DeliveryOrder> for SortDirection {
    fn from(order: DeliveryOrder) -> Self {
        match order.field {
            DeliveryOrderField::ReceivedAt => order.direction,
        }
    }
}
