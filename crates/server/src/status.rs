//! The server's counters, for the console and Prometheus.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use metsuke_api::ports::{Cost, Status};
use metsuke_api::status::{Storage, StorageState};
use metsuke_api::stream::Stats;
use metsuke_control::Control;
use metsuke_indicators::Indicators;
use metsuke_ingest::{DetectionCost, Metrics};
use metsuke_lake::Lake;
use metsuke_link::server::Counters;

/// Where the figures come from.
#[derive(Debug)]
pub(crate) struct ServerStatus {
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) link: Arc<Counters>,
    pub(crate) lake: Lake,
    pub(crate) control: Control,
    pub(crate) indicators: Indicators,
    /// The data folder.
    pub(crate) folder: PathBuf,
}

/// Bytes free for us on the disk of `folder`.
fn free_bytes(folder: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

impl ServerStatus {
    fn storage(&self) -> Storage {
        let refusal = self.metrics.refusals.now();
        Storage {
            state: if refusal.is_some() { StorageState::Refusing } else { StorageState::Ok },
            since: refusal.as_ref().map(|refusal| refusal.since.into()),
            reason: refusal.map(|refusal| refusal.reason),
            free_bytes: free_bytes(&self.folder),
            refused_batches: read(&self.metrics.append_failures),
        }
    }
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

impl Status for ServerStatus {
    fn stats(&self) -> Stats {
        Stats {
            events_total: read(&self.metrics.events),
            duplicates_total: read(&self.metrics.duplicates),
            detect_lag: read(&self.metrics.detect_waiting),
            hits_total: read(&self.metrics.hits),
            alerts_total: read(&self.metrics.alerts),
            connected: self.control.connected() as u64,
            storage: self.storage(),
        }
    }

    fn costs(&self) -> HashMap<String, Cost> {
        let cost = |cost: DetectionCost| Cost {
            nanos_per_event: cost.nanos_per_event,
            share: cost.share,
            asleep: cost.asleep,
        };
        self.metrics.costs().into_iter().map(|(id, one)| (id, cost(one))).collect()
    }

    fn counters(&self) -> Vec<(&'static str, &'static str, u64)> {
        let mut list = self.metrics.list();
        list.extend(self.indicators.counters());
        let link = &self.link;
        list.extend([
            ("link_connections_total", "Connections accepted.", read(&link.connections)),
            ("link_handshakes_failed_total", "No or wrong TLS.", read(&link.handshakes_failed)),
            ("link_connections_refused_total", "Too many.", read(&link.connections_refused)),
            ("link_sessions", "Sessions open now.", read(&link.sessions)),
            ("link_sessions_replaced_total", "By a newer one.", read(&link.sessions_replaced)),
            ("link_sessions_failed_total", "Broke down here.", read(&link.sessions_failed)),
            ("link_batches_refused_total", "Refused for good.", read(&link.batches_refused)),
            (
                "link_inventories_refused_total",
                "Inventory messages refused for good.",
                read(&link.inventories_refused),
            ),
            ("link_enrolments_refused_total", "Refused.", read(&link.enrolments_refused)),
        ]);
        let storage = self.storage();
        let refusing = u64::from(storage.state == StorageState::Refusing);
        list.push(("storage_refusing", "1 while nothing can be stored.", refusing));
        list.extend(storage.free_bytes.map(|free| ("storage_free_bytes", "Free on disk.", free)));
        let lake = self.lake.stats();
        list.extend([
            ("lake_table_rows", "Events in the table.", lake.table_rows),
            ("lake_table_files", "Files of the table.", lake.table_files),
            ("lake_table_bytes", "Bytes of these files.", lake.table_bytes),
            ("lake_tail_rows", "Events in the hot tail.", lake.tail_rows),
            ("lake_tail_bytes", "Bytes of the hot tail.", lake.tail_bytes),
            ("lake_wal_bytes", "Bytes of write-ahead segments.", lake.wal_bytes),
            ("lake_quarantined_total", "Files set aside as unreadable.", lake.quarantined),
            ("lake_failed_flushes", "Failed flushes in a row.", lake.failed_flushes),
            ("lake_loss_intervals", "Loss intervals at hand.", lake.loss_intervals),
            ("lake_losses_joined_total", "Loss intervals joined.", lake.losses_joined),
        ]);
        list
    }
}
