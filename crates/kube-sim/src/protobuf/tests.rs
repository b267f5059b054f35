use proptest::prelude::*;
use serde_json::{Value, json};

use super::table::{Kind, builtin};
use super::{Envelope, Error};
use crate::kinds;
use crate::schema::{Schema, Struct, Type, builtin as schema};

/// A number of seven bits a byte.
fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

/// A field of bytes, text or a message.
fn bytes(number: u64, content: impl AsRef<[u8]>) -> Vec<u8> {
    let content = content.as_ref();
    [varint(number << 3 | 2), varint(content.len() as u64), content.to_vec()].concat()
}

/// A field with a number.
fn int(number: u64, value: i64) -> Vec<u8> {
    [varint(number << 3), varint(value as u64)].concat()
}

fn enveloped(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
    let head = [bytes(1, api_version), bytes(2, kind)].concat();
    [
        b"k8s\0".to_vec(),
        bytes(1, head),
        bytes(2, raw),
        bytes(3, ""),
        bytes(4, ""),
    ]
    .concat()
}

fn read(message: &str, raw: &[u8]) -> Result<Value, Error> {
    let body = enveloped("v1", message, raw);
    let mut object = Envelope::open(&body)?.object(message)?;
    let map = object.as_object_mut().unwrap();
    assert_eq!(map.shift_remove("apiVersion"), Some(json!("v1")));
    assert_eq!(map.shift_remove("kind"), Some(json!(message)));
    Ok(object)
}

#[test]
fn a_body_says_what_it_is_and_what_is_in_it() {
    let metadata = bytes(1, [bytes(1, "web"), bytes(3, "default"), bytes(8, "")].concat());
    let data = bytes(2, [bytes(1, "a"), bytes(2, "b")].concat());
    let body = enveloped("v1", "ConfigMap", &[metadata, data].concat());
    let envelope = Envelope::open(&body).unwrap();
    assert_eq!(envelope.head(), json!({"apiVersion": "v1", "kind": "ConfigMap"}));
    let object = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "web", "namespace": "default"}, "data": {"a": "b"},
    });
    assert_eq!(envelope.object("ConfigMap"), Ok(object));
}

#[test]
fn scalars_take_their_json_forms() {
    let secret = [bytes(2, [bytes(1, "k"), bytes(2, b"\0\xff")].concat()), int(5, 0)].concat();
    assert_eq!(
        read("Secret", &secret).unwrap(),
        json!({"data": {"k": "AP8="}, "immutable": false})
    );

    let by_name = [int(1, 1), bytes(3, "http")].concat();
    let by_number = [int(1, 0), int(2, 8080)].concat();
    let port = |number, target: &[u8]| bytes(1, [bytes(1, ""), int(3, number), bytes(4, target), int(5, 0)].concat());
    let spec = bytes(2, [port(80, &by_name), port(81, &by_number)].concat());
    let ports = json!([{"port": 80, "targetPort": "http"}, {"port": 81, "targetPort": 8080}]);
    assert_eq!(read("Service", &spec).unwrap(), json!({"spec": {"ports": ports}}));

    let capacity = bytes(1, [bytes(1, "cpu"), bytes(2, bytes(1, "250m"))].concat());
    let heard = bytes(3, [int(1, 1_767_225_600), int(2, 123_456_789)].concat());
    let status = bytes(3, [capacity, bytes(4, heard)].concat());
    let node = json!({"status": {
        "capacity": {"cpu": "250m"}, "conditions": [{"lastHeartbeatTime": "2026-01-01T00:00:00Z"}],
    }});
    assert_eq!(read("Node", &status).unwrap(), node);

    let lease = bytes(
        2,
        [
            int(2, -1),
            bytes(4, [int(1, 1_767_225_600), int(2, 123_456_789)].concat()),
        ]
        .concat(),
    );
    let spec = json!({"leaseDurationSeconds": -1, "renewTime": "2026-01-01T00:00:00.123456Z"});
    assert_eq!(read("Lease", &lease).unwrap(), json!({"spec": spec}));

    let review = bytes(
        2,
        bytes(
            5,
            [bytes(1, "scopes"), bytes(2, [bytes(1, "a"), bytes(1, "b")].concat())].concat(),
        ),
    );
    assert_eq!(
        read("SubjectAccessReview", &review).unwrap(),
        json!({"spec": {"extra": {"scopes": ["a", "b"]}}})
    );
}

#[test]
fn zero_values_are_left_out_unless_go_writes_them() {
    let spec = bytes(2, [bytes(1, ""), int(4, 0)].concat());
    assert_eq!(read("Node", &spec).unwrap(), json!({"spec": {}}));
    let options = [int(1, 0), int(3, 0), bytes(4, "")].concat();
    let zeros = json!({"gracePeriodSeconds": 0, "orphanDependents": false, "propagationPolicy": ""});
    assert_eq!(read("DeleteOptions", &options).unwrap(), zeros);
    let event = [bytes(6, ""), bytes(14, ""), int(8, 0)].concat();
    assert_eq!(
        read("Event", &event).unwrap(),
        json!({"firstTimestamp": null, "reportingComponent": ""})
    );
}

#[test]
fn embedded_messages_stand_among_the_fields_around_them() {
    let probe = bytes(10, [bytes(1, bytes(3, bytes(1, int(2, 80)))), int(2, 5)].concat());
    let volume = bytes(
        1,
        [
            bytes(1, "data"),
            bytes(2, bytes(19, [bytes(1, bytes(1, "settings")), int(3, 420)].concat())),
        ]
        .concat(),
    );
    let groups = [bytes(4, [1, 0x80, 1]), int(4, 7)].concat();
    let pod = bytes(
        2,
        [volume, bytes(2, [bytes(1, "c"), probe].concat()), bytes(14, groups)].concat(),
    );
    let spec = json!({
        "volumes": [{"name": "data", "configMap": {"name": "settings", "defaultMode": 420}}],
        "containers": [{"name": "c", "livenessProbe": {"tcpSocket": {"port": 80}, "initialDelaySeconds": 5}}],
        "securityContext": {"supplementalGroups": [1, 128, 7]},
    });
    assert_eq!(read("Pod", &pod).unwrap(), json!({"spec": spec}));
}

#[test]
fn a_custom_resource_definition_keeps_its_schema() {
    let number = [
        bytes(5, "number"),
        bytes(8, bytes(1, "1.5")),
        [vec![9 << 3 | 1], 2f64.to_le_bytes().to_vec()].concat(),
    ]
    .concat();
    let property = bytes(29, [bytes(1, "size"), bytes(2, number)].concat());
    let list = bytes(24, bytes(1, bytes(5, "string")));
    let closed = bytes(30, int(1, 0));
    let open = bytes(33, [int(1, 1), bytes(2, bytes(5, "object"))].concat());
    let schema = bytes(
        1,
        [bytes(5, "object"), property, list, closed, open, int(40, 1)].concat(),
    );
    let definition = bytes(2, bytes(7, bytes(4, schema)));
    let schema = json!({
        "type": "object", "properties": {"size": {"type": "number", "default": 1.5, "maximum": 2}}, "items": {"type": "string"},
        "additionalProperties": false, "additionalItems": {"type": "object"}, "x-kubernetes-int-or-string": true,
    });
    let spec = json!({"versions": [{"schema": {"openAPIV3Schema": schema}}]});
    assert_eq!(
        read("CustomResourceDefinition", &definition).unwrap(),
        json!({"spec": spec})
    );
}

#[test]
fn a_message_that_comes_twice_is_merged_and_unknown_fields_are_skipped() {
    let group = [
        varint(99 << 3 | 3),
        varint(1 << 3 | 3),
        int(1, 1),
        varint(1 << 3 | 4),
        varint(99 << 3 | 4),
    ]
    .concat();
    let unknown = [
        int(90, 1),
        bytes(91, "x"),
        [varint(92 << 3 | 5), vec![0; 4]].concat(),
        [varint(93 << 3 | 1), vec![0; 8]].concat(),
    ];
    let raw = [
        bytes(1, bytes(1, "a")),
        group,
        unknown.concat(),
        bytes(1, bytes(3, "b")),
    ]
    .concat();
    assert_eq!(
        read("ConfigMap", &raw).unwrap(),
        json!({"metadata": {"name": "a", "namespace": "b"}})
    );
}

#[test]
fn what_is_no_envelope_is_refused_in_the_words_of_the_real_server() {
    let prefix = "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]";
    for (body, why) in [
        (&b""[..], "empty data"),
        (b"k8", prefix),
        (b"{}", prefix),
        (b"k8s\x01\x0a\x00", prefix),
        (b"k8s\0", "empty body"),
        (b"k8s\0\x0a\x05\x0a", "unexpected EOF"),
        (b"k8s\0\x08\x01", "proto: wrong wireType = 0 for field TypeMeta"),
    ] {
        assert_eq!(Envelope::open(body).unwrap_err().to_string(), why);
    }
}

#[test]
fn broken_messages_are_refused_in_the_words_of_the_real_server() {
    for (raw, why) in [
        (vec![0x0a], "unexpected EOF"),
        (vec![0x0a, 0x05, 1], "unexpected EOF"),
        ([vec![0x0a], varint(i64::MAX as u64)].concat(), "unexpected EOF"),
        (
            [vec![0x0a], varint(u64::MAX)].concat(),
            "proto: negative length found during unmarshaling",
        ),
        (vec![0xff; 11], "proto: integer overflow"),
        (vec![0x08, 0x01], "proto: wrong wireType = 0 for field Metadata"),
        (vec![0x00], "proto: ConfigMap: illegal tag 0 (wire type 0)"),
        (vec![0x0c], "proto: ConfigMap: wiretype end group for non-group"),
        (vec![0x0e], "proto: illegal wireType 6"),
        (bytes(2, [0x0f]), "proto: illegal wireType 7"),
    ] {
        assert_eq!(read("ConfigMap", &raw).unwrap_err().to_string(), why, "{raw:?}");
    }
    assert_eq!(
        read("Service", &bytes(2, bytes(1, bytes(4, int(1, 2))))),
        Err(Error::IntOrString)
    );
    assert_eq!(read("Lease", &bytes(2, bytes(4, int(1, i64::MAX)))), Err(Error::Time));
}

#[test]
fn nesting_has_an_end() {
    let nested = |levels: usize| {
        let schema = (0..levels).fold(bytes(5, "object"), |inner, _| bytes(28, inner));
        read(
            "CustomResourceDefinition",
            &bytes(2, bytes(7, bytes(4, bytes(1, schema)))),
        )
    };
    assert!(nested(90).is_ok());
    assert_eq!(nested(100), Err(Error::TooDeep));
    assert_eq!(nested(20_000), Err(Error::TooDeep));
    let groups = [vec![99 << 3 & 0x7f | 0x80 | 3, 6], vec![0x0b; 100_000]].concat();
    assert_eq!(read("ConfigMap", &groups), Err(Error::UnexpectedEof));
}

/// Whether a field has the type that the schema gives it.
fn agrees(kind: &Kind, ty: &Type, schema: &Schema) -> bool {
    match (kind, ty) {
        (_, Type::Any)
        | (Kind::String, Type::String)
        | (Kind::Bool, Type::Bool)
        | (Kind::Int32, Type::Int32)
        | (Kind::Int64, Type::Int64)
        | (Kind::Bytes, Type::Bytes)
        | (Kind::Time, Type::Time)
        | (Kind::MicroTime, Type::MicroTime)
        | (Kind::Quantity, Type::Quantity)
        | (Kind::IntOrString, Type::IntOrString) => true,
        (Kind::List(kind), Type::List(ty)) | (Kind::Map(kind), Type::Map(ty)) => agrees(kind, ty, schema),
        (Kind::Message(id), Type::Struct(of)) => {
            let (message, of) = (&builtin().messages[*id].name, &schema.get(*of).name);
            message == of || (message == "EphemeralContainer" && of == "Container")
        }
        _ => false,
    }
}

/// The fields of a message as JSON shows them, those of embedded messages too.
fn shown(id: usize) -> Vec<&'static super::table::Field> {
    let fields = builtin().messages[id].fields.iter();
    fields
        .flat_map(|field| match &field.kind {
            Kind::Message(inline) if field.name.is_empty() => shown(*inline),
            _ => vec![field],
        })
        .collect()
}

fn compare(structure: &Struct, schema: &Schema, id: usize) {
    let fields = shown(id);
    for field in &fields {
        let at = format!("{}.{}", structure.name, field.name);
        let member = structure
            .field(&field.name)
            .unwrap_or_else(|| panic!("{at} is not in the schema"));
        assert!(
            agrees(&field.kind, member.ty.inner(), schema),
            "{at} is no {:?}",
            member.ty
        );
        if *member.ty.inner() != Type::Any {
            assert_eq!(field.always, member.always, "{at}: always written");
            let may_be_null = matches!(member.ty, Type::Pointer(_));
            assert!(
                field.pointer == may_be_null || matches!(field.kind, Kind::Message(_)),
                "{at}: pointer"
            );
        }
    }
    for member in &structure.fields {
        let name = &member.name;
        let missing = fields.iter().all(|field| field.name != *name);
        let elsewhere = structure.name == "Container" && name == "targetContainerName";
        assert!(!missing || elsewhere, "{}.{name} has no number", structure.name);
    }
}

#[test]
fn the_messages_are_the_types_of_the_schema() {
    let schema = schema();
    let mut compared = 0;
    for (id, message) in builtin().messages.iter().enumerate() {
        if let Some(structure) = schema.id(&message.name) {
            compare(schema.get(structure), schema, id);
            compared += 1;
        }
    }
    assert_eq!(compared, schema.structs.len(), "every type of the schema is a message");
}

#[test]
fn every_kind_that_is_served_is_a_message() {
    for resource in kinds::all() {
        let name = &resource.shape.root().name;
        assert!(builtin().id(name).is_some(), "{name}");
    }
}

#[test]
fn no_message_has_a_number_twice() {
    for message in &builtin().messages {
        for (index, field) in message.fields.iter().enumerate() {
            assert!(field.number > 0);
            let later = &message.fields[index + 1..];
            assert!(
                later.iter().all(|f| f.number > field.number),
                "{} {}",
                message.name,
                field.name
            );
        }
    }
}

proptest! {
    #[test]
    fn random_bytes_never_panic(raw in proptest::collection::vec(any::<u8>(), 0..200), pick in any::<proptest::sample::Index>()) {
        let _ = Envelope::open(&raw);
        let _ = Envelope::open(&[b"k8s\0", &raw[..]].concat());
        let message = &builtin().messages[pick.index(builtin().messages.len())].name;
        let body = enveloped("v1", message, &raw);
        let _ = Envelope::open(&body).unwrap().object(message);
    }

    #[test]
    fn random_fields_never_panic(
        fields in proptest::collection::vec((1..45_u64, 0..6_u64, proptest::collection::vec(any::<u8>(), 0..12)), 0..12),
        pick in any::<proptest::sample::Index>(),
    ) {
        let raw: Vec<u8> = fields
            .iter()
            .flat_map(|(number, wire, content)| match wire {
                2 => bytes(*number, content),
                _ => [varint(number << 3 | wire), content.clone()].concat(),
            })
            .collect();
        let message = &builtin().messages[pick.index(builtin().messages.len())].name;
        let body = enveloped("v1", message, &raw);
        let _ = Envelope::open(&body).unwrap().object(message);
    }
}
