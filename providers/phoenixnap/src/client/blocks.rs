//! `ips/v1/ip-blocks`.

use cloud_http::path;
use http::Method;
use serde::Serialize;

use super::{IpBlock, PnapClient, PnapError, PnapResult, TagValue};

/// An IP block to be bought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IpBlockRequest {
    /// Where.
    pub location: String,
    /// How large, with its slash: `/29`.
    pub cidr_block_size: String,
    /// What people read about it; at most 250 characters.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// What it bears from its first moment. Tags must exist.
    pub tags: Vec<TagValue>,
}

fn blocks() -> String {
    path(&["ips", "v1", "ip-blocks"])
}

fn block(id: &str) -> String {
    path(&["ips", "v1", "ip-blocks", id])
}

fn of(operation: &'static str, id: &str, block: IpBlock) -> PnapResult<IpBlock> {
    if block.id == id {
        return Ok(block);
    }
    let text = format!("asked for IP block {id:?}, the answer is about {:?}", block.id);
    Err(PnapError::unexpected(operation, text))
}

impl PnapClient {
    /// The blocks that bear all of these tags with their values. The API filters, and so does this: whether it takes
    /// several as all or as any is nowhere said.
    pub async fn ip_blocks(&self, tags: &[TagValue]) -> PnapResult<Vec<IpBlock>> {
        let call = self.call("list IP blocks", Method::GET, blocks()).with(|call| {
            tags.iter().fold(call, |call, tag| {
                let value = tag.value.as_ref().map(|value| format!(".{value}")).unwrap_or_default();
                call.query("tag", format!("{}{value}", tag.name))
            })
        });
        let mut listed: Vec<IpBlock> = call.list().await?;
        listed.retain(|block| !block.id.is_empty() && block.bears(tags));
        Ok(listed)
    }

    /// One block. [`PnapError::is_missing`] when it is not there, or may not be seen.
    pub async fn ip_block(&self, id: &str) -> PnapResult<IpBlock> {
        const OPERATION: &str = "get IP block";
        let read = self.call(OPERATION, Method::GET, block(id)).json().await?;
        of(OPERATION, id, read)
    }

    /// Buys a block. After an error that [`PnapError::is_ambiguous`], look for it by its tags before buying another.
    pub async fn create_ip_block(&self, request: &IpBlockRequest) -> PnapResult<IpBlock> {
        const OPERATION: &str = "create IP block";
        let call = self.call(OPERATION, Method::POST, blocks());
        let made: IpBlock = call.with(|call| call.body(request)).json().await?;
        if made.id.is_empty() {
            return Err(PnapError::unexpected(OPERATION, "the new block has no id"));
        }
        Ok(made)
    }

    /// Gives a block back. It must be unassigned.
    pub async fn delete_ip_block(&self, id: &str) -> PnapResult<()> {
        self.call("delete IP block", Method::DELETE, block(id)).send().await?;
        Ok(())
    }

    /// Makes these the tags of a block; it loses all others.
    pub async fn tag_ip_block(&self, id: &str, tags: &[TagValue]) -> PnapResult<IpBlock> {
        const OPERATION: &str = "tag IP block";
        let call = self.call(OPERATION, Method::PUT, path(&["ips", "v1", "ip-blocks", id, "tags"]));
        of(OPERATION, id, call.with(|call| call.body(&tags)).json().await?)
    }
}
