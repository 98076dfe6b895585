//! What lists can be ordered by. Each has an order in which rows stay where they are while a client reads page by page.

use crate::store::read::{self, SortDirection};
use async_graphql::{Enum, InputObject};

/// Which way an order goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum OrderDirection {
    /// The oldest first.
    Asc,
    /// The newest first.
    Desc,
}

impl From<OrderDirection> for SortDirection {
    fn from(direction: OrderDirection) -> Self {
        match direction {
            OrderDirection::Asc => SortDirection::Asc,
            OrderDirection::Desc => SortDirection::Desc,
        }
    }
}

/// Declares the orders of entities.
macro_rules! orders {
    ($($order:ident $field:ident, $about:literal, $about_field:literal;)+) => {
        $(
            #[doc = $about]
            #[derive(Clone, Copy, Debug, InputObject)]
            pub struct $order {
                /// What to order by.
                field: $field,
                /// Which way.
                direction: OrderDirection,
            }

            #[doc = $about_field]
            #[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
            pub enum $field {
                /// When the newest news that changed them was received. Rows move while you read: one that changes meanwhile
                /// can come again on a later page, or slip behind a page already read.
                UpdatedAt,
                /// When the hub first heard of them. Rows stay where they are.
                CreatedAt,
            }

            impl From<$order> for read::EntityOrder {
                fn from(order: $order) -> Self {
                    let direction = order.direction.into();
                    match order.field {
                        $field::UpdatedAt => read::EntityOrder::Updated(direction),
                        $field::CreatedAt => read::EntityOrder::Created(direction),
                    }
                }
            }
        )+
    };
}

orders! {
    InspectionOrder InspectionOrderField, "The order of a list of inspections.", "What inspections can be ordered by.";
    SessionOrder SessionOrderField, "The order of a list of sessions.", "What sessions can be ordered by.";
    JobOrder JobOrderField, "The order of a list of jobs.", "What jobs can be ordered by.";
    ItemOrder ItemOrderField, "The order of a list of items.", "What items can be ordered by.";
}

/// The order of a list of deliveries.
#[derive(Clone, Copy, Debug, InputObject)]
pub struct DeliveryOrder {
    /// What to order by.
    field: DeliveryOrderField,
    /// Which way.
    direction: OrderDirection,
}

/// What deliveries can be ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum DeliveryOrderField {
    /// When the hub received them. Rows stay where they are.
    ReceivedAt,
}

impl From<DeliveryOrder> for SortDirection {
    fn from(order: DeliveryOrder) -> Self {
        match order.field {
            DeliveryOrderField::ReceivedAt => order.direction.into(),
        }
    }
}
