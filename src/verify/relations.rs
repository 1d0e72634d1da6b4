//! How units hang together.

use std::collections::BTreeMap;

use crate::host::{Host, HostResult};
use crate::model::{UnitName, UnitRelations};

pub(crate) async fn of_each(host: &Host, units: &[UnitName]) -> HostResult<BTreeMap<UnitName, UnitRelations>> {
    if units.is_empty() {
        return Ok(BTreeMap::new());
    }
    host.units.relations(units).await
}
