//! Putting the rooms together: from what was decided to a node that serves.

mod executor;
mod membership;
mod plaintext;
mod public;
mod reload;
mod scheduler;
mod standalone;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use anyhow::Context;
use cluster_proto::NodeId;
use cluster_tls::tonic::NodeTransport;
use cluster_tls::{AcceptLimits, DialLimits};
use prometheus_client::registry::Registry;
use public_api::NodeRole;
use spice_runtime::{
    CurrentRuntime, KubernetesApi, LocalSecrets, RuntimeOptions, RuntimeWriter, publish,
};
use spicepod::App;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::audit::Sink;
use crate::config::{Decided, InternalConfig, NodeConfig, RoleConfig, SecurityConfig};
use crate::faults::{Faults, chain};
use crate::info::{OwnInfo, Protection};
use crate::listeners::{self, Listeners, local_address};
use crate::manifest::{Adoption, InCluster, Manifest, ManifestWatch, Opening};
use crate::material::{self, Identity, Material};
use crate::metrics::Metrics;
use crate::observers::Observer;
use crate::shutdown::{Ended, Signals, until_stopped};
use crate::work_dir::private_directory;
use membership::StateSettings;

/// What every role is served with.
struct Node {
    metrics: Metrics,
    registry: Arc<Registry>,
    observer: Arc<Observer>,
    listeners: Listeners,
    runtime: RuntimeOptions,
    secrets: LocalSecrets,
    shutdown: CancellationToken,
    started: Instant,
}

/// Starts the node that was decided and serves it until it is told to stop.
///
/// Files are read and ports bound before anything starts, so that a start either shows all of
/// its faults or happens.
pub(crate) async fn run(decided: Decided) -> Result<(), Faults> {
    let mut faults = decided.faults;
    let Some(config) = decided.config else {
        return Faults::check(faults);
    };
    let (config, read) = read_files(config).await?;
    faults.extend(read.faults);
    let listeners = listeners::bind(&config, &mut faults).await;
    Faults::check(faults)?;
    let signals = Signals::install().context("signals cannot be handled")?;
    let node = Node::new(&config, listeners, read.audit);
    let (shutdown, observer) = (node.shutdown.clone(), node.observer.clone());
    // Boxed: it holds what every role is made of.
    let serving = Box::pin(node.serve(config, read.material));
    let ended = until_stopped(signals, shutdown, serving).await;
    observer.audit().finish().await;
    match ended {
        Ended::Served(served) => Ok(served?),
        Ended::Forced => Err(Faults::one("stopped at once by a second signal")),
    }
}

/// What the files of a node's configuration hold.
struct FilesRead {
    material: Material,
    audit: Option<Sink>,
    faults: Vec<String>,
}

/// Reads files on a thread that may block (I10).
async fn read_files(config: NodeConfig) -> Result<(NodeConfig, FilesRead), Faults> {
    let read = tokio::task::spawn_blocking(move || {
        let mut faults = vec![];
        let material = material::read(&config, &mut faults);
        if let Err(error) = private_directory(&spill_directory(&config.data_dir)) {
            faults.push(chain(error.as_ref()));
        }
        let audit = Sink::open(&config.audit).unwrap_or_else(|error| {
            faults.push(chain(&error));
            None
        });
        let read = FilesRead {
            material,
            audit,
            faults,
        };
        (config, read)
    });
    Ok(read.await.context("reading files was interrupted")?)
}

fn runtime_options(data_dir: &Path) -> RuntimeOptions {
    RuntimeOptions {
        spill_directory: Some(spill_directory(data_dir)),
        ..RuntimeOptions::default()
    }
}

/// What operators spill holds rows of tables, so it gets a directory that only this user reads.
fn spill_directory(data_dir: &Path) -> PathBuf {
    data_dir.join("spill")
}

impl Node {
    fn new(config: &NodeConfig, listeners: Listeners, audit: Option<Sink>) -> Node {
        let (metrics, registry) = Metrics::new();
        Node {
            observer: Arc::new(Observer::new(metrics.clone(), audit)),
            metrics,
            registry: Arc::new(registry),
            listeners,
            runtime: runtime_options(&config.data_dir),
            secrets: LocalSecrets::new(KubernetesApi::of_this_pod()),
            shutdown: CancellationToken::new(),
            started: Instant::now(),
        }
    }

    async fn serve(self, config: NodeConfig, material: Material) -> anyhow::Result<()> {
        match config.role {
            RoleConfig::Standalone { .. } => {
                let (app, manifest) = material.app.context("the spicepod was not read")?;
                reload::take_hangups(&self)?;
                standalone::serve(self, app, manifest).await
            }
            RoleConfig::Scheduler { internal, .. } => {
                let (app, manifest) = material.app.context("the spicepod was not read")?;
                let internal = self.internal(&internal, material.identity)?;
                let state = StateSettings::of(&app, &self.secrets, &config.data_dir).await?;
                scheduler::serve(self, internal, (app, manifest), state).await
            }
            RoleConfig::Executor {
                internal,
                schedulers,
                task_slots,
            } => {
                let internal = self.internal(&internal, material.identity)?;
                let plan = executor::ExecutorPlan {
                    schedulers,
                    task_slots,
                    data_dir: config.data_dir,
                };
                executor::serve(self, plan, internal).await
            }
        }
    }

    /// The internal port's transport and the id that its address gives this node.
    fn internal(
        &self,
        config: &InternalConfig,
        identity: Option<Identity>,
    ) -> anyhow::Result<Internal> {
        let listener = self.listeners.internal.as_ref();
        let port = local_address(listener.context("the internal port is not bound")?)?.port();
        let node_id = NodeId::new(&config.advertise_host, port)?;
        let (transport, protection) = match &config.security {
            SecurityConfig::Mutual { .. } => {
                let identity = identity.context("the credentials were not read")?;
                let credentials = identity.credentials;
                self.observer.tell_identity(&credentials.current());
                reload::keep_up(self, identity.reloader)?;
                let transport = NodeTransport::mutual(
                    credentials.clone(),
                    AcceptLimits::default(),
                    DialLimits::default(),
                    self.observer.clone(),
                );
                let rejected = self.observer.rejected_files();
                let protection = Protection::Mutual {
                    credentials,
                    rejected,
                };
                (transport, protection)
            }
            SecurityConfig::Plaintext => {
                reload::take_hangups(self)?;
                let banner = plaintext::BANNER;
                (plaintext::transport(self), Protection::Plaintext { banner })
            }
        };
        Ok(Internal {
            node_id,
            transport,
            protection,
        })
    }

    /// What the node tells about itself; asked before its listeners are taken.
    fn info(&self, role: NodeRole, internal: Option<&Internal>) -> OwnInfo {
        OwnInfo {
            role,
            node_id: internal.map(|internal| internal.node_id.clone()),
            protection: internal.map_or(Protection::NoPort, |it| it.protection.clone()),
            listeners: self.listeners.bound(),
            started: self.started,
            scheduler: None,
            links: OnceLock::new(),
            tables: OnceLock::new(),
            rejected_manifest: self.observer.rejected_manifest(),
        }
    }

    /// Opens the application that this node starts with.
    async fn open(&self, app: &App) -> anyhow::Result<(RuntimeWriter, CurrentRuntime)> {
        let runtime = self.opening().open(app).await.map_err(described)?;
        self.observer.manifest_opened(app);
        Ok(publish(Arc::new(runtime)))
    }

    /// How this node opens an application, the first one and every later one.
    fn opening(&self) -> Opening {
        Opening {
            options: self.runtime.clone(),
            secrets: self.secrets.clone(),
        }
    }

    /// Keeps the application up to date with its spicepod, until the node stops.
    fn follow(
        &self,
        (app, manifest): (&App, Manifest),
        runtime: RuntimeWriter,
        cluster: Option<InCluster>,
    ) -> anyhow::Result<()> {
        let adoption = Adoption {
            opening: self.opening(),
            runtime,
            cluster,
        };
        let observer = self.observer.clone();
        let watch = ManifestWatch::new(manifest, app, adoption, observer);
        watch.start(self.shutdown.clone())
    }
}

/// How a cluster node is reached and reaches others.
struct Internal {
    node_id: NodeId,
    transport: NodeTransport,
    protection: Protection,
}

/// Takes a listener that was bound for this role.
fn take(listener: &mut Option<TcpListener>) -> anyhow::Result<TcpListener> {
    listener
        .take()
        .context("a listener of this role is not bound")
}

/// An error of a room, with its causes in one line.
fn described<E: std::error::Error + 'static>(error: E) -> anyhow::Error {
    anyhow::Error::msg(chain(&error))
}
