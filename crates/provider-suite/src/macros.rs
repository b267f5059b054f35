//! The scenarios as tests.

/// Makes a test of each scenario about nodes, for a [`Provider`](crate::Provider): `nodes!(crate::harness::Depot);`, in a
/// module of its own.
#[macro_export]
macro_rules! nodes {
    ($provider:ty) => {
        $crate::tests! { paused $provider;
            nodes: [
                a_node_gets_the_id_labels_and_addresses_of_its_machine,
                no_node_loses_its_taint_before_it_has_its_addresses,
                the_address_that_kubelet_was_told_is_honoured,
                a_node_waits_for_its_machine_and_says_so,
                the_start_does_not_depend_on_the_cloud,
                a_machine_that_is_off_taints_its_node_until_it_is_on_again,
                a_machine_that_is_gone_takes_its_node_along_and_no_other,
                nodes_of_other_clouds_are_left_as_they_are,
                a_node_without_an_id_is_neither_given_one_nor_deleted,
            ],
            requests: [
                many_nodes_take_lists_and_little_more_in_an_hour,
                a_node_takes_three_writes_and_none_in_an_hour_after,
                nodes_that_are_not_ready_take_one_list_a_pass,
                who_asks_at_the_same_time_shares_a_list,
                an_api_that_throttles_is_given_its_time,
                each_call_is_counted_under_its_name,
            ],
            outage: [
                an_api_that_refuses_everything_deletes_nothing,
                an_api_out_of_reach_deletes_nothing,
                an_endpoint_that_is_down_deletes_nothing,
                a_list_that_lacks_machines_deletes_nothing,
                a_list_that_lacks_machines_nobody_may_see_deletes_nothing,
                a_cloud_that_denies_every_machine_deletes_nothing,
                a_credential_of_another_account_deletes_nothing,
                with_three_of_ten_requests_failing_all_nodes_come_up_and_none_goes,
                a_failure_is_told_by_its_class_and_passes,
                a_page_that_is_not_the_apis_proves_nothing,
            ],
            crash: [
                initialising_nodes_survives_every_crash,
                deleting_and_tainting_nodes_survives_every_crash,
            ],
            hand_over: [
                a_leader_that_is_told_to_stop_hands_over_at_once,
                a_leader_that_dies_is_replaced_when_its_lease_ends,
                a_manager_that_died_changes_nothing_any_more,
            ],
            secrets: [logs_errors_events_and_metrics_hold_no_secret],
        }
    };
}

/// Makes a test of each scenario about what is shipped, for a [`Provider`](crate::Provider):
/// `shipped!(crate::harness::Depot);`, in a module of its own.
#[macro_export]
macro_rules! shipped {
    ($provider:ty) => {
        $crate::tests! { plain $provider;
            manifest: [
                the_shipped_manifest_is_what_the_code_says,
                the_pod_runs_before_any_node_is_ready_and_can_do_no_harm,
                the_example_secret_has_a_configuration_that_can_be_read,
            ],
            chart: [
                the_rules_of_the_chart_are_those_of_the_manifest,
                every_value_that_a_template_reads_is_there_and_every_value_is_read,
                every_block_of_a_template_is_closed,
                the_pod_of_the_chart_is_that_of_the_manifest,
                the_values_name_every_setting_and_no_other,
                helm_renders_the_manifest_where_there_is_a_helm,
            ],
        }
        $crate::tests! { paused $provider;
            rights: [the_manifest_starts_it_and_gives_it_the_rights_to_look_after_nodes],
        }
    };
}

/// Tests of functions in modules of this crate that are generic in the provider.
#[doc(hidden)]
#[macro_export]
macro_rules! tests {
    (paused $provider:ty; $($module:ident: [$($name:ident),* $(,)?],)*) => {$(
        mod $module {$(
            #[tokio::test(start_paused = true)]
            async fn $name() {
                $crate::$module::$name::<$provider>().await;
            }
        )*}
    )*};
    (plain $provider:ty; $($module:ident: [$($name:ident),* $(,)?],)*) => {$(
        mod $module {$(
            #[test]
            fn $name() {
                $crate::$module::$name::<$provider>();
            }
        )*}
    )*};
}

/// Makes a test of each scenario about the program as a process, for a [`Provider`](crate::Provider) and the path of its
/// binary: `program!(crate::harness::Depot, env!("CARGO_BIN_EXE_cloud-provider-depot"));`.
#[macro_export]
macro_rules! program {
    ($provider:ty, $path:expr) => {
        #[test]
        fn help_and_version_need_no_configuration() {
            $crate::program::help_and_version_need_no_configuration($path);
        }

        #[test]
        fn a_configuration_that_is_none_ends_it() {
            $crate::program::a_configuration_that_is_none_ends_it::<$provider>($path);
        }

        #[tokio::test(flavor = "multi_thread")]
        async fn it_brings_a_node_up_over_real_sockets_until_it_is_told_to_end() {
            $crate::program::it_brings_a_node_up_over_real_sockets_until_it_is_told_to_end::<$provider>($path).await;
        }
    };
}
