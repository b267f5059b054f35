//! Devices.

use cloud_http::path;
use http::Method;

use super::{Device, MetalClient, MetalResult, pages, timed};

impl MetalClient {
    /// All devices of the project, from pages of a thousand, one after the other as these come: not all of them need be
    /// there at the same time.
    pub async fn each_device(&self, take: impl FnMut(Device) + Send) -> MetalResult<()> {
        const OPERATION: &str = "list devices";
        let path = path(&["projects", &self.0.project, "devices"]);
        let call = pages::each(&self.0.api, OPERATION, &path, &[], take);
        timed(&self.0.meter, OPERATION, call).await
    }

    /// One device, of whatever project. [`super::MetalError::is_not_found`] says that there is none; that it is forbidden
    /// says nothing.
    pub async fn device(&self, id: &str) -> MetalResult<Device> {
        const OPERATION: &str = "read device";
        let call = self.0.api.call(OPERATION, Method::GET, path(&["devices", id]));
        timed(&self.0.meter, OPERATION, call.json()).await
    }

    /// One device with the blocks that its addresses were taken from.
    pub async fn device_with_blocks(&self, id: &str) -> MetalResult<Device> {
        const OPERATION: &str = "read device networks";
        let call = self
            .0
            .api
            .call(OPERATION, Method::GET, path(&["devices", id]))
            .query("include", "ip_addresses.parent_block,parent_block");
        timed(&self.0.meter, OPERATION, call.json()).await
    }

    /// All devices of the project with the blocks that their addresses were taken from, from pages of a thousand.
    pub async fn devices_with_blocks(&self) -> MetalResult<Vec<Device>> {
        const OPERATION: &str = "list device networks";
        let path = path(&["projects", &self.0.project, "devices"]);
        let include = [("include", "ip_addresses.parent_block,parent_block")];
        let call = pages::all(&self.0.api, OPERATION, &path, &include);
        timed(&self.0.meter, OPERATION, call).await
    }
}
