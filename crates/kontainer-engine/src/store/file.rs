//! Records as files, laid out as by the Go program.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kit::{Backoff, Clock};
use kube_kit::kubeconfig::{self, Kubeconfig, User};

use super::{Claim, PersistentStore, StoreError};
use crate::record::Cluster;

/// How long to wait for another process that is at work on the same cluster, before saying so.
const PATIENCE: Duration = Duration::from_secs(3);

/// Records below one directory:
///
/// | path | content |
/// |---|---|
/// | `kubeconfig` | an entry per cluster |
/// | `clusters/NAME/config.json` | the record |
/// | `clusters/NAME/ca.pem`, `cert.pem`, `key.pem` | certificates and key, those there are |
/// | `locks/NAME.lock` | locked (`flock`) while a process works on the cluster |
///
/// Mirrors rancher/kontainer-engine `store/clistore.go`. Differs from upstream: files are private and replaced in one step,
/// kubeconfig entries are replaced and not only added, what others put there stays.
#[derive(Clone, Debug)]
pub struct FileStore {
    root: PathBuf,
    clock: Clock,
}

impl FileStore {
    /// Records below `root`, which is made when the first one is written.
    pub fn new(root: impl Into<PathBuf>, clock: Clock) -> Self {
        Self {
            root: root.into(),
            clock,
        }
    }

    /// Records where the Go program keeps them: `.kontainer` in a home directory.
    pub fn in_home(home: &Path, clock: Clock) -> Self {
        Self::new(home.join(".kontainer"), clock)
    }

    /// The kubeconfig with the clusters' entries.
    pub fn kubeconfig(&self) -> PathBuf {
        self.root.join("kubeconfig")
    }

    /// Makes a cluster the kubeconfig's current context.
    pub async fn set_current(&self, name: &str) -> Result<(), StoreError> {
        let path = self.kubeconfig();
        let edited = kubeconfig::edit(&path, &self.clock, |config| config.set_current_context(Some(name)));
        Ok(edited.await?)
    }

    /// The directory of a cluster.
    fn dir(&self, name: &str) -> Result<PathBuf, StoreError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let fine =
            name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(allowed) && name.len() < 254;
        if !fine {
            return Err(StoreError::Name(name.to_owned()));
        }
        Ok(self.root.join("clusters").join(name))
    }
}

fn read(path: &Path) -> Result<Option<Cluster>, StoreError> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(source) if source.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => {
            let path = path.to_path_buf();
            return Err(StoreError::Read { path, source });
        }
    };
    serde_json::from_slice(&text)
        .map(Some)
        .map_err(|error| StoreError::Parse {
            path: path.to_path_buf(),
            line: error.line(),
            column: error.column(),
        })
}

fn writing(path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_path_buf();
    move |source| StoreError::Write { path, source }
}

fn write_pem(path: &Path, encoded: &str, what: &'static str, name: &str) -> Result<(), StoreError> {
    if encoded.is_empty() {
        return match fs::remove_file(path) {
            Err(source) if source.kind() != ErrorKind::NotFound => Err(writing(path)(source)),
            _ => Ok(()),
        };
    }
    let packed: String = encoded.split_ascii_whitespace().collect();
    let pem = STANDARD.decode(packed).map_err(|_| StoreError::Pem {
        what,
        name: name.to_owned(),
    })?;
    kit::fs::write_private(path, &pem).map_err(writing(path))
}

fn set_entries(config: &mut Kubeconfig, cluster: &Cluster) {
    let name = &cluster.name;
    let ca = (!cluster.root_ca_cert.is_empty()).then(|| cluster.root_ca_cert.clone());
    config.set_cluster(
        name,
        &kubeconfig::Cluster {
            server: cluster.server(),
            certificate_authority_data: ca,
            insecure_skip_tls_verify: false,
        },
    );
    let user = if !cluster.username.is_empty() && !cluster.password.is_empty() {
        User::Basic {
            username: cluster.username.clone(),
            password: cluster.password.clone().into(),
        }
    } else if cluster.service_account_token.is_empty() && !cluster.client_key.is_empty() {
        User::Certificate {
            certificate_data: cluster.client_certificate.clone(),
            key_data: cluster.client_key.clone().into(),
        }
    } else {
        User::Token(cluster.service_account_token.clone().into())
    };
    config.set_user(name, &user);
    config.set_context(name, name, name);
}

#[async_trait]
impl PersistentStore for FileStore {
    async fn get(&self, name: &str) -> Result<Option<Cluster>, StoreError> {
        let path = self.dir(name)?.join("config.json");
        Ok(read(&path)?.map(|cluster| named(cluster, name)))
    }

    async fn save(&self, cluster: &Cluster) -> Result<(), StoreError> {
        let dir = self.dir(&cluster.name)?;
        kit::fs::create_private_dir(&dir).map_err(writing(&dir))?;
        let path = dir.join("config.json");
        // Only a driver's path that is not Unicode does not go into JSON.
        let text = serde_json::to_vec(cluster)
            .map_err(io::Error::other)
            .map_err(writing(&path))?;
        kit::fs::write_private(&path, &text).map_err(writing(&path))
    }

    async fn publish(&self, cluster: &Cluster) -> Result<(), StoreError> {
        // The record first: it can not be made again, all else can be made from it.
        self.save(cluster).await?;
        let (dir, name) = (self.dir(&cluster.name)?, &cluster.name);
        write_pem(&dir.join("ca.pem"), &cluster.root_ca_cert, "CA certificate", name)?;
        write_pem(
            &dir.join("cert.pem"),
            &cluster.client_certificate,
            "client certificate",
            name,
        )?;
        write_pem(&dir.join("key.pem"), &cluster.client_key, "client key", name)?;
        let path = self.kubeconfig();
        let edited = kubeconfig::edit(&path, &self.clock, |config| set_entries(config, cluster));
        Ok(edited.await?)
    }

    async fn remove(&self, name: &str) -> Result<(), StoreError> {
        let dir = self.dir(name)?;
        if self.kubeconfig().exists() {
            kubeconfig::edit(&self.kubeconfig(), &self.clock, |config| config.remove(name)).await?;
        }
        match fs::remove_dir_all(&dir) {
            Err(source) if source.kind() != ErrorKind::NotFound => Err(writing(&dir)(source)),
            _ => Ok(()),
        }
    }

    async fn list(&self) -> Result<(Vec<Cluster>, Vec<StoreError>), StoreError> {
        let root = self.root.join("clusters");
        let entries = match fs::read_dir(&root) {
            Ok(entries) => entries,
            Err(source) if source.kind() == ErrorKind::NotFound => return Ok((Vec::new(), Vec::new())),
            Err(source) => return Err(StoreError::Read { path: root, source }),
        };
        let (mut clusters, mut damaged) = (Vec::new(), Vec::new());
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with('.') {
                continue;
            }
            match read(&entry.path().join("config.json")) {
                Ok(Some(cluster)) => clusters.push(named(cluster, &name)),
                Ok(None) => {}
                // A file that lies among the directories is not a cluster.
                Err(StoreError::Read { source, .. }) if source.kind() == ErrorKind::NotADirectory => {}
                Err(error) => damaged.push(error),
            }
        }
        clusters.sort_by(|a, b| a.name.cmp(&b.name));
        Ok((clusters, damaged))
    }

    async fn claim(&self, name: &str) -> Result<Box<dyn Claim>, StoreError> {
        self.dir(name)?;
        let dir = self.root.join("locks");
        kit::fs::create_private_dir(&dir).map_err(writing(&dir))?;
        let path = dir.join(format!("{name}.lock"));
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path);
        let file = file.map_err(writing(&path))?;
        let begun = self.clock.now();
        let mut waits = Backoff::new(Duration::from_millis(20), Duration::from_millis(300)).jitter(0.2);
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Box::new(FileClaim { _file: file })),
                Err(TryLockError::Error(source)) => return Err(writing(&path)(source)),
                Err(TryLockError::WouldBlock) if self.clock.since(begun) >= PATIENCE => {
                    return Err(StoreError::Busy(name.to_owned()));
                }
                Err(TryLockError::WouldBlock) => self.clock.sleep(waits.next().unwrap_or(PATIENCE)).await,
            }
        }
    }
}

/// The directory's name counts: it is what commands look under.
fn named(cluster: Cluster, name: &str) -> Cluster {
    Cluster {
        name: name.to_owned(),
        ..cluster
    }
}

/// The lock goes when the file is closed, also when the process dies. The empty file stays, so that nobody locks a file
/// that somebody else is deleting.
struct FileClaim {
    _file: File,
}

impl Claim for FileClaim {}
