use prost::Message as _;
use prost_types::FileDescriptorSet;
use prost_types::field_descriptor_proto::{Label, Type};

use super::*;

/// Every message of the protocol and its fields: `NUMBER NAME TYPE`, with `*` for repeated ones.
const MESSAGES: &[(&str, &[&str])] = &[
    ("Empty", &[]),
    ("DriverFlags", &["1 options *.types.DriverFlags.OptionsEntry"]),
    (
        "Flag",
        &[
            "1 type String",
            "2 usage String",
            "3 value String",
            "4 default .types.Default",
            "5 password Bool",
        ],
    ),
    (
        "Default",
        &[
            "1 defaultBool Bool",
            "2 defaultString String",
            "3 defaultStringSlice .types.StringSlice",
            "4 defaultInt Int64",
        ],
    ),
    (
        "DriverOptions",
        &[
            "1 bool_options *.types.DriverOptions.BoolOptionsEntry",
            "2 string_options *.types.DriverOptions.StringOptionsEntry",
            "3 int_options *.types.DriverOptions.IntOptionsEntry",
            "4 string_slice_options *.types.DriverOptions.StringSliceOptionsEntry",
        ],
    ),
    ("StringSlice", &["1 value *String"]),
    (
        "ClusterInfo",
        &[
            "1 version String",
            "2 service_account_token String",
            "3 endpoint String",
            "4 username String",
            "5 password String",
            "6 root_ca_certificate String",
            "7 client_certificate String",
            "8 client_key String",
            "9 node_count Int64",
            "10 metadata *.types.ClusterInfo.MetadataEntry",
            "11 status String",
            "12 create_error String",
        ],
    ),
    ("KubernetesVersion", &["1 version String"]),
    ("NodeCount", &["1 count Int64"]),
    (
        "Capabilities",
        &["1 capabilities *.types.Capabilities.CapabilitiesEntry"],
    ),
    (
        "CreateRequest",
        &[
            "1 driver_options .types.DriverOptions",
            "2 cluster_info .types.ClusterInfo",
        ],
    ),
    (
        "UpdateRequest",
        &[
            "1 cluster_info .types.ClusterInfo",
            "2 driver_options .types.DriverOptions",
        ],
    ),
    (
        "SetVersionRequest",
        &["1 info .types.ClusterInfo", "2 version .types.KubernetesVersion"],
    ),
    (
        "SetNodeCountRequest",
        &["1 info .types.ClusterInfo", "2 count .types.NodeCount"],
    ),
    ("SaveETCDSnapshotRequest", ETCD),
    ("RestoreETCDSnapshotRequest", ETCD),
    ("RemoveETCDSnapshotRequest", ETCD),
    (
        "K8sCapabilities",
        &[
            "1 L4LoadBalancer .types.LoadBalancerCapabilities",
            "2 IngressControllers *.types.IngressCapabilities",
            "3 NodePoolScalingSupported Bool",
            "4 NodePortRange String",
        ],
    ),
    (
        "LoadBalancerCapabilities",
        &[
            "1 Enabled Bool",
            "2 Provider String",
            "3 ProtocolsSupported *String",
            "4 HealthCheckSupported Bool",
        ],
    ),
    (
        "IngressCapabilities",
        &["1 IngressProvider String", "2 CustomDefaultBackend Bool"],
    ),
];

const ETCD: &[&str] = &[
    "1 info .types.ClusterInfo",
    "2 driver_options .types.DriverOptions",
    "3 SnapshotName String",
];

/// Every method, what it takes and what it answers.
const METHODS: &[(&str, &str, &str)] = &[
    ("Create", "CreateRequest", "ClusterInfo"),
    ("Update", "UpdateRequest", "ClusterInfo"),
    ("PostCheck", "ClusterInfo", "ClusterInfo"),
    ("Remove", "ClusterInfo", "Empty"),
    ("GetDriverCreateOptions", "Empty", "DriverFlags"),
    ("GetDriverUpdateOptions", "Empty", "DriverFlags"),
    ("GetVersion", "ClusterInfo", "KubernetesVersion"),
    ("SetVersion", "SetVersionRequest", "Empty"),
    ("GetNodeCount", "ClusterInfo", "NodeCount"),
    ("SetNodeCount", "SetNodeCountRequest", "Empty"),
    ("GetCapabilities", "Empty", "Capabilities"),
    ("ETCDSave", "SaveETCDSnapshotRequest", "Empty"),
    ("ETCDRestore", "RestoreETCDSnapshotRequest", "ClusterInfo"),
    ("ETCDRemoveSnapshot", "RemoveETCDSnapshotRequest", "Empty"),
    ("GetK8sCapabilities", "DriverOptions", "K8sCapabilities"),
    ("RemoveLegacyServiceAccount", "ClusterInfo", "Empty"),
];

#[test]
fn names_and_numbers_are_those_that_rancher_speaks() {
    let set = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
    let [file] = set.file.as_slice() else {
        panic!("one file, not {}", set.file.len());
    };
    assert_eq!(
        (file.name(), file.package(), file.syntax()),
        ("drivers.proto", "types", "proto3")
    );
    let found: Vec<(&str, Vec<String>)> = file
        .message_type
        .iter()
        .map(|message| {
            let field = |field: &prost_types::FieldDescriptorProto| {
                let repeated = if field.label() == Label::Repeated { "*" } else { "" };
                let kind = match field.r#type() {
                    Type::Message => field.type_name().to_owned(),
                    other => format!("{other:?}"),
                };
                format!("{} {} {repeated}{kind}", field.number(), field.name())
            };
            (message.name(), message.field.iter().map(field).collect())
        })
        .collect();
    for (name, fields) in &found {
        let wanted = MESSAGES.iter().find(|(wanted, _)| wanted == name);
        assert_eq!(wanted.map(|(_, fields)| *fields).unwrap_or_default(), fields, "{name}");
    }
    assert_eq!(found.len(), MESSAGES.len());

    let [service] = file.service.as_slice() else {
        panic!("one service, not {}", file.service.len());
    };
    assert_eq!(service.name(), "Driver");
    let methods: Vec<_> = service
        .method
        .iter()
        .map(|m| (m.name(), m.input_type(), m.output_type()))
        .collect();
    let wanted: Vec<_> = METHODS
        .iter()
        .map(|(name, takes, answers)| (*name, format!(".types.{takes}"), format!(".types.{answers}")))
        .collect();
    assert!(
        methods
            .iter()
            .copied()
            .eq(wanted.iter().map(|(a, b, c)| (*a, b.as_str(), c.as_str()))),
        "{methods:?}"
    );
}

#[test]
fn a_message_has_the_bytes_that_other_implementations_write() {
    let request = CreateRequest {
        driver_options: Some(DriverOptions {
            int_options: [("n".to_owned(), 3)].into(),
            ..DriverOptions::default()
        }),
        cluster_info: Some(ClusterInfo {
            status: "Error".to_owned(),
            ..ClusterInfo::default()
        }),
    };
    let bytes = b"\x0a\x07\x1a\x05\x0a\x01n\x10\x03\x12\x07\x5a\x05Error";
    assert_eq!(request.encode_to_vec(), bytes);
    assert_eq!(CreateRequest::decode(&bytes[..]).unwrap(), request);
}

#[test]
fn a_drivers_state_travels_in_the_metadata() {
    let mut info = ClusterInfo::default();
    assert!(info.state::<Vec<u8>>().unwrap().is_none());
    info.set_state(&vec![1, 2]).unwrap();
    assert_eq!(info.metadata["state"], "[1,2]");
    assert_eq!(info.state::<Vec<u8>>().unwrap(), Some(vec![1, 2]));
    info.metadata.insert("state".into(), "{half".into());
    assert!(matches!(info.state::<Vec<u8>>(), Err(StateError::Read(_))));
}
