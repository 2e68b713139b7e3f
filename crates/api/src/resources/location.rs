//! Where this Headwater is, which its operator says. Spec: the management API reference, 1.13 and part 6.
//!
//! Scripts for Azure Media Services name the region of their account in most bodies, as `westeurope` or `West Europe`:
//! capitals and spaces do not count.

use crate::error::ApiError;
use crate::fields::Object;

pub(super) fn is_same(one: &str, other: &str) -> bool {
    let plain = |name: &str| name.replace(' ', "").to_lowercase();
    plain(one) == plain(other)
}

/// A member that names a place, if it is there at all, has to name the one there is.
pub(super) fn check(object: &Object<'_>, member: &str, here: &str) -> Result<(), ApiError> {
    match object.text(member)? {
        Some(asked) if !is_same(&asked, here) => Err(elsewhere(object.path(member), here)),
        _ => Ok(()),
    }
}

/// `field`: where the request names another place.
pub(super) fn elsewhere(field: impl Into<String>, here: &str) -> ApiError {
    ApiError::invalid(
        field,
        format!(
            "must be '{here}', where this Headwater is by its setting --location (HEADWATER_LOCATION)"
        ),
    )
}
