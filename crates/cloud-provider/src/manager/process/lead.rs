//! What a leader does: one watch per kind, the cloud, the controllers, and the way out.

use std::sync::{Arc, PoisonError};

use k8s_openapi::api::core::v1 as core;
use kube::Api;
use kube_kit::{Ended, Fence, LeaseConfig, ObjectRef, Store, Watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use super::{COMPONENT, Inner, ProcessError};
use crate::cloud::Context;
use crate::controllers::{Alarms, Shared, SharedSilence};
use crate::data::{Node, Service, Slim};
use crate::manager::clients::Purpose;
use crate::manager::group;
use crate::manager::health::Means;
use crate::manager::migration::Under;

impl Inner {
    /// Everything that a leader does, until `stop` is cancelled and it has wound up.
    pub(super) async fn lead(&self, fence: Fence, stop: CancellationToken) {
        if let Err(error) = self.try_lead(fence, &stop).await {
            *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        }
    }

    async fn try_lead(&self, fence: Fence, stop: &CancellationToken) -> Result<(), ProcessError> {
        // Ends what serves the controllers, after they have ended.
        let after = CancellationToken::new();
        let _ended = after.clone().drop_guard();
        let (nodes, services) = self.watch(&after).await?;
        let client = self.clients.make(Purpose::new(COMPONENT).behind(&fence)).await?;
        let (recorder, last_events) = self.events(&client);
        let (namespace, name) = &self.options.lease;
        let lease = ObjectRef::new("coordination.k8s.io/v1", "Lease", name).namespace(namespace);
        let alarms = Alarms::new(recorder.clone(), lease, self.clients.metrics());
        self.board.note(|seen| seen.alarms = Some(alarms.clone()));
        let shared = Shared {
            cloud: Arc::clone(&self.cloud),
            client: client.clone(),
            nodes,
            services,
            recorder,
            alarms,
            silence: SharedSilence::default(),
            metrics: self.clients.metrics().clone(),
            clock: self.clock.clone(),
            fence,
            cluster: self.options.cluster.clone(),
        };
        let tasks = TaskTracker::new();
        let context = Context {
            client,
            nodes: shared.nodes.clone(),
            services: shared.services.clone(),
            cluster: shared.cluster.clone(),
            recorder: shared.recorder.clone(),
            metrics: shared.metrics.clone(),
            clock: shared.clock.clone(),
            fence: shared.fence.clone(),
            stop: stop.clone(),
            tasks: tasks.clone(),
        };
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            done = self.cloud.initialize(&context) => done.map_err(ProcessError::Initialize)?,
        }
        let main = |name: &str| {
            self.options
                .migration
                .as_ref()
                .is_none_or(|migration| migration.place(name) == Under::Main)
        };
        // Whoever loses the second lease ends all of it: the process is to come back with both, or with neither.
        let both = stop.child_token();
        let here = group::run(
            &self.options,
            &shared,
            &self.checks,
            self.board.running(),
            main,
            both.clone(),
        );
        let elsewhere = async {
            let ended = self.lead_migrated(&shared, &both).await;
            if ended.is_err() {
                both.cancel();
            }
            ended
        };
        let ((), migrated) = tokio::join!(here, elsewhere);
        tasks.close();
        if tokio::time::timeout(self.options.grace, tasks.wait()).await.is_err() {
            warn!("the provider's tasks did not end in time");
        }
        // While the lease is still held: afterwards nothing is written.
        last_events.await;
        migrated
    }

    /// Runs the controllers that migrate, under their own lease.
    async fn lead_migrated(&self, shared: &Shared, stop: &CancellationToken) -> Result<(), ProcessError> {
        let (Some(migration), Some(main)) = (&self.options.migration, &self.options.election) else {
            return Ok(());
        };
        let fence = Fence::closed();
        let config = LeaseConfig {
            name: migration.lease.clone(),
            ..main.clone()
        };
        let (elector, last_events) = self.elector(config, &fence).await?;
        let client = self.clients.make(Purpose::new(COMPONENT).behind(&fence)).await?;
        let shared = Shared {
            client,
            fence,
            ..shared.clone()
        };
        let migrates = |name: &str| migration.place(name) == Under::Migrated;
        let work = |token| {
            group::run(
                &self.options,
                &shared,
                &self.checks,
                self.board.running(),
                migrates,
                token,
            )
        };
        let ended = elector.run(stop.clone(), work).await;
        last_events.await;
        if ended == Ended::Lost && !stop.is_cancelled() {
            Err(ProcessError::Lost)
        } else {
            Ok(())
        }
    }

    /// Starts one watch per kind, which end with `end`.
    async fn watch(&self, end: &CancellationToken) -> Result<(Store<Node>, Store<Service>), ProcessError> {
        let client = self.clients.make(Purpose::new("shared-informers")).await?;
        let (nodes, services) = (Store::new(), Store::new());
        let node_watch = Watch::new(
            Api::all(client.clone()),
            "nodes",
            nodes.clone(),
            |node: Slim<core::Node>| Node::cut(node.0),
        )
        .metrics(self.clients.metrics());
        let service_watch = Watch::new(
            Api::all(client),
            "services",
            services.clone(),
            |service: Slim<core::Service>| Service::cut(service.0),
        )
        .metrics(self.clients.metrics());
        let watches = vec![("nodes", node_watch.health()), ("services", service_watch.health())];
        for (kind, health) in &watches {
            let (kind, health, end) = (*kind, health.clone(), end.clone());
            self.checks.add(&format!("watch-{kind}"), Means::Stuck, move || {
                let stalled = !end.is_cancelled() && health.is_stalled();
                if stalled {
                    Err(format!("the watch of {kind} does not move any more"))
                } else {
                    Ok(())
                }
            });
        }
        let synced = (nodes.clone(), services.clone(), end.clone());
        self.checks.add("caches", Means::NotReady, move || {
            let ready = synced.2.is_cancelled() || (synced.0.is_synced() && synced.1.is_synced());
            if ready {
                Ok(())
            } else {
                Err("nodes and services are not read yet".to_owned())
            }
        });
        tokio::spawn(end.clone().run_until_cancelled_owned(node_watch.run()));
        tokio::spawn(end.clone().run_until_cancelled_owned(service_watch.run()));
        self.board.note(|seen| {
            (seen.nodes, seen.services, seen.watches) = (Some(nodes.clone()), Some(services.clone()), watches);
        });
        Ok((nodes, services))
    }
}
