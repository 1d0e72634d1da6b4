//! What a transient unit is made of, on the bus.

use zbus::Variant;

/// Property of a transient unit: name and value.
pub(super) type Property = (&'static str, Variant<'static>);
