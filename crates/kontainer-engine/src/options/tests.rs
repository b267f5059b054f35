use super::*;
use crate::wire::{DriverOptions, StringSlice};

fn between(text: &str) -> Result<(), String> {
    match text.parse::<i64>() {
        Ok(1..=10) => Ok(()),
        _ => Err("must be between 1 and 10".to_owned()),
    }
}

const SPECS: &[OptionSpec] = &[
    OptionSpec::string("api-token", "the token").secret().required(),
    OptionSpec::string("cloud-region", "where")
        .default_str("iad")
        .create_only(),
    OptionSpec::int("node-count", "how many")
        .default_int(3)
        .validate(between),
    OptionSpec::bool_ptr("high-availability", "more of everything", true),
    OptionSpec::strings("taints", "taints of nodes").aliases(&["nodeTaints"]),
];

fn table() -> OptionTable {
    OptionTable::new(SPECS).unwrap()
}

fn texts(pairs: &[(&str, &str)]) -> DriverOptions {
    DriverOptions {
        string_options: pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect(),
        ..DriverOptions::default()
    }
}

#[test]
fn flag_names_become_the_fields_that_rancher_makes_of_them() {
    for (flag, field) in [
        ("name", "name"),
        ("node-count", "nodeCount"),
        ("cluster-ipv4-cidr", "clusterIpv4Cidr"),
        ("enable-http-load-balancing", "enableHttpLoadBalancing"),
        (
            "ip-policy-services-secondary-range-name",
            "ipPolicyServicesSecondaryRangeName",
        ),
        ("kubeConfig", "kubeConfig"),
        ("Node-Count", "NodeCount"),
        ("a_b-c", "a_bC"),
    ] {
        assert_eq!(camel_case(flag), field);
    }
}

#[test]
fn declarations_that_break_rancher_are_refused() {
    let refused = |specs: &[OptionSpec]| OptionTable::new(specs).unwrap_err();
    for name in ["a--b", "a-", "", "-a", "é", "a b", "1a"] {
        assert_eq!(
            refused(&[OptionSpec::string(name, "")]),
            TableError::Name(name.to_owned())
        );
    }
    assert!(matches!(
        refused(&[OptionSpec::int("node-count", ""), OptionSpec::int("nodeCount", "")]),
        TableError::Collision { .. }
    ));
    assert!(matches!(
        refused(&[OptionSpec::string("driver-name", "")]),
        TableError::Reserved { .. }
    ));
    assert_eq!(
        refused(&[OptionSpec::strings("list", "").default_str("a")]),
        TableError::DefaultType("list")
    );
    let mut pointer = OptionSpec::bool_ptr("ptr", "", true);
    pointer.default = DefaultValue::None;
    assert_eq!(refused(&[pointer]), TableError::PointerWithoutDefault("ptr"));
    assert_eq!(refused(&[OptionSpec::int("n", "").secret()]), TableError::Secret("n"));
    assert!(matches!(
        refused(&[OptionSpec::int("n", "").default_int(0).validate(between)]),
        TableError::Default { .. }
    ));
    assert_eq!(
        refused(&[OptionSpec::int("n", "").create_only().update_only()]),
        TableError::Unused("n")
    );
}

#[test]
fn flags_follow_from_the_declarations() {
    let table = table();
    let create = &table.create_flags().options;
    assert_eq!(create.len(), 5);
    assert!(create["api-token"].password);
    assert_eq!(create["api-token"].default, None);
    assert_eq!(create["cloud-region"].value, "iad");
    assert_eq!(create["node-count"].value, "3");
    assert_eq!(create["node-count"].default.as_ref().unwrap().default_int, 3);
    assert!(create["high-availability"].default.as_ref().unwrap().default_bool);
    assert_eq!(create["high-availability"].r#type, "boolPtr");
    // A default without a list on a list flag kills Rancher's controller.
    assert_eq!(create["taints"].default, None);
    assert!(!table.update_flags().options.contains_key("cloud-region"));
    assert_eq!(OptionKind::of(&create["taints"]), Some(OptionKind::StringSlice));
}

#[test]
fn both_spellings_are_read_and_the_kebab_one_wins_even_when_empty() {
    let read = |given: &DriverOptions| table().parse(given, Phase::Update).unwrap();
    let camel = read(&texts(&[("cloudRegion", "lon")]));
    assert_eq!(camel.string("cloud-region"), Some("lon"));
    let both = read(&texts(&[("cloudRegion", "lon"), ("cloud-region", "")]));
    assert_eq!(both.string("cloud-region"), Some(""));
    assert_eq!(both.string_or_default("cloud-region"), "iad");
    let alias = read(&DriverOptions {
        string_slice_options: [(
            "nodeTaints".to_owned(),
            StringSlice {
                value: vec!["a".into()],
            },
        )]
        .into(),
        ..DriverOptions::default()
    });
    assert_eq!(alias.strings("taints"), Some(&["a".to_owned()][..]));
}

#[test]
fn numbers_and_yes_or_no_may_come_as_text() {
    let given = texts(&[("nodeCount", "7"), ("high-availability", "False")]);
    let options = table().parse(&given, Phase::Update).unwrap();
    assert_eq!(options.int("node-count"), Some(7));
    assert_eq!(options.bool("high-availability"), Some(false));
    // A field left empty in a form is not a wrong number.
    let empty = table().parse(&texts(&[("nodeCount", "")]), Phase::Update).unwrap();
    assert_eq!((empty.int("node-count"), empty.int_or_default("node-count")), (None, 3));
}

#[test]
fn given_and_default_are_kept_apart() {
    let options = table().parse(&texts(&[("api-token", "x")]), Phase::Create).unwrap();
    assert_eq!(options.int("node-count"), None);
    assert_eq!(options.int_or_default("node-count"), 3);
    assert!(options.bool_or_default("high-availability"));
    assert!(options.strings_or_default("taints").is_empty());
    assert!(!options.is_given("taints"));
    assert_eq!(options.string("no-such-option"), None);
}

#[test]
fn all_problems_are_told_at_once() {
    let mut given = texts(&[("nodeCount", "many"), ("taints", "a=b"), ("api-token", "  ")]);
    given.int_options.insert("cloud-region".into(), 3);
    let error = table().parse(&given, Phase::Create).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cloud-region must be a text; node-count must be a whole number; taints must be a list; api-token is required"
    );
    given = texts(&[("nodeCount", "11")]);
    let error = table().parse(&given, Phase::Update).unwrap_err();
    assert_eq!(error.problems, ["node-count must be between 1 and 10"]);
    assert_eq!(table().parse_partial(&given).int("node-count"), None);
}

#[test]
fn names_come_from_the_engine_and_secrets_stay_hidden() {
    let given = texts(&[("name", "c-abcde"), ("displayName", "demo"), ("api-token", "hunter2")]);
    let options = table().parse(&given, Phase::Create).unwrap();
    assert_eq!((options.name(), options.display_name()), ("c-abcde", "demo"));
    assert!(options.secret("api-token").is_some());
    assert!(!format!("{options:?}").contains("hunter2"));
}

#[test]
fn state_that_would_pin_options_is_found_on_any_level() {
    let state = serde_json::json!({"spotRegion": 1, "pool": {"nodeCount": 3, "items": [{"taints": 1}]}});
    assert_eq!(table().shadowed_by(&state), ["nodeCount"]);
}

#[test]
fn the_reference_page_lists_every_option() {
    let page = table().markdown();
    assert!(page.contains("| `--api-token` | `apiToken` | string |  | required | yes | the token (secret) |"));
    assert!(page.contains("| `--cloud-region` | `cloudRegion` | string | `iad` | yes |  | where |"));
    assert_eq!(page.lines().count(), 2 + SPECS.len());
}
