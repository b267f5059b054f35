//! A cluster's way into the user's kubeconfig and out again. Tools never write there: what they give out is put right here
//! and merged under client-go's lock.

mod leads;

use std::fs::DirBuilder;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kit::{Class, Clock};
use kube_kit::kubeconfig::{self, Access, Cluster, FileError, Kubeconfig, LockError, User};

use crate::driver::EntryNames;
use crate::error::Error;
use crate::host::{Host, Merge};
pub(crate) use leads::leads_elsewhere;
use leads::{Entries, Touched};

/// One cluster's kubeconfig, with the documented names, an address that can be dialled, and no references to files.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    names: EntryNames,
    pub(crate) access: Access,
}

fn bad(message: impl Into<String>) -> Error {
    Error::Kubeconfig {
        message: message.into(),
        class: Class::Permanent,
        advice: None,
    }
}

impl Entry {
    /// Puts right what a tool gave out: logs and document markers before it, names, the address 0.0.0.0, and certificates
    /// that are files of the tool.
    pub(crate) fn read(text: &str, names: EntryNames) -> Result<Self, Error> {
        let start = text.find("apiVersion:").or_else(|| text.find('{')).unwrap_or(0);
        let parsed =
            Kubeconfig::parse(&text[start..]).map_err(|error| bad(format!("what the tool gave out: {error}")))?;
        let contexts = parsed.contexts();
        let context = match contexts.as_slice() {
            [only] => *only,
            several => *several
                .iter()
                .find(|name| **name == names.context)
                .ok_or_else(|| bad(format!("what the tool gave out has {} contexts", several.len())))?,
        };
        let mut access = parsed
            .access(Some(context), Path::new("/"))
            .map_err(|error| bad(kit::chain(&error)))?;
        access.server = leads::dialled(&access.server);
        Ok(Self { names, access })
    }

    /// Reads our own file of a cluster; `None` when there is none that can be read.
    pub(crate) fn load(host: &Host, names: EntryNames) -> Option<Self> {
        let text = std::fs::read_to_string(host.own_kubeconfig(&names.context)).ok()?;
        Self::read(&text, names).ok()
    }

    fn put(&self, config: &mut Kubeconfig) -> Result<(), Error> {
        let encode = |pem: &Vec<u8>| STANDARD.encode(pem);
        let cluster = Cluster {
            server: self.access.server.clone(),
            certificate_authority_data: self.access.ca.as_ref().map(encode),
            insecure_skip_tls_verify: self.access.insecure,
        };
        let access = &self.access;
        let user = match (&access.token, &access.client_certificate, &access.client_key) {
            (_, Some(certificate), Some(key)) => User::Certificate {
                certificate_data: encode(certificate),
                key_data: STANDARD.encode(secrecy::ExposeSecret::expose_secret(key)).into(),
            },
            (Some(token), ..) => User::Token(token.clone()),
            _ => {
                return Err(bad(
                    "what the tool gave out has neither a token nor a client certificate",
                ));
            }
        };
        config.set_cluster(&self.names.cluster, &cluster);
        config.set_user(&self.names.user, &user);
        config.set_context(&self.names.context, &self.names.cluster, &self.names.user);
        Ok(())
    }

    /// A kubeconfig with this cluster alone.
    pub(crate) fn to_yaml(&self) -> Result<String, Error> {
        let mut config = Kubeconfig::default();
        self.put(&mut config)?;
        config.set_current_context(Some(&self.names.context));
        Ok(config.to_yaml())
    }

    /// Writes our own file of this cluster, unless it says the same already.
    pub(crate) fn save(&self, host: &Host) -> Result<PathBuf, Error> {
        let path = host.own_kubeconfig(&self.names.context);
        let text = self.to_yaml()?;
        if std::fs::read_to_string(&path).is_ok_and(|have| have == text) {
            return Ok(path);
        }
        let dir = path.parent().map(PathBuf::from).unwrap_or_default();
        kit::fs::create_private_dir(&dir).map_err(Error::files("create", dir))?;
        kit::fs::write_private(&path, text.as_bytes()).map_err(Error::files("write", &path))?;
        Ok(path)
    }

    /// Merges it into the user's kubeconfig: into the file that has the context already, else into the one kubectl would
    /// write to.
    pub(crate) async fn merge(&self, host: &Host) -> Result<(), Error> {
        if host.merge == Merge::Never {
            return Ok(());
        }
        let has_it = |path: &&PathBuf| {
            kubeconfig::load(path).is_ok_and(|config| config.contexts().contains(&self.names.context.as_str()))
        };
        let listed = files(host);
        let path = listed
            .iter()
            .find(has_it)
            .cloned()
            .or_else(|| kubeconfig::default_file(host.var("KUBECONFIG"), Some(&host.home)))
            .ok_or_else(|| bad("there is neither KUBECONFIG nor a home directory"))?;
        let current = listed
            .iter()
            .any(|path| kubeconfig::load(path).is_ok_and(|c| c.current_context().is_some()));
        refuse_read_only(&path)?;
        let edited = edit(&path, |config| {
            self.put(config)?;
            if host.merge == Merge::Switch || !current {
                config.set_current_context(Some(&self.names.context));
            }
            Ok(())
        });
        edited.await?
    }
}

/// Fails when merging would change something that is not this cluster's: a context of its name, or one that uses a cluster or
/// user of its names, that leads neither to one of the addresses known to be this cluster's, nor to one that only a cluster
/// nearby has. A tool's own earlier entries are of the latter kind.
pub(crate) fn refuse_foreign(host: &Host, names: &EntryNames, known: &[&str]) -> Result<(), Error> {
    if host.merge == Merge::Never {
        return Ok(());
    }
    let entries = Entries::of(host);
    let foreign = |server: &str| !known.contains(&server) && !entries.is_nearby(names, server);
    let refused = |what: String, advice: &str| {
        Err(Error::Kubeconfig {
            message: format!("{what}, which is not this cluster"),
            class: Class::Conflict,
            advice: Some(format!(
                "choose another profile name, {advice}, or leave the file alone with --no-merge"
            )),
        })
    };
    if let Some(Touched { context, server, .. }) = entries.touched(names).find(|one| foreign(&one.server)) {
        let place = place_of(host, context);
        if context == names.context {
            return refused(
                format!("the context {context} of {place} leads to {server}"),
                "rename that context",
            );
        }
        let (cluster, user) = (&names.cluster, &names.user);
        let what = if cluster == user {
            format!("an entry named {cluster}")
        } else {
            format!("the cluster {cluster} or the user {user}")
        };
        return refused(
            format!("the context {context} of {place} uses {what} and leads to {server}"),
            "rename that entry",
        );
    }
    match entries.address(&names.cluster).filter(|server| foreign(server)) {
        Some(server) => refused(
            format!("the kubeconfig has a cluster {} that is {server}", names.cluster),
            "rename that entry",
        ),
        None => Ok(()),
    }
}

/// The file that has a context, for messages.
fn place_of(host: &Host, context: &str) -> String {
    let has_it = |path: &PathBuf| kubeconfig::load(path).is_ok_and(|config| config.contexts().contains(&context));
    let path = files(host).into_iter().find(has_it);
    path.map_or_else(|| "the kubeconfig".to_owned(), |path| path.display().to_string())
}

/// Removes a cluster's entries from every file of the list, where they are ours: their server is one of `endpoints`. An
/// entry that a context of another cluster uses stays. Returns what was left alone, for warnings.
pub(crate) async fn remove(host: &Host, names: &EntryNames, endpoints: &[String]) -> Result<Vec<String>, Error> {
    let mut left = Vec::new();
    let entries = Entries::of(host);
    let elsewhere = |server: &String| !endpoints.contains(server);
    let server = entries.server(&names.context);
    let ours = server.as_ref().is_some_and(|server| !elsewhere(server));
    let cluster_stays = entries.address(&names.cluster).is_some_and(|server| elsewhere(&server));
    let mut others = entries.touched(names).filter(|one| one.has_our_user);
    let user_of = others.find(|one| elsewhere(&one.server));
    for path in files(host) {
        // A file that is not there, or is not ours to understand, has nothing of ours.
        let Ok(config) = kubeconfig::load(&path) else { continue };
        if !ours {
            if config.contexts().contains(&names.context.as_str()) {
                left.push(why_left(names, &path, server.as_deref(), endpoints));
            }
            continue;
        }
        let take_out = |config: &mut Kubeconfig| leads::take_out(config, names, cluster_stays, user_of.is_some());
        let mut without = config.clone();
        take_out(&mut without);
        if without != config {
            refuse_read_only(&path)?;
            edit(&path, take_out).await?;
        }
    }
    if let Some(Touched { context, server, .. }) = &user_of {
        left.push(format!(
            "the user {} is used by the context {context}, which leads to {server}, and was left there",
            names.user
        ));
    }
    let own = host.own_kubeconfig(&names.context);
    for path in [own, host.scratch(&names.context)] {
        let _ = std::fs::remove_file(path);
    }
    Ok(left)
}

fn why_left(names: &EntryNames, path: &Path, server: Option<&str>, endpoints: &[String]) -> String {
    let (context, path) = (&names.context, path.display());
    match server {
        None => format!("{context} of {path} is incomplete and was left there"),
        Some(server) if endpoints.is_empty() => {
            format!(
                "{context} of {path} leads to {server}, which could not be told to be this cluster, and was left there"
            )
        }
        Some(server) => format!("{context} of {path} leads to {server}, not to this cluster, and was left there"),
    }
}

/// Whether the user's kubeconfig has the context: any file of the list.
pub fn has_context(host: &Host, context: &str) -> bool {
    files(host)
        .iter()
        .any(|path| kubeconfig::load(path).is_ok_and(|config| config.contexts().contains(&context)))
}

/// The files kubectl reads: the list in `KUBECONFIG` without empty and repeated elements, else `.kube/config` at home.
pub(crate) fn files(host: &Host) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = Vec::new();
    for path in host.var("KUBECONFIG").map(std::env::split_paths).into_iter().flatten() {
        if !path.as_os_str().is_empty() && !files.contains(&path) {
            files.push(path);
        }
    }
    if files.is_empty() {
        files.push(host.home.join(".kube/config"));
    }
    files
}

/// A file is replaced, not written into, so its own mode would not stop us: its owner meant it, though.
fn refuse_read_only(path: &Path) -> Result<(), Error> {
    match path.metadata() {
        Ok(data) if data.permissions().mode() & 0o200 == 0 => Err(Error::Kubeconfig {
            message: format!("{} is read-only", path.display()),
            class: Class::Unauthorized,
            advice: Some(format!(
                "chmod u+w {}, or leave it alone with --no-merge",
                path.display()
            )),
        }),
        _ => Ok(()),
    }
}

/// How long another program may hold the lock: it only rewrites a small file.
const PATIENCE: Duration = Duration::from_secs(10);
/// A lock this old was left behind.
const OLD: Duration = Duration::from_mins(1);
const UNAFFECTED: &str = "the cluster itself is not affected; nothing in the file was changed";

/// Changes a file under its lock. Its directory is made when it is missing, as kubectl makes it.
async fn edit<T>(path: &Path, change: impl FnOnce(&mut Kubeconfig) -> T) -> Result<T, Error> {
    if let Some(dir) = path.parent() {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o755);
        builder.create(dir).map_err(Error::files("create", dir))?;
    }
    let clock = Clock::system();
    // While it waits for the lock nothing is begun, and afterwards it does not wait: cut short, it did nothing.
    match tokio::time::timeout(PATIENCE, kubeconfig::edit(path, &clock, change)).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(FileError::Lock(LockError::Held { .. }))) | Err(_) => Err(locked(path)),
        Ok(Err(error)) => Err(Error::Kubeconfig {
            message: kit::chain(&error),
            class: Class::Permanent,
            advice: Some(UNAFFECTED.to_owned()),
        }),
    }
}

fn locked(path: &Path) -> Error {
    let mut lock = path.as_os_str().to_owned();
    lock.push(".lock");
    let lock = PathBuf::from(lock);
    let made = lock.metadata().and_then(|data| data.modified()).ok();
    let age = made.and_then(|made| SystemTime::now().duration_since(made).ok());
    let since = age.filter(|age| *age > OLD).map_or_else(String::new, |age| {
        let age = Duration::from_secs(age.as_secs());
        format!(", for {}", kit::go_duration::format(age))
    });
    Error::KubeconfigLocked {
        message: format!(
            "another program holds {}{since}, and did not let go of it within {}",
            lock.display(),
            kit::go_duration::format(PATIENCE)
        ),
        advice: format!(
            "{UNAFFECTED}; if no other program is writing to it, rm {}",
            lock.display()
        ),
    }
}

/// The names of all contexts in the files kubectl reads.
pub(crate) fn contexts(host: &Host) -> Vec<String> {
    let mut names: Vec<String> = files(host)
        .iter()
        .filter_map(|path| kubeconfig::load(path).ok())
        .flat_map(|config| config.contexts().into_iter().map(ToOwned::to_owned).collect::<Vec<_>>())
        .collect();
    names.dedup();
    names
}

#[cfg(test)]
mod tests;
