use super::{Delivery, Unreadable, Vendor};
use crate::event::Reading;
pub const VENDOR: Vendor = Vendor { name: "truepic", title: "truepic", machines: &[], signature: None, read };
fn read(_: &Delivery<'_>) -> Result<Reading, Unreadable> {
    Ok(Reading::default())
}
