//! What is inspected, and where.

use crate::event::{Asset, Location, Property, Vehicle};
use async_graphql::SimpleObject;

/// What is inspected, and where. Which of the fields have values depends on what it is.
#[derive(Clone, Debug, Default, PartialEq, SimpleObject)]
pub struct Subject {
    /// The vehicle.
    pub vehicle: Option<Vehicle>,
    /// The building.
    pub property: Option<Property>,
    /// The asset, as the vendor has it registered.
    pub asset: Option<Asset>,
    /// The location.
    pub location: Option<Location>,
}
