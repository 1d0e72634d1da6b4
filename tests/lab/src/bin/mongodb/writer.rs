//! A writer that goes on while the database goes down and comes back, and remembers what was acknowledged.

use crate::setup::Site;
use anyhow::{Context, Result};
use mongodb::Collection;
use mongodb::bson::{Bson, Document, doc};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

/// The driver itself would wait for ever for a server that went down in the middle.
const ANSWER: Duration = Duration::from_secs(3);

/// What became of the writes of one run.
pub(crate) struct Account {
    pub(crate) acknowledged: usize,
    pub(crate) refused: usize,
    pub(crate) lost: usize,
}

/// Writes during `work`, to the end of it, and looks for every acknowledged write afterwards.
pub(crate) fn during<T>(site: &Site, round: i64, work: impl FnOnce() -> Result<T>) -> Result<(T, Account)> {
    // A majority of one server is itself, so that the journal is what counts there.
    let concern = if site.shape.is_set() { "&w=majority&journal=true" } else { "&journal=true" };
    let client = site.client("writer", &format!("{concern}&retryWrites=false"))?;
    let writes = client.database("ledger").collection::<Document>("writes");
    let stop = Arc::new(AtomicBool::new(false));
    let refused = Arc::new(AtomicI64::new(0));
    let task = {
        let (writes, stop, refused) = (writes.clone(), Arc::clone(&stop), Arc::clone(&refused));
        site.runtime.spawn(async move {
            let mut acknowledged = Vec::new();
            let mut number = round * 1_000_000;
            while !stop.load(Ordering::Acquire) {
                number += 1;
                // A write without an answer may be there or not: only a yes counts.
                match tokio::time::timeout(ANSWER, writes.insert_one(doc! { "_id": number })).await {
                    Ok(Ok(_)) => acknowledged.push(number),
                    Ok(Err(_)) | Err(_) => {
                        refused.fetch_add(1, Ordering::AcqRel);
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                }
            }
            acknowledged
        })
    };
    let done = work();
    stop.store(true, Ordering::Release);
    let acknowledged = site.runtime.block_on(task).context("the writer broke down")?;
    let present = site.runtime.block_on(present(&writes, round))?;
    let lost = acknowledged.iter().filter(|number| !present.contains(number)).count();
    let refused = usize::try_from(refused.load(Ordering::Acquire)).unwrap_or(0);
    Ok((done?, Account { acknowledged: acknowledged.len(), refused, lost }))
}

async fn present(writes: &Collection<Document>, round: i64) -> Result<BTreeSet<i64>> {
    let all = writes.distinct("_id", doc! { "_id": { "$gte": round * 1_000_000, "$lt": (round + 1) * 1_000_000 } });
    Ok(all.await.context("cannot read what was written")?.iter().filter_map(Bson::as_i64).collect())
}
