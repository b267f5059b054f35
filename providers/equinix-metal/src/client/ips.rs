//! Elastic IPs: reservations of a project, and their assignments to devices.

use cloud_http::path;
use http::Method;
use serde::Serialize;
use serde_json::json;

use super::{IpAddress, MetalClient, MetalResult, Reservation, pages, timed};

/// Whether assignments are wanted in full, or as mere links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assignments {
    /// In full.
    Included,
    /// As mere links.
    Links,
}

/// What to reserve.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ReservationRequest {
    /// `public_ipv4`, `private_ipv4`, `global_ipv4` or `public_ipv6`.
    #[serde(rename = "type")]
    pub kind: String,
    /// How many addresses: a power of two.
    pub quantity: u32,
    /// Where; exactly one of this and the next, or neither for a global address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metro: Option<String>,
    /// Where, the old way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub facility: Option<String>,
    /// Whether to fail when a person would have to approve it.
    pub fail_on_approval_required: bool,
    /// For people.
    pub details: String,
    /// What it is found again by.
    pub tags: Vec<String>,
}

impl MetalClient {
    /// All reservations of the project, those of VRFs among them. Who wants assignments gets what there is now; others share
    /// a list of the last seconds, brought up to date with what this client did.
    pub async fn reservations(&self, assignments: Assignments) -> MetalResult<Vec<Reservation>> {
        const OPERATION: &str = "list ip reservations";
        let path = path(&["projects", &self.0.project, "ips"]);
        let ask = async |query: &[_]| {
            let call = pages::all(&self.0.api, OPERATION, &path, query);
            timed(&self.0.meter, OPERATION, call).await
        };
        match assignments {
            Assignments::Included => ask(&[("include", "assignments")]).await,
            Assignments::Links => self.0.lately.get(ask(&[])).await,
        }
    }

    /// One reservation, its assignments in full.
    pub async fn reservation(&self, id: &str) -> MetalResult<Reservation> {
        const OPERATION: &str = "read ip reservation";
        let call = self
            .0
            .api
            .call(OPERATION, Method::GET, path(&["ips", id]))
            .query("include", "assignments");
        timed(&self.0.meter, OPERATION, call.json()).await
    }

    /// Reserves. Not repeated once it may have taken effect: look for the tags before trying again.
    pub async fn reserve(&self, request: &ReservationRequest) -> MetalResult<Reservation> {
        const OPERATION: &str = "reserve ip";
        let path = path(&["projects", &self.0.project, "ips"]);
        let call = self
            .0
            .api
            .call(OPERATION, Method::POST, path)
            .body(request)
            .leave_waiting();
        let made = timed(&self.0.meter, OPERATION, call.json()).await?;
        self.0.lately.reserved(&made);
        Ok(made)
    }

    /// Releases a reservation. That it is gone already is success.
    pub async fn release(&self, id: &str) -> MetalResult<()> {
        self.remove("release ip reservation", path(&["ips", id])).await?;
        self.0.lately.released(id);
        Ok(())
    }

    /// Puts an address of the project's reservations on a device. It must be on none.
    pub async fn assign(&self, device: &str, address: &str) -> MetalResult<IpAddress> {
        const OPERATION: &str = "assign ip";
        let call = self
            .0
            .api
            .call(OPERATION, Method::POST, path(&["devices", device, "ips"]))
            .body(&json!({ "address": address }));
        timed(&self.0.meter, OPERATION, call.json()).await
    }

    /// Takes an address off its device. That it is off already is success.
    pub async fn unassign(&self, assignment: &str) -> MetalResult<()> {
        self.remove("unassign ip", path(&["ips", assignment])).await
    }

    /// Deletes, and takes what is gone already for deleted.
    async fn remove(&self, operation: &'static str, path: String) -> MetalResult<()> {
        let call = self.0.api.call(operation, Method::DELETE, path);
        let call = async {
            match call.send().await {
                Err(error) if !error.is_not_found() => Err(error),
                _ => Ok(()),
            }
        };
        timed(&self.0.meter, operation, call).await
    }
}
