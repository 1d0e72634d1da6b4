//! The service's side of MongoDB.

use anyhow::{Context, Result};
use mongodb::bson::{Document, doc};
use mongodb::event::EventHandler;
use mongodb::event::cmap::CmapEvent;
use mongodb::options::{Acknowledgment, ClientOptions, WriteConcern};
use mongodb::{Client, Collection};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;

/// The name under which the database lists our connections.
const APP_NAME: &str = "sample-api";

/// Connections that stay open, as in a real service under load.
const POOL: u32 = 5;

/// Documents that a new database starts with.
const SEED: usize = 500;

/// How long a request waits for the database. The driver's own default is 30 s.
const TIMEOUT: Duration = Duration::from_secs(2);

/// A pause between two attempts to reach a database that is not there yet.
const RETRY: Duration = Duration::from_millis(200);

pub(crate) struct Database {
    client: Client,
    prepared: AtomicBool,
}

impl Database {
    pub(crate) async fn new(uri: &str) -> Result<Self> {
        let mut options = options(uri).await?;
        options.min_pool_size = Some(POOL);
        let client = Client::with_options(options).context("cannot set up the database client")?;
        Ok(Self { client, prepared: AtomicBool::new(false) })
    }

    fn orders(&self) -> Collection<Document> {
        self.client.database("sample").collection("orders")
    }

    /// Waits for the database and seeds it when it is new.
    pub(crate) async fn prepare(self: Arc<Self>) {
        loop {
            match self.seed().await {
                Ok(()) => break,
                Err(error) => eprintln!("database not ready: {error:#}"),
            }
            tokio::time::sleep(RETRY).await;
        }
        self.prepared.store(true, Ordering::Release);
        eprintln!("database ready");
    }

    async fn seed(&self) -> Result<()> {
        if self.count().await? == 0 {
            let orders = (1..=SEED).map(|number| doc! { "number": number as i64, "item": format!("item {number}") });
            self.orders().insert_many(orders).write_concern(durable()).await.context("cannot seed")?;
        }
        Ok(())
    }

    /// Whether the database is prepared and answers.
    pub(crate) async fn answers(&self) -> bool {
        let admin = self.client.database("admin");
        let ping = admin.run_command(doc! { "ping": 1 });
        self.prepared.load(Ordering::Acquire) && matches!(tokio::time::timeout(TIMEOUT, ping).await, Ok(Ok(_)))
    }

    pub(crate) async fn count(&self) -> Result<u64> {
        self.orders().count_documents(doc! {}).await.context("cannot count the orders")
    }

    /// The newest order.
    pub(crate) async fn newest(&self) -> Result<Option<Document>> {
        self.orders().find_one(doc! {}).sort(doc! { "_id": -1 }).await.context("cannot read an order")
    }

    /// Writes one more order and returns its ID, once the order is in the database's journal.
    pub(crate) async fn insert(&self) -> Result<String> {
        let order = doc! { "item": "one more" };
        let inserted = self.orders().insert_one(order).write_concern(durable()).await;
        let id = inserted.context("cannot insert an order")?.inserted_id.as_object_id();
        Ok(id.context("the new order has no ID")?.to_hex())
    }

    /// The IDs of all orders.
    pub(crate) async fn ids(&self) -> Result<Vec<String>> {
        let mut orders = self.orders().find(doc! {}).projection(doc! { "_id": 1 }).await.context("cannot list")?;
        let mut ids = Vec::new();
        while orders.advance().await.context("cannot list the orders")? {
            ids.push(orders.current().get_object_id("_id").context("an order has no ID")?.to_hex());
        }
        Ok(ids)
    }
}

/// Opens connections like those of an earlier instance that nobody closed, and holds them until it is killed.
pub(crate) async fn hold_connections(uri: &str, number: u32) -> Result<()> {
    let (opened, mut ready) = mpsc::unbounded_channel();
    let mut options = options(uri).await?;
    options.min_pool_size = Some(number);
    options.max_pool_size = Some(number);
    options.cmap_event_handler = Some(EventHandler::callback(move |event| {
        if matches!(event, CmapEvent::ConnectionReady(_)) {
            // The receiver is gone once all connections are open.
            let _ = opened.send(());
        }
    }));
    let client = Client::with_options(options).context("cannot set up the database client")?;
    client.database("admin").run_command(doc! { "ping": 1 }).await.context("the database does not answer")?;
    for _ in 0..number {
        ready.recv().await.context("the driver stopped telling of connections")?;
    }
    println!("holding {number} connections");
    std::future::pending().await
}

async fn options(uri: &str) -> Result<ClientOptions> {
    let mut options = ClientOptions::parse(uri).await.with_context(|| format!("`{uri}` is no database address"))?;
    options.app_name = Some(APP_NAME.to_owned());
    options.direct_connection = Some(true);
    options.connect_timeout = Some(TIMEOUT);
    options.server_selection_timeout = Some(TIMEOUT);
    Ok(options)
}

/// Acknowledged only when it is in the database's journal.
fn durable() -> WriteConcern {
    WriteConcern::builder().w(Acknowledgment::Nodes(1)).journal(true).build()
}
