//! The kinds of objects the Spot API has.

/// The API group of all of them.
pub(crate) const GROUP: &str = "ngpc.rxt.io";
/// The group and version, as objects name it.
pub(crate) const API_VERSION: &str = "ngpc.rxt.io/v1";
/// The label by which pools name their cloudspace.
pub(crate) const CLOUDSPACE_LABEL: &str = "ngpc.rxt.io/cloudspace";
/// Keeps an object until its servers are released. The real name is not known.
pub(crate) const FINALIZER: &str = "ngpc.rxt.io/finalizer";

/// A kind of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Resource {
    Region,
    ServerClass,
    CloudSpace,
    SpotNodePool,
    OnDemandNodePool,
}

impl Resource {
    pub(crate) fn from_plural(plural: &str) -> Option<Self> {
        [
            Self::Region,
            Self::ServerClass,
            Self::CloudSpace,
            Self::SpotNodePool,
            Self::OnDemandNodePool,
        ]
        .into_iter()
        .find(|resource| resource.plural() == plural)
    }

    /// As in paths.
    pub(crate) fn plural(self) -> &'static str {
        match self {
            Self::Region => "regions",
            Self::ServerClass => "serverclasses",
            Self::CloudSpace => "cloudspaces",
            Self::SpotNodePool => "spotnodepools",
            Self::OnDemandNodePool => "ondemandnodepools",
        }
    }

    /// As in objects.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::Region => "Region",
            Self::ServerClass => "ServerClass",
            Self::CloudSpace => "CloudSpace",
            Self::SpotNodePool => "SpotNodePool",
            Self::OnDemandNodePool => "OnDemandNodePool",
        }
    }

    pub(crate) fn namespaced(self) -> bool {
        !matches!(self, Self::Region | Self::ServerClass)
    }

    pub(crate) fn is_pool(self) -> bool {
        matches!(self, Self::SpotNodePool | Self::OnDemandNodePool)
    }

    /// The name of the webhook that judges it.
    pub(crate) fn webhook(self) -> String {
        format!("v{}.kb.io", self.kind().to_lowercase())
    }

    /// `cloudspaces.ngpc.rxt.io`, as messages say it.
    pub(crate) fn qualified(self) -> String {
        format!("{}.{GROUP}", self.plural())
    }
}
