//! Where each test case of `kubernetes/cloud-provider` and of what it stands on is carried over, and how many there are.
//!
//! The numbers are upstream's. That the tests are there is checked; what they hold is for readers. Upstream runs many
//! cases once for each of its two instance interfaces, of which there is one here: one test answers for both.
//!
//! Not carried over: enabling webhooks (five cases; there are none here), and five slow health checks at a time (checks here
//! never wait).

use std::collections::BTreeMap;
use std::path::Path;

/// What is tested, a group of upstream's cases, how many they are, and the file and test that has them.
type Group = (&'static str, &'static str, usize, &'static str, &'static str);

const GROUPS: &[Group] = &[
    (
        "node",
        "syncNode",
        20,
        "controllers/node/tests/upstream.rs",
        "every_upstream_case_of_sync_node",
    ),
    (
        "node",
        "syncNode without any provider ID, with errors",
        2,
        "controllers/node/tests.rs",
        "a_provider_id_is_taken_from_wherever_there_is_one_and_never_changed",
    ),
    (
        "node",
        "reconcileNodeLabels",
        3,
        "controllers/node/labels.rs",
        "beta_labels_are_the_truth",
    ),
    (
        "node",
        "nodeAddressesChangeDetected",
        5,
        "controllers/node/addresses/tests.rs",
        "every_upstream_case_of_address_changes",
    ),
    (
        "node",
        "addresses of tainted nodes",
        2,
        "controllers/node/tests/upstream.rs",
        "addresses_of_a_tainted_node_are_not_updated",
    ),
    (
        "node",
        "getInstanceMetadata",
        6,
        "controllers/node/tests.rs",
        "a_provider_id_is_taken_from_wherever_there_is_one_and_never_changed",
    ),
    (
        "node",
        "UpdateNodeStatus",
        4,
        "controllers/node/tests/upstream.rs",
        "a_pass_over_a_hundred_nodes_asks_the_cloud_once_however_many_workers_there_are",
    ),
    (
        "node helpers",
        "AddToNodeAddresses",
        4,
        "helpers/nodes.rs",
        "every_upstream_case_of_add_to_node_addresses",
    ),
    (
        "node helpers",
        "GetNodeAddressesFromNodeIP",
        14,
        "controllers/node/addresses/tests.rs",
        "kubelets_addresses_come_first_and_exclude_others_of_their_type",
    ),
    (
        "node helpers",
        "taints",
        10,
        "helpers/nodes.rs",
        "every_upstream_case_of_taints",
    ),
    (
        "lifecycle",
        "NodesDeleted",
        12,
        "controllers/lifecycle/tests.rs",
        "every_upstream_case",
    ),
    (
        "lifecycle",
        "NodesShutdown",
        9,
        "controllers/lifecycle/tests.rs",
        "every_upstream_case",
    ),
    (
        "lifecycle",
        "getProviderID",
        6,
        "controllers/lifecycle/tests/provider_id.rs",
        "every_upstream_case_of_get_provider_id",
    ),
    (
        "service",
        "syncLoadBalancerIfNeeded",
        8,
        "controllers/service/tests/upstream.rs",
        "every_case_of_sync_load_balancer_if_needed",
    ),
    (
        "service",
        "updateLoadBalancerHosts",
        7,
        "controllers/service/tests/upstream.rs",
        "every_case_of_update_load_balancer_hosts",
    ),
    (
        "service",
        "node changes",
        8,
        "controllers/service/tests/upstream.rs",
        "every_case_of_node_changes",
    ),
    (
        "service",
        "node added, the first update fails",
        1,
        "controllers/service/tests.rs",
        "a_failed_update_is_followed_by_a_full_ensure",
    ),
    (
        "service",
        "node is being deleted",
        1,
        "controllers/service/tests/more.rs",
        "a_node_that_is_being_deleted_is_no_host",
    ),
    (
        "service",
        "successive node sets",
        5,
        "controllers/service/tests/more.rs",
        "successive_sets_of_nodes_reach_every_load_balancer",
    ),
    (
        "service",
        "nodesNotEqual",
        3,
        "controllers/service/tests/more.rs",
        "every_upstream_case_of_nodes_not_equal",
    ),
    (
        "service",
        "processServiceCreateOrUpdate",
        2,
        "controllers/service/tests/more.rs",
        "a_load_balancer_follows_the_address_that_is_asked_for",
    ),
    (
        "service",
        "status conflict and not found",
        2,
        "controllers/service/tests/upstream.rs",
        "a_status_that_conflicts_is_told_and_tried_again_and_one_that_is_gone_is_fine",
    ),
    (
        "service",
        "syncService",
        2,
        "controllers/service/tests.rs",
        "a_service_that_vanished_or_was_made_anew_leaves_nothing_behind",
    ),
    (
        "service",
        "processServiceDeletion",
        3,
        "controllers/service/tests/more.rs",
        "every_upstream_case_of_service_deletion",
    ),
    (
        "service",
        "needsCleanup",
        4,
        "controllers/service/decide/tests.rs",
        "every_upstream_case_of_needs_cleanup",
    ),
    (
        "service",
        "slow node sync",
        1,
        "controllers/service/tests/upstream.rs",
        "a_slow_update_does_not_bring_back_old_nodes",
    ),
    (
        "service",
        "needsUpdate",
        15,
        "controllers/service/decide/tests.rs",
        "every_upstream_case_of_needs_update",
    ),
    (
        "service",
        "serviceCache",
        6,
        "controllers/service/tests/more.rs",
        "what_is_remembered_is_what_is_there",
    ),
    (
        "service",
        "addFinalizer, removeFinalizer, patchStatus",
        8,
        "controllers/service/tests/more.rs",
        "every_upstream_case_of_finalizer_and_status_patches",
    ),
    (
        "service",
        "node predicates",
        10,
        "controllers/service/decide/tests.rs",
        "every_upstream_case_of_the_node_predicates",
    ),
    (
        "service",
        "listWithPredicates",
        3,
        "controllers/service/tests/more.rs",
        "every_upstream_case_of_list_with_predicates",
    ),
    (
        "service",
        "shouldSyncUpdatedNode",
        43,
        "controllers/service/decide/tests.rs",
        "every_upstream_case_of_should_sync_updated_node",
    ),
    (
        "service",
        "queue delay",
        3,
        "controllers/service/tests.rs",
        "waiting_for_the_cloud_is_no_failure_and_comes_back_when_it_said",
    ),
    (
        "service",
        "status equality",
        10,
        "controllers/service/sync.rs",
        "every_upstream_case_of_status_equality",
    ),
    (
        "service helpers",
        "source ranges, invalid",
        12,
        "helpers/tests.rs",
        "ranges_that_are_none_are_refused_from_either_place",
    ),
    (
        "service helpers",
        "source ranges, valid",
        4,
        "helpers/tests.rs",
        "ranges_are_a_set_of_masked_networks",
    ),
    (
        "service helpers",
        "source ranges, default",
        2,
        "helpers/tests.rs",
        "without_ranges_everybody_may_in_every_family_it_has",
    ),
    (
        "service helpers",
        "IsAllowAll",
        6,
        "helpers/tests.rs",
        "only_a_network_of_no_bits_leaves_nobody_out",
    ),
    (
        "service helpers",
        "RequestsOnlyLocalTraffic, NeedsHealthCheck",
        14,
        "helpers/tests.rs",
        "local_traffic_and_health_checks_go_by_type_and_policy",
    ),
    (
        "service helpers",
        "HasLBFinalizer",
        4,
        "helpers/tests.rs",
        "the_finalizer_is_found_among_others",
    ),
    (
        "service helpers",
        "PatchService",
        1,
        "controllers/service/tests/more.rs",
        "a_patch_from_a_stale_service_keeps_what_others_wrote",
    ),
    (
        "service helpers",
        "getPatchBytes",
        1,
        "controllers/service/patch.rs",
        "patches_are_those_of_upstream",
    ),
    (
        "route",
        "isResponsibleForRoute",
        12,
        "controllers/route/tests.rs",
        "every_upstream_case_of_responsibility",
    ),
    (
        "route",
        "reconcile",
        15,
        "controllers/route/tests.rs",
        "every_upstream_case_of_reconcile",
    ),
    (
        "route",
        "reconcile, odd nodes",
        2,
        "controllers/route/tests.rs",
        "a_node_without_a_network_is_left_alone_and_one_named_twice_is_one",
    ),
    (
        "route",
        "handleNodeUpdate",
        4,
        "controllers/route/tests.rs",
        "every_upstream_case_of_handle_node_update",
    ),
    (
        "route",
        "updateNetworkingCondition",
        8,
        "controllers/route/tests.rs",
        "every_upstream_case_of_the_condition",
    ),
    (
        "application",
        "default options",
        27,
        "manager/flags/tests.rs",
        "the_defaults_are_upstreams",
    ),
    (
        "application",
        "all flags parse",
        1,
        "manager/flags/tests.rs",
        "flags_are_read_as_pflag_reads_them",
    ),
    (
        "application",
        "status updates",
        2,
        "manager/options/tests.rs",
        "status_updates_are_as_many_as_syncs_unless_said_otherwise",
    ),
    (
        "application",
        "aliases, IsControllerEnabled",
        12,
        "manager/options/tests.rs",
        "controllers_are_enabled_by_name_alias_and_star",
    ),
    (
        "application",
        "NodeController validation, generic validation",
        13,
        "manager/options/tests.rs",
        "every_value_is_checked",
    ),
    (
        "application",
        "controller names",
        1,
        "manager/options/tests.rs",
        "controller_names_are_consistent",
    ),
    (
        "application",
        "config defaults",
        1,
        "manager/options/tests.rs",
        "configz_has_upstreams_shape",
    ),
    (
        "application",
        "healthz handler",
        7,
        "manager/health.rs",
        "every_upstream_case_of_the_healthz_handler",
    ),
    (
        "application",
        "leader migration filter",
        4,
        "manager/migration.rs",
        "controllers_run_where_the_configuration_says",
    ),
    (
        "application",
        "leader migration configuration",
        5,
        "manager/migration.rs",
        "what_is_not_a_configuration_is_refused",
    ),
];

#[test]
fn every_upstream_case_has_a_test() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for (what, group, cases, file, test) in GROUPS {
        let text = std::fs::read_to_string(source.join(file)).unwrap_or_default();
        let there = text.contains(&format!("fn {test}("));
        assert!(there, "{what}, {group}: no test {test} in {file}");
        let count = counts.entry(what).or_default();
        count.0 += cases * usize::from(there);
        count.1 += cases;
    }
    for (what, (have, all)) in &counts {
        println!("{what}: {have} of {all} upstream cases");
    }
    assert_eq!(counts["node"].1, 42);
    assert_eq!(counts.values().map(|(have, _)| have).sum::<usize>(), 400);
}
