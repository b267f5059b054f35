//! The built-in resources, one row each.

use super::{Plain, Rules, config, crd, endpoints, event, lease, namespace, node, pod, rbac, secret, service};
use crate::resource::{ALL_VERBS, NameRule, Resource, Subresource, Traits};
use crate::schema::Shape;

const STATUS: Subresource = part("status", READ_WRITE);

/// A subresource with a kind of its own. An empty version means: where the resource itself stands.
const fn sub(
    name: &'static str,
    kind: (&'static str, &'static str, &'static str),
    verbs: &'static [&'static str],
) -> Subresource {
    Subresource {
        name,
        kind: Some(kind),
        verbs,
    }
}

/// A subresource of the kind of its resource.
const fn part(name: &'static str, verbs: &'static [&'static str]) -> Subresource {
    Subresource {
        name,
        kind: None,
        verbs,
    }
}

const READ_WRITE: &[&str] = &["get", "patch", "update"];
const CONNECT: &[&str] = &["create", "get"];
const PROXY: &[&str] = &["create", "delete", "get", "patch", "update"];

const ORDINARY: Traits = Traits {
    names: NameRule::Subdomain,
    create_on_update: false,
    unconditional_update: true,
    returns_deleted: false,
    generation: false,
    whole: false,
    graceful: false,
};

/// A row of the table, in the order in which errors and discovery name things.
fn row(group: &str, version: &str, plural: &str, kind: &str, rules: &'static dyn Rules) -> Resource {
    Resource {
        group: group.to_owned(),
        version: version.to_owned(),
        plural: plural.to_owned(),
        singular: kind.to_ascii_lowercase(),
        kind: kind.to_owned(),
        list_kind: format!("{kind}List"),
        namespaced: true,
        short_names: Vec::new(),
        categories: Vec::new(),
        verbs: ALL_VERBS.to_vec(),
        subresources: Vec::new(),
        shape: Shape::builtin(kind),
        storage: if group.is_empty() {
            plural.to_owned()
        } else {
            format!("{plural}.{group}")
        },
        key_prefix: format!("/registry/{plural}"),
        traits: ORDINARY,
        rules,
        deprecation: None,
        custom: None,
    }
}

impl Resource {
    fn cluster(mut self) -> Self {
        self.namespaced = false;
        self
    }

    fn short(mut self, names: &[&str]) -> Self {
        self.short_names = names.iter().map(|&n| n.to_owned()).collect();
        self
    }

    fn category(mut self, name: &str) -> Self {
        self.categories.push(name.to_owned());
        self
    }

    fn sub(mut self, sub: Subresource) -> Self {
        self.subresources.push(sub);
        self
    }

    fn verbs(mut self, verbs: &[&'static str]) -> Self {
        self.verbs = verbs.to_vec();
        self
    }

    fn key(mut self, prefix: &str) -> Self {
        prefix.clone_into(&mut self.key_prefix);
        self
    }

    fn deprecated(mut self, why: &'static str) -> Self {
        self.deprecation = Some(why);
        self
    }

    fn stored_as(mut self, storage: &str) -> Self {
        storage.clone_into(&mut self.storage);
        self
    }

    fn singular(mut self, name: &str) -> Self {
        name.clone_into(&mut self.singular);
        self
    }

    fn traits(mut self, change: impl FnOnce(&mut Traits)) -> Self {
        change(&mut self.traits);
        self
    }
}

fn review(group: &str, plural: &str, kind: &str, shape: &str) -> Resource {
    let mut resource = row(group, "v1", plural, shape, &Plain).cluster().verbs(&["create"]);
    kind.clone_into(&mut resource.kind);
    resource.singular = kind.to_ascii_lowercase();
    resource
}

/// Every built-in resource.
pub(crate) fn all() -> Vec<Resource> {
    const RBAC: &str = "rbac.authorization.k8s.io";
    const AUTHN: &str = "authentication.k8s.io";
    const AUTHZ: &str = "authorization.k8s.io";
    let rbac = |plural, kind, rules| {
        row(RBAC, "v1", plural, kind, rules).traits(|t| {
            t.names = NameRule::PathSegment;
            t.create_on_update = true;
            t.whole = true;
        })
    };
    let mut event_v1 = row("events.k8s.io", "v1", "events", "EventV1", &event::EventV1)
        .short(&["ev"])
        .singular("event")
        .stored_as("events")
        .traits(|t| {
            t.create_on_update = true;
            t.names = NameRule::PathSegment;
        });
    "Event".clone_into(&mut event_v1.kind);
    "EventList".clone_into(&mut event_v1.list_kind);
    vec![
        Resource {
            shape: Shape::builtin("Binding"),
            ..row("", "v1", "bindings", "Binding", &Plain).verbs(&["create"])
        },
        row("", "v1", "endpoints", "Endpoints", &endpoints::Endpoints)
            .short(&["ep"])
            .key("/registry/services/endpoints")
            .deprecated("v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice")
            .traits(|t| t.create_on_update = true),
        row("", "v1", "events", "Event", &event::Event)
            .short(&["ev"])
            .traits(|t| {
                t.create_on_update = true;
                t.names = NameRule::PathSegment;
            }),
        event_v1,
        row("", "v1", "pods", "Pod", &pod::Pod)
            .short(&["po"])
            .category("all")
            .sub(sub("attach", ("", "", "PodAttachOptions"), CONNECT))
            .sub(sub("binding", ("", "", "Binding"), &["create"]))
            .sub(part("ephemeralcontainers", READ_WRITE))
            .sub(sub("eviction", ("policy", "v1", "Eviction"), &["create"]))
            .sub(sub("exec", ("", "", "PodExecOptions"), CONNECT))
            .sub(part("log", &["get"]))
            .sub(sub("portforward", ("", "", "PodPortForwardOptions"), CONNECT))
            .sub(sub("proxy", ("", "", "PodProxyOptions"), PROXY))
            .sub(part("resize", READ_WRITE))
            .sub(STATUS)
            .traits(|t| {
                t.returns_deleted = true;
                t.generation = true;
                t.graceful = true;
            }),
        row("", "v1", "services", "Service", &service::Service)
            .short(&["svc"])
            .category("all")
            .key("/registry/services/specs")
            .sub(sub("proxy", ("", "", "ServiceProxyOptions"), PROXY))
            .sub(STATUS)
            .traits(|t| {
                t.names = NameRule::Label;
                t.create_on_update = true;
                t.returns_deleted = true;
                t.whole = true;
            }),
        row(
            "discovery.k8s.io",
            "v1",
            "endpointslices",
            "EndpointSlice",
            &endpoints::EndpointSlice,
        )
        .traits(|t| t.generation = true),
        row(
            "apiextensions.k8s.io",
            "v1",
            "customresourcedefinitions",
            "CustomResourceDefinition",
            &crd::Definition,
        )
        .cluster()
        .short(&["crd", "crds"])
        .category("api-extensions")
        .key("/registry/apiextensions.k8s.io/customresourcedefinitions")
        .sub(STATUS)
        .traits(|t| t.generation = true),
        row("", "v1", "configmaps", "ConfigMap", &config::ConfigMap)
            .short(&["cm"])
            .traits(|t| t.whole = true),
        row("", "v1", "namespaces", "Namespace", &namespace::Namespace)
            .cluster()
            .short(&["ns"])
            .verbs(&["create", "delete", "get", "list", "patch", "update", "watch"])
            .sub(part("finalize", &["update"]))
            .sub(STATUS)
            .traits(|t| t.names = NameRule::Label),
        row("", "v1", "nodes", "Node", &node::Node)
            .cluster()
            .short(&["no"])
            .key("/registry/minions")
            .sub(sub("proxy", ("", "", "NodeProxyOptions"), PROXY))
            .sub(STATUS)
            .traits(|t| t.whole = true),
        row("", "v1", "secrets", "Secret", &secret::Secret).traits(|t| t.whole = true),
        row("", "v1", "serviceaccounts", "ServiceAccount", &Plain)
            .short(&["sa"])
            .sub(sub("token", (AUTHN, "v1", "TokenRequest"), &["create"]))
            .traits(|t| t.returns_deleted = true),
        row(
            "certificates.k8s.io",
            "v1",
            "certificatesigningrequests",
            "CertificateSigningRequest",
            &Plain,
        )
        .cluster()
        .short(&["csr"])
        .sub(part("approval", READ_WRITE))
        .sub(STATUS),
        row("coordination.k8s.io", "v1", "leases", "Lease", &lease::Lease).traits(|t| {
            t.create_on_update = true;
            t.unconditional_update = false;
        }),
        rbac("clusterrolebindings", "ClusterRoleBinding", &rbac::Binding).cluster(),
        rbac("clusterroles", "ClusterRole", &rbac::Role).cluster(),
        rbac("rolebindings", "RoleBinding", &rbac::Binding),
        rbac("roles", "Role", &rbac::Role),
        review(AUTHN, "selfsubjectreviews", "SelfSubjectReview", "SelfSubjectReview"),
        review(AUTHN, "tokenreviews", "TokenReview", "TokenReview"),
        Resource {
            namespaced: true,
            ..review(
                AUTHZ,
                "localsubjectaccessreviews",
                "LocalSubjectAccessReview",
                "SubjectAccessReview",
            )
        },
        review(
            AUTHZ,
            "selfsubjectaccessreviews",
            "SelfSubjectAccessReview",
            "SelfSubjectAccessReview",
        ),
        review(
            AUTHZ,
            "selfsubjectrulesreviews",
            "SelfSubjectRulesReview",
            "SelfSubjectRulesReview",
        ),
        review(
            AUTHZ,
            "subjectaccessreviews",
            "SubjectAccessReview",
            "SubjectAccessReview",
        ),
    ]
}
