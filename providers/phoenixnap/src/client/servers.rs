//! `bmc/v1/servers`.

use cloud_http::path;
use http::Method;

use super::{PnapClient, PnapError, PnapResult, Server};

impl PnapClient {
    /// All servers of the account. There are no pages. What has no id is left out.
    pub async fn servers(&self) -> PnapResult<Vec<Server>> {
        let call = self.call("list servers", Method::GET, path(&["bmc", "v1", "servers"]));
        let mut servers: Vec<Server> = call.list().await?;
        servers.retain(|server| !server.id.is_empty());
        Ok(servers)
    }

    /// One server. [`PnapError::is_missing`] when it is not there, or may not be seen.
    pub async fn server(&self, id: &str) -> PnapResult<Server> {
        const OPERATION: &str = "get server";
        let call = self.call(OPERATION, Method::GET, path(&["bmc", "v1", "servers", id]));
        let server: Server = call.json().await?;
        if server.id != id {
            let text = format!("asked for server {id:?}, the answer is about {:?}", server.id);
            return Err(PnapError::unexpected(OPERATION, text));
        }
        Ok(server)
    }
}
