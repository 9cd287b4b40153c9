//! Artifacts as they come from sensors: chunk by chunk into a partial file, then checked, then kept
//! under their SHA-256.
//!
//! Invariant: only what a plan of this endpoint asked for, and has not ended, is taken, and no more
//! than it allows. Invariant: no part of a path comes from a sensor: plans and hashes were parsed.
//! Invariant: a row in the catalog means that the bytes are on disk and have that hash.

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use metsuke_catalog::clock::now;
use metsuke_catalog::{ArtifactRecord, ArtifactsKept, Catalog, CatalogError};
use metsuke_event::EndpointId;
use metsuke_event::id::PlanId;
use metsuke_link::artifact::{ArtifactAnswer, ArtifactPart, Offer};
use sha2::{Digest, Sha256};

/// Bytes that stay free for the event store, whatever sensors bring.
pub(crate) const FREE_BYTES_MIN: u64 = 1 << 30;
/// How long a part of an artifact is kept whose sensor sends no more: sensors give up after a week.
const PARTIAL_KEPT: Duration = Duration::from_secs(8 * 86_400);
/// Bytes hashed at once.
const BLOCK: usize = 256 << 10;

/// Where the artifacts of a server lie. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ArtifactFolder(Arc<Place>);

#[derive(Debug)]
struct Place {
    folder: PathBuf,
    /// Held while bytes and their row come or go: neither is seen without the other.
    changing: tokio::sync::Mutex<()>,
}

impl ArtifactFolder {
    /// In `folder`, which is made when needed, for its owner alone. Parts that nobody sent on for
    /// long are thrown away.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(folder: &Path) -> io::Result<Self> {
        for part in ["partial", "sha256"] {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(folder.join(part))?;
        }
        for entry in fs::read_dir(folder.join("partial"))? {
            let entry = entry?;
            let age = entry.metadata()?.modified()?.elapsed().unwrap_or_default();
            if age > PARTIAL_KEPT {
                fs::remove_file(entry.path())?;
            }
        }
        let changing = tokio::sync::Mutex::default();
        Ok(Self(Arc::new(Place { folder: folder.to_owned(), changing })))
    }

    /// Where the bytes with this SHA-256 (64 lower-case hexadecimal digits) lie.
    pub fn path(&self, sha256: &str) -> PathBuf {
        let first = sha256.get(..2).unwrap_or_default();
        self.0.folder.join("sha256").join(first).join(sha256)
    }

    fn partial(&self, plan: PlanId) -> PathBuf {
        self.0.folder.join("partial").join(plan.to_string())
    }

    /// Forgets artifacts beyond what is `kept`, and removes bytes that no artifact has. Says how
    /// many went.
    ///
    /// # Errors
    /// When the catalog cannot be read, or a file not removed; what is left goes the next time.
    pub async fn prune(&self, catalog: &Catalog, kept: ArtifactsKept) -> Result<usize, PruneError> {
        let _changing = self.0.changing.lock().await;
        let pruned = catalog.prune_artifacts(now(), kept).await?;
        let known = catalog.artifact_hashes().await?;
        let folder = self.0.folder.join("sha256");
        blocking(move || sweep(&folder, &known)).await?;
        Ok(pruned.len())
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let free = rustix::fs::statvfs(&self.0.folder)?;
        Ok(free.f_bavail.saturating_mul(free.f_frsize))
    }
}

/// Why artifacts were not pruned.
#[derive(Debug, thiserror::Error)]
pub enum PruneError {
    /// The catalog.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// A file.
    #[error("the bytes of an artifact cannot be removed: {0}; look at the folder's owner and disk")]
    File(#[from] io::Error),
}

/// Removes every file below `folder` whose name is not `known`.
fn sweep(folder: &Path, known: &BTreeSet<String>) -> io::Result<()> {
    for part in fs::read_dir(folder)? {
        for file in fs::read_dir(part?.path())? {
            let file = file?;
            if !file.file_name().to_str().is_some_and(|name| known.contains(name)) {
                fs::remove_file(file.path())?;
            }
        }
    }
    Ok(())
}

/// One upload under way.
#[derive(Clone, Debug)]
struct Upload {
    offer: Offer,
    /// Bytes written; the others are reserved on the disk.
    written: u64,
    /// Whether it came whole once, with another hash.
    was_wrong: bool,
}

/// Takes artifacts in.
#[derive(Debug)]
pub(crate) struct Artifacts {
    catalog: Catalog,
    folder: ArtifactFolder,
    /// At most one per endpoint: a sensor sends one at a time.
    uploads: Mutex<HashMap<EndpointId, Upload>>,
    /// Bytes that stay free.
    free_min: u64,
}

/// Why a part was not taken.
enum Trouble {
    /// Never.
    Refused(String),
    /// Not now.
    Later(String),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        tracing::error!(%error, "an artifact cannot be kept now");
        Self::Later("the server cannot keep it now; its log says why".to_owned())
    }
}

impl From<CatalogError> for Trouble {
    fn from(error: CatalogError) -> Self {
        tracing::error!(
            error = &error as &dyn std::error::Error,
            "an artifact cannot be noted now"
        );
        Self::Later("the server cannot note it now; its log says why".to_owned())
    }
}

impl Artifacts {
    pub(crate) fn new(catalog: Catalog, folder: ArtifactFolder, free_min: u64) -> Self {
        Self { catalog, folder, uploads: Mutex::default(), free_min }
    }

    fn uploads(&self) -> MutexGuard<'_, HashMap<EndpointId, Upload>> {
        self.uploads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an offer or a chunk.
    pub(crate) async fn take(&self, endpoint: EndpointId, part: ArtifactPart) -> ArtifactAnswer {
        let plan = part.plan();
        let taken = match part {
            ArtifactPart::Offer(offer) => self.offer(endpoint, offer).await,
            ArtifactPart::Chunk { offset, data, .. } => {
                self.chunk(endpoint, plan, (offset, data)).await
            }
        };
        taken.unwrap_or_else(|trouble| {
            self.uploads().remove(&endpoint);
            let (reason, later) = match trouble {
                Trouble::Refused(reason) => (reason, false),
                Trouble::Later(reason) => (reason, true),
            };
            tracing::warn!(%endpoint, %plan, reason, later, "an artifact is not taken");
            ArtifactAnswer::Refused { plan, reason, later }
        })
    }

    async fn offer(&self, endpoint: EndpointId, offer: Offer) -> Result<ArtifactAnswer, Trouble> {
        let plan = offer.plan;
        if let Some(known) = self.catalog.artifact(plan).await? {
            if known.endpoint == endpoint && known.sha256 == offer.sha256 {
                return Ok(ArtifactAnswer::Stored { plan });
            }
            return Err(Trouble::Refused("the plan has brought another artifact".to_owned()));
        }
        self.check(endpoint, &offer).await?;
        self.reserve(endpoint, &offer)?;
        let (path, size) = (self.folder.partial(plan), offer.size);
        let written = blocking(move || {
            let file = open(&path)?;
            // More than the whole is of another attempt.
            let written = Some(file.metadata()?.len()).filter(|written| *written <= size);
            if written.is_none() {
                file.set_len(0)?;
            }
            Ok(written.unwrap_or(0))
        })
        .await?;
        let upload = Upload { offer, written, was_wrong: false };
        self.uploads().insert(endpoint, upload.clone());
        self.next(endpoint, upload).await
    }

    /// Whether somebody asked for this.
    async fn check(&self, endpoint: EndpointId, offer: &Offer) -> Result<(), Trouble> {
        let nobody = || Trouble::Refused("no plan of this endpoint asked for it".to_owned());
        let record = self.catalog.plan(offer.plan).await?.ok_or_else(nobody)?;
        if record.endpoint != endpoint {
            return Err(nobody());
        }
        let plan = metsuke_control::plan_of(&record).map_err(|_| nobody())?;
        let max = plan.verb.artifact_bytes_max().ok_or_else(nobody)?;
        if plan.state.is_end() {
            return Err(Trouble::Refused(format!("the plan is {}", plan.state)));
        }
        if offer.size > max {
            return Err(Trouble::Refused(format!(
                "it has {} bytes, the plan allows {max}",
                offer.size
            )));
        }
        Ok(())
    }

    /// Takes room on the disk for it, beside what the uploads of others still bring.
    fn reserve(&self, endpoint: EndpointId, offer: &Offer) -> Result<(), Trouble> {
        let mut uploads = self.uploads();
        // What this endpoint sent before is given up: a sensor sends one at a time.
        uploads.remove(&endpoint);
        let coming = uploads.values().map(|one| one.offer.size.saturating_sub(one.written));
        let taken = coming.fold(self.free_min, u64::saturating_add);
        if self.folder.free_bytes()? < offer.size.saturating_add(taken) {
            return Err(Trouble::Later("the server's disk has no room for it now".to_owned()));
        }
        uploads.insert(endpoint, Upload { offer: offer.clone(), written: 0, was_wrong: false });
        Ok(())
    }

    /// The endpoint is away: what it was sending is offered again when it comes back.
    pub(crate) fn gone(&self, endpoint: EndpointId) {
        self.uploads().remove(&endpoint);
    }

    async fn chunk(
        &self,
        endpoint: EndpointId,
        plan: PlanId,
        (offset, data): (u64, bytes::Bytes),
    ) -> Result<ArtifactAnswer, Trouble> {
        let upload = self.uploads().get(&endpoint).filter(|one| one.offer.plan == plan).cloned();
        let Some(mut upload) = upload else {
            return Err(Trouble::Later("it was not offered on this session".to_owned()));
        };
        let end = offset.saturating_add(u64::try_from(data.len()).unwrap_or(u64::MAX));
        if offset != upload.written || end > upload.offer.size || data.is_empty() {
            return Ok(ArtifactAnswer::Wanted { plan, offset: upload.written });
        }
        let path = self.folder.partial(plan);
        blocking(move || {
            let mut file = open(&path)?;
            file.seek(SeekFrom::Start(offset))?;
            file.write_all(&data)
        })
        .await?;
        upload.written = end;
        self.uploads().insert(endpoint, upload.clone());
        self.next(endpoint, upload).await
    }

    /// What follows what has been written.
    async fn next(
        &self,
        endpoint: EndpointId,
        mut upload: Upload,
    ) -> Result<ArtifactAnswer, Trouble> {
        let plan = upload.offer.plan;
        if upload.written < upload.offer.size {
            return Ok(ArtifactAnswer::Wanted { plan, offset: upload.written });
        }
        let (from, to) = (self.folder.partial(plan), self.folder.path(&upload.offer.sha256));
        let sha256 = upload.offer.sha256.clone();
        let changing = self.folder.0.changing.lock().await;
        if blocking(move || keep(&from, &to, &sha256)).await? {
            self.note(endpoint, &upload.offer).await?;
            drop(changing);
            self.uploads().remove(&endpoint);
            tracing::info!(%endpoint, %plan, size = upload.offer.size, "an artifact was stored");
            return Ok(ArtifactAnswer::Stored { plan });
        }
        if upload.was_wrong {
            return Err(Trouble::Refused("its hash is not what was offered, twice".to_owned()));
        }
        tracing::warn!(%endpoint, %plan, "an artifact came with another hash; it is asked for again");
        (upload.written, upload.was_wrong) = (0, true);
        self.uploads().insert(endpoint, upload);
        Ok(ArtifactAnswer::Wanted { plan, offset: 0 })
    }

    async fn note(&self, endpoint: EndpointId, offer: &Offer) -> Result<(), Trouble> {
        let meta = serde_json::from_str(&offer.meta).unwrap_or_default();
        let record = ArtifactRecord {
            plan: offer.plan,
            endpoint,
            kind: offer.kind.clone(),
            name: offer.name.clone(),
            size: offer.size,
            sha256: offer.sha256.clone(),
            taken: offer.taken,
            stored: now(),
            meta,
        };
        Ok(self.catalog.store_artifact(&record).await?)
    }
}

fn open(path: &Path) -> io::Result<File> {
    File::options().create(true).truncate(false).write(true).mode(0o600).open(path)
}

/// Moves the whole file to its place when its hash is right; otherwise it is thrown away.
fn keep(from: &Path, to: &Path, sha256: &str) -> io::Result<bool> {
    let mut file = File::open(from)?;
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; BLOCK]);
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            count => hash.update(&buffer[..count]),
        }
    }
    if hex::encode(hash.finalize()) != sha256 {
        fs::remove_file(from)?;
        return Ok(false);
    }
    file.sync_all()?;
    if let Some(folder) = to.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        fs::rename(from, to)?;
        File::open(folder)?.sync_all()?;
    }
    Ok(true)
}

/// Runs file operations where they keep nobody waiting.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}
