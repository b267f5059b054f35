//! `networks/v1`.

use cloud_http::path;
use http::Method;
use serde_json::json;

use super::{PnapClient, PnapError, PnapResult, PrivateNetwork, PublicNetwork};

/// How a block is removed from a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// Only if no member has an address of it.
    Unused,
    /// In any case.
    Forced,
}

impl PnapClient {
    /// The public networks of the account.
    pub async fn public_networks(&self) -> PnapResult<Vec<PublicNetwork>> {
        let path = path(&["networks", "v1", "public-networks"]);
        self.call("list public networks", Method::GET, path).list().await
    }

    /// One public network. [`PnapError::is_missing`] when it is not there, or may not be seen.
    pub async fn public_network(&self, id: &str) -> PnapResult<PublicNetwork> {
        const OPERATION: &str = "get public network";
        let path = path(&["networks", "v1", "public-networks", id]);
        let network: PublicNetwork = self.call(OPERATION, Method::GET, path).json().await?;
        if network.id != id {
            let text = format!("asked for public network {id:?}, the answer is about {:?}", network.id);
            return Err(PnapError::unexpected(OPERATION, text));
        }
        Ok(network)
    }

    /// Begins to add a block to a network: accepted, not done. A conflict says that one of them is not in a state for it,
    /// or that it was asked for already: look at the block.
    pub async fn add_block_to_network(&self, network: &str, block: &str) -> PnapResult<()> {
        let path = path(&["networks", "v1", "public-networks", network, "ip-blocks"]);
        let call = self.call("add IP block to public network", Method::POST, path);
        call.with(|call| call.body(&json!({"id": block}))).send().await?;
        Ok(())
    }

    /// Begins to remove a block from a network: accepted, not done.
    pub async fn remove_block_from_network(&self, network: &str, block: &str, how: Removal) -> PnapResult<()> {
        let path = path(&["networks", "v1", "public-networks", network, "ip-blocks", block]);
        let call = self.call("remove IP block from public network", Method::DELETE, path);
        let call = call.with(|call| match how {
            Removal::Unused => call,
            Removal::Forced => call.query("force", "true"),
        });
        call.send().await?;
        Ok(())
    }

    /// The private networks of the account.
    pub async fn private_networks(&self) -> PnapResult<Vec<PrivateNetwork>> {
        let path = path(&["networks", "v1", "private-networks"]);
        self.call("list private networks", Method::GET, path).list().await
    }
}
