//! Images as OCI layouts, read here by somebody who did not write them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::PathBuf;

use flate2::read::GzDecoder;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::make::Repository;

/// The least of a Linux program that is for this machine, with program headers of these types.
pub fn elf(machine: u16, headers: &[u32]) -> Vec<u8> {
    let mut file = vec![0; 64];
    file[..6].copy_from_slice(b"\x7fELF\x02\x01");
    file[18..20].copy_from_slice(&machine.to_le_bytes());
    file[32..40].copy_from_slice(&64_u64.to_le_bytes());
    file[54..56].copy_from_slice(&56_u16.to_le_bytes());
    file[56..58].copy_from_slice(&(headers.len() as u16).to_le_bytes());
    for header in headers {
        let mut entry = vec![0; 56];
        entry[..4].copy_from_slice(&header.to_le_bytes());
        file.extend(entry);
    }
    file
}

/// A directory of images.
pub struct Layout(pub PathBuf);

impl Layout {
    /// The content of a blob, held against its descriptor.
    fn blob(&self, descriptor: &Value) -> Vec<u8> {
        let digest = descriptor["digest"].as_str().unwrap();
        let data = std::fs::read(self.0.join("blobs").join(digest.replace(':', "/"))).unwrap();
        assert_eq!(descriptor["size"], data.len(), "{digest}");
        assert_eq!(format!("sha256:{}", hex(&Sha256::digest(&data))), digest);
        data
    }

    fn json(&self, descriptor: &Value) -> Value {
        serde_json::from_slice(&self.blob(descriptor)).unwrap()
    }

    fn index(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.0.join("index.json")).unwrap()).unwrap()
    }

    fn find(&self, name: &str) -> Value {
        let index = self.index();
        let mut entries = index["manifests"].as_array().unwrap().iter();
        let found = entries.find(|it| it["annotations"]["org.opencontainers.image.ref.name"] == name);
        found.unwrap_or_else(|| panic!("no image {name}: {index}")).clone()
    }

    pub fn names(&self) -> Vec<String> {
        let index = self.index();
        let entries = index["manifests"].as_array().unwrap().iter();
        entries
            .map(|it| {
                it["annotations"]["org.opencontainers.image.ref.name"]
                    .as_str()
                    .unwrap()
                    .to_owned()
            })
            .collect()
    }

    pub fn digest(&self, name: &str) -> String {
        self.find(name)["digest"].as_str().unwrap().to_owned()
    }

    /// What the images joined under a name are for.
    pub fn platforms(&self, name: &str) -> Vec<String> {
        let entry = self.find(name);
        assert_eq!(entry["mediaType"], "application/vnd.oci.image.index.v1+json");
        let index = self.json(&entry);
        assert_eq!(index["mediaType"], entry["mediaType"]);
        let text = |it: &Value| {
            format!(
                "{}/{}",
                it["platform"]["os"].as_str().unwrap(),
                it["platform"]["architecture"].as_str().unwrap()
            )
        };
        index["manifests"].as_array().unwrap().iter().map(text).collect()
    }

    /// Follows everything from the index to the layers, and holds that nothing else lies about.
    pub fn check(&self) {
        let layout = std::fs::read_to_string(self.0.join("oci-layout")).unwrap();
        assert_eq!(
            serde_json::from_str::<Value>(&layout).unwrap(),
            json!({"imageLayoutVersion": "1.0.0"})
        );
        let mut seen = BTreeSet::new();
        let index = self.index();
        assert_eq!(
            (&index["schemaVersion"], &index["mediaType"]),
            (&json!(2), &json!("application/vnd.oci.image.index.v1+json"))
        );
        for entry in index["manifests"].as_array().unwrap() {
            self.follow(entry, &mut seen);
        }
        let there = std::fs::read_dir(self.0.join("blobs/sha256")).unwrap().count();
        assert_eq!(there, seen.len(), "blobs that nothing names");
    }

    fn follow(&self, descriptor: &Value, seen: &mut BTreeSet<String>) {
        seen.insert(descriptor["digest"].as_str().unwrap().to_owned());
        let content = self.blob(descriptor);
        let parse = || serde_json::from_slice::<Value>(&content).unwrap();
        match descriptor["mediaType"].as_str().unwrap() {
            "application/vnd.oci.image.index.v1+json" => {
                for child in parse()["manifests"].as_array().unwrap() {
                    self.follow(child, seen);
                }
            }
            "application/vnd.oci.image.manifest.v1+json" => {
                let manifest = parse();
                assert_eq!(
                    manifest["config"]["mediaType"],
                    "application/vnd.oci.image.config.v1+json"
                );
                self.follow(&manifest["config"], seen);
                let config = self.json(&manifest["config"]);
                let layers = manifest["layers"].as_array().unwrap();
                let contents = config["rootfs"]["diff_ids"].as_array().unwrap();
                assert_eq!(layers.len(), contents.len());
                for (layer, content) in layers.iter().zip(contents) {
                    self.follow(layer, seen);
                    assert_eq!(
                        format!("sha256:{}", hex(&Sha256::digest(unpack(&self.blob(layer))))),
                        content.as_str().unwrap()
                    );
                }
            }
            "application/vnd.oci.image.config.v1+json" | "application/vnd.oci.image.layer.v1.tar+gzip" => {}
            other => panic!("{other} is no media type of an image"),
        }
    }

    /// The files of an image: mode and content by path, as they are when all layers are unpacked.
    fn files(&self, name: &str) -> BTreeMap<String, (u64, Vec<u8>)> {
        let manifest = self.json(&self.find(name));
        let layers = manifest["layers"].as_array().unwrap();
        layers
            .iter()
            .flat_map(|layer| entries(&unpack(&self.blob(layer))))
            .collect()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn unpack(data: &[u8]) -> Vec<u8> {
    let mut raw = Vec::new();
    GzDecoder::new(data).read_to_end(&mut raw).unwrap();
    raw
}

/// The entries of a tar: name, mode, content.
fn entries(tar: &[u8]) -> Vec<(String, (u64, Vec<u8>))> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.iter().copied().take_while(|b| *b != 0).collect()).unwrap();
    let octal = |bytes: &[u8]| u64::from_str_radix(text(bytes).trim(), 8).unwrap();
    let (mut at, mut found) = (0, Vec::new());
    while tar[at] != 0 {
        let head = &tar[at..at + 512];
        let size = octal(&head[124..136]) as usize;
        assert_eq!(
            (octal(&head[108..116]), octal(&head[116..124])),
            (0, 0),
            "root owns what is in the image"
        );
        found.push((
            text(&head[..100]),
            (octal(&head[100..108]), tar[at + 512..at + 512 + size].to_vec()),
        ));
        at += 512 + size.div_ceil(512) * 512;
    }
    found
}

#[test]
fn an_image_has_the_binary_what_it_trusts_and_an_unprivileged_user() {
    let repository = Repository::new();
    repository.ok(&["image-all"]);
    let layout = repository.layout();
    layout.check();
    for (arch, machine) in [("amd64", 62), ("arm64", 183)] {
        let name = format!("latest-{arch}");
        let manifest = layout.json(&layout.find(&name));
        let config = layout.json(&manifest["config"]);
        assert_eq!(
            (&config["architecture"], &config["os"]),
            (&json!(arch), &json!("linux"))
        );
        assert_eq!(config["config"]["User"], "65532:65532");
        assert_eq!(
            config["config"]["Entrypoint"],
            json!(["./cloud-provider-equinix-metal"])
        );
        assert_eq!(config["config"]["WorkingDir"], "/");
        assert_eq!(config["created"], "2026-01-01T00:00:00Z");
        let revision = repository.git(&["rev-parse", "HEAD"]);
        assert_eq!(
            config["config"]["Labels"]["org.opencontainers.image.revision"],
            revision
        );
        let files = layout.files(&name);
        assert_eq!(files["cloud-provider-equinix-metal"], (0o755, elf(machine, &[])));
        assert!(
            files["etc/ssl/certs/ca-certificates.crt"]
                .1
                .starts_with(b"-----BEGIN CERTIFICATE-----")
        );
        assert!(String::from_utf8_lossy(&files["etc/passwd"].1).contains("nonroot:x:65532:65532:"));
    }
}

#[test]
fn the_same_source_gives_the_same_image_to_the_byte() {
    let (one, two) = (Repository::new(), Repository::new());
    for repository in [&one, &two] {
        repository.ok(&["image-all"]);
    }
    assert_eq!(one.layout().digest("latest-arm64"), two.layout().digest("latest-arm64"));
    let before = one.layout().digest("latest-amd64");
    one.ok(&["image-all", "-j2"]);
    assert_eq!(one.layout().digest("latest-amd64"), before);
    one.layout().check();
}

#[test]
fn what_would_not_start_does_not_become_an_image() {
    let repository = Repository::new();
    let (interpreter, machine) = (3, 62);
    for (program, expected) in [
        (elf(183, &[]), "is not for amd64"),
        (elf(machine, &[1, interpreter]), "is not static"),
        (b"#!/bin/sh\n".to_vec(), "is not a 64-bit Linux program"),
    ] {
        repository.stand_in(&program);
        let done = repository.make(&["image"]);
        assert_eq!(done.code, 2);
        assert!(done.text.contains(expected), "{}", done.text);
    }
    repository.stand_in(&elf(machine, &[1, 2, 6]));
    repository.ok(&["image"]);
    let done = repository.make(&["image", "CA_BUNDLE=/dev/null"]);
    assert!(
        done.code == 2 && done.text.contains("would trust nobody"),
        "{}",
        done.text
    );
}
