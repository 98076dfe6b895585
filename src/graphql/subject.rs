//! What is inspected, and where.

use crate::event::{Asset, Location, Property, Vehicle};
use async_graphql::SimpleObject;

/// What is inspected, and where. Which part is filled depends on what it is.
#[derive(Clone, Debug, Default, PartialEq, SimpleObject)]
pub struct Subject {
    /// The vehicle.
    pub vehicle: Option<Vehicle>,
    /// The building.
    pub property: Option<Property>,
    /// The thing, as it stands in the vendor's register.
    pub asset: Option<Asset>,
    /// The place.
    pub location: Option<Location>,
}
