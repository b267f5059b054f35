//! `tag-manager/v1/tags`.

use cloud_http::path;
use http::Method;
use serde_json::json;

use super::{PnapClient, PnapResult, Tag};

impl PnapClient {
    /// All tags of the account.
    pub async fn tags(&self) -> PnapResult<Vec<Tag>> {
        let call = self.call("list tags", Method::GET, path(&["tag-manager", "v1", "tags"]));
        call.list().await
    }

    /// Makes a tag, unless there is one of this name: another cluster of the account may have been quicker.
    pub async fn create_tag(&self, name: &str) -> PnapResult<()> {
        let call = self.call("create tag", Method::POST, path(&["tag-manager", "v1", "tags"]));
        let body = json!({"name": name, "isBillingTag": false});
        // A second one of the same name is refused, so that asking again does no harm.
        match call.with(|call| call.body(&body).repeatable()).send().await {
            Err(error) if error.is_conflict() => Ok(()),
            result => result.map(|_| ()),
        }
    }
}
