//! The make targets, run for real in a repository of their own, with stand-ins for cargo, the binary and the registry.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::image::{Layout, elf};

/// A repository with the deploy folder, and what stands in for the outside.
pub struct Repository {
    dir: TempDir,
}

/// What a command did.
pub struct Done {
    pub code: i32,
    pub text: String,
}

/// Builds by copying, and notes what it was asked.
const CARGO: &str = r#"#!/bin/sh
echo "$@" >>"$STAND_IN/cargo.log"
[ "$1" = build ] || exit 0
while [ $# -gt 0 ]; do
    case $1 in
    --target) target=$2 ;;
    --bin) binary=$2 ;;
    esac
    shift
done
mkdir -p "$CARGO_TARGET_DIR/$target/dist"
cp "$STAND_IN/${target%%-*}" "$CARGO_TARGET_DIR/$target/dist/$binary"
"#;

const PUSH: &str =
    "mkdir -p $STAND_IN/registry/{ref} && cp -r {layout}/. $STAND_IN/registry/{ref} && echo {image} >>$STAND_IN/pushed";
const PULL: &str = "cp -r $STAND_IN/registry/{ref}/. {layout} && echo {image} >>$STAND_IN/pulled";

impl Repository {
    pub fn new() -> Self {
        let repository = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy");
        let (root, outside) = (repository.root(), repository.outside());
        std::fs::create_dir_all(root.join("deploy/equinix-metal")).unwrap();
        std::fs::create_dir_all(root.join("deploy/phoenixnap")).unwrap();
        std::fs::create_dir_all(&outside).unwrap();
        for file in [
            "cloud-provider.mk",
            "build.sh",
            "oci.py",
            "equinix-metal/Makefile",
            "equinix-metal/deployment.yaml",
        ] {
            std::fs::copy(deploy.join(file), root.join("deploy").join(file)).unwrap();
        }
        std::fs::write(
            root.join("Makefile"),
            "build:\n\t@echo the whole workspace\n-include deploy/*.mk\n",
        )
        .unwrap();
        std::fs::write(outside.join("x86_64"), elf(62, &[])).unwrap();
        std::fs::write(outside.join("aarch64"), elf(183, &[])).unwrap();
        std::fs::write(
            outside.join("ca.pem"),
            "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n",
        )
        .unwrap();
        std::fs::write(outside.join("cargo"), CARGO).unwrap();
        std::fs::set_permissions(outside.join("cargo"), std::fs::Permissions::from_mode(0o755)).unwrap();
        repository.git(&["init", "-q", "-b", "main"]);
        repository.git(&["add", "."]);
        repository.git(&["commit", "-q", "-m", "first"]);
        repository
    }

    pub fn root(&self) -> PathBuf {
        self.dir.path().join("repository")
    }

    fn outside(&self) -> PathBuf {
        self.dir.path().join("outside")
    }

    fn command(&self, program: &str, folder: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(folder)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.dir.path())
            .env("STAND_IN", self.outside())
            .env("CARGO_TARGET_DIR", self.outside().join("target"))
            .env("GIT_CONFIG_NOSYSTEM", "1");
        for who in ["AUTHOR", "COMMITTER"] {
            command
                .env(format!("GIT_{who}_NAME"), "t")
                .env(format!("GIT_{who}_EMAIL"), "t@example.com");
            command.env(format!("GIT_{who}_DATE"), "2026-01-01T00:00:00Z");
        }
        command
    }

    pub fn git(&self, args: &[&str]) -> String {
        let output = self.command("git", &self.root()).args(args).output().unwrap();
        assert!(
            output.status.success(),
            "git {args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Runs make in a folder of the repository.
    pub fn make_in(&self, folder: &str, args: &[&str]) -> Done {
        let outside = self.outside();
        let output = self
            .command("make", &self.root().join(folder))
            .args([
                format!("CARGO={}", outside.join("cargo").display()),
                format!("CA_BUNDLE={}", outside.join("ca.pem").display()),
                "OS=linux".to_owned(),
                "ARCH=amd64".to_owned(),
                format!("PUSH={}", PUSH.replace('$', "$$")),
                format!("PULL={}", PULL.replace('$', "$$")),
                "BUILD_IMAGE=registry.example/cpem".to_owned(),
            ])
            .args(args)
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr]
            .map(|text| String::from_utf8(text).unwrap())
            .concat();
        Done {
            code: output.status.code().unwrap(),
            text,
        }
    }

    /// Runs make where the provider's targets have their plain names.
    pub fn make(&self, args: &[&str]) -> Done {
        self.make_in("deploy/equinix-metal", args)
    }

    #[track_caller]
    pub fn ok(&self, args: &[&str]) -> String {
        let done = self.make(args);
        assert_eq!(done.code, 0, "{args:?}: {}", done.text);
        done.text
    }

    /// What cargo builds for amd64 from now on.
    pub fn stand_in(&self, program: &[u8]) {
        std::fs::write(self.outside().join("x86_64"), program).unwrap();
    }

    fn noted(&self, file: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.outside().join(file)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    pub fn layout(&self) -> Layout {
        Layout(self.root().join("dist/images/cloud-provider-equinix-metal"))
    }
}

fn binary(arch: &str) -> String {
    format!("dist/bin/cloud-provider-equinix-metal-linux-{arch}")
}

#[test]
fn build_makes_the_artefact_and_makes_it_anew_when_the_source_changed() {
    let repository = Repository::new();
    let made = |arch: &str| std::fs::read(repository.root().join(binary(arch))).ok();
    repository.ok(&["build"]);
    assert_eq!((made("amd64"), made("arm64")), (Some(elf(62, &[])), None));
    let newer = [elf(62, &[]), b"newer".to_vec()].concat();
    std::fs::write(repository.outside().join("x86_64"), &newer).unwrap();
    repository.ok(&["build-all"]);
    assert_eq!(
        (made("amd64"), made("arm64")),
        (Some(newer.clone()), Some(elf(183, &[])))
    );
    let asked = repository.noted("cargo.log");
    assert_eq!(
        asked[0],
        "build --profile dist --target x86_64-unknown-linux-gnu -p equinix-metal --bin cloud-provider-equinix-metal"
    );

    let there = repository.dir.path().join("installed");
    repository.ok(&["install", &format!("DESTDIR={}", there.display())]);
    assert_eq!(
        std::fs::read(there.join("cloud-provider-equinix-metal")).unwrap(),
        newer
    );
    assert!(repository.ok(&["install"]).contains("nothing is installed"));
    assert_eq!(repository.make(&["build", "ARCH=riscv"]).code, 2);
    repository.ok(&["clean"]);
    assert_eq!(made("amd64"), None);
    assert_eq!(
        repository.git(&["status", "--porcelain"]),
        "",
        "what is made is no source"
    );
}

#[test]
fn ci_lints_tests_builds_and_makes_images_and_publishes_nothing() {
    let repository = Repository::new();
    repository.ok(&["ci"]);
    let asked: Vec<String> = repository
        .noted("cargo.log")
        .iter()
        .map(|line| line.split(' ').next().unwrap().to_owned())
        .collect();
    assert_eq!(asked, ["fmt", "clippy", "test", "build", "build"]);
    assert_eq!(repository.layout().names(), ["latest-amd64", "latest-arm64"]);
    assert_eq!(repository.noted("pushed"), Vec::<String>::new());
}

#[test]
fn cd_and_release_refuse_without_what_they_need() {
    let repository = Repository::new();
    repository.ok(&["image-all"]);
    for (args, expected) in [
        (
            &["cd"][..],
            "*** CONFIRM is undefined - run using make <target> CONFIRM=true.  Stop.",
        ),
        (
            &["cd", "BRANCH_NAME=main"],
            "*** CONFIRM is undefined - run using make <target> CONFIRM=true.  Stop.",
        ),
        (
            &["cd", "CONFIRM=false", "BRANCH_NAME=main"],
            "*** CONFIRM is not true - run using make <target> CONFIRM=true.  Stop.",
        ),
        (
            &["cd", "CONFIRM=true"],
            "*** BRANCH_NAME is undefined - run using make <target> BRANCH_NAME=var or set an environment variable.  Stop.",
        ),
        (
            &["release"],
            "*** CONFIRM is undefined - run using make <target> CONFIRM=true.  Stop.",
        ),
        (
            &["release", "CONFIRM=true"],
            "*** RELEASE_TAG is undefined - this means we are trying to do a release at a commit which does not have a release tag.  Stop.",
        ),
        (
            &["release", "CONFIRM=true", "RELEASE_TAG=1.2"],
            "RELEASE_TAG 1.2 is not of the form vX.Y.Z",
        ),
        (
            &["release", "CONFIRM=true", "RELEASE_TAG=v1.2.3"],
            "the tag v1.2.3 does not point at this commit",
        ),
    ] {
        let done = repository.make(args);
        assert_eq!(done.code, 2, "{args:?}: {}", done.text);
        assert!(done.text.contains(expected), "{args:?}: {}", done.text);
    }
    repository.git(&["tag", "v1.2.3"]);
    std::fs::write(repository.root().join("new"), "").unwrap();
    for args in [
        &["cd", "CONFIRM=true", "BRANCH_NAME=main"][..],
        &["release", "CONFIRM=true"],
    ] {
        let done = repository.make(args);
        assert_eq!(done.code, 2);
        assert!(done.text.contains("the working tree is dirty"), "{}", done.text);
    }
    std::fs::remove_file(repository.root().join("new")).unwrap();
    repository.git(&["commit", "-q", "--allow-empty", "-m", "second"]);
    let done = repository.make(&["release", "CONFIRM=true", "RELEASE_TAG=v1.2.3"]);
    assert!(done.text.contains("does not point at this commit"), "{}", done.text);
    assert_eq!(repository.noted("pushed"), Vec::<String>::new());
}

#[test]
fn cd_publishes_what_was_built_by_branch_and_by_commit() {
    let repository = Repository::new();
    let cd = ["cd", "CONFIRM=true", "BRANCH_NAME=feature/x"];
    let done = repository.make(&cd);
    assert_eq!(done.code, 2, "nothing was built: {}", done.text);
    assert!(done.text.contains("has no image latest-arm64"), "{}", done.text);

    repository.ok(&["image-all"]);
    let built = repository.noted("cargo.log").len();
    let shown = repository.ok(&[&["-n"][..], &cd].concat());
    assert!(
        shown.contains("publish") && repository.noted("pushed").is_empty(),
        "{shown}"
    );
    repository.ok(&cd);
    let hash = repository.git(&["rev-parse", "--short", "HEAD"]);
    let expected: Vec<String> = ["feature-x", &hash]
        .iter()
        .flat_map(|tag| [format!("{tag}-arm64"), format!("{tag}-amd64"), (*tag).to_owned()])
        .map(|tag| format!("registry.example/cpem:{tag}"))
        .collect();
    assert_eq!(repository.noted("pushed"), expected);
    assert_eq!(repository.noted("cargo.log").len(), built, "cd builds nothing");
    let layout = repository.layout();
    assert_eq!(layout.platforms("feature-x"), ["linux/arm64", "linux/amd64"]);
    assert_eq!(layout.digest("feature-x"), layout.digest(&hash));
    assert_eq!(layout.digest("feature-x-arm64"), layout.digest("latest-arm64"));
    assert!(repository.ok(&["tag"]).lines().any(|line| line == hash));
    layout.check();
}

#[test]
fn release_publishes_the_same_images_under_the_tag_and_fetches_those_it_does_not_have() {
    let repository = Repository::new();
    repository.ok(&["image-all"]);
    repository.ok(&["cd", "CONFIRM=true", "BRANCH_NAME=main"]);
    let before = repository.layout().digest("main");
    repository.git(&["tag", "-a", "v1.2.3-rc.1", "-m", "x"]);
    repository.ok(&["clean"]);
    let built = repository.noted("cargo.log").len();
    repository.ok(&["release", "CONFIRM=true"]);
    let hash = repository.git(&["rev-parse", "--short", "HEAD"]);
    assert_eq!(
        repository.noted("pulled"),
        [
            format!("registry.example/cpem:{hash}-arm64"),
            format!("registry.example/cpem:{hash}-amd64")
        ][..1],
        "the stand-in brings all of a registry at once"
    );
    let pushed: BTreeSet<String> = repository.noted("pushed").into_iter().skip(6).collect();
    let expected = ["", "-amd64", "-arm64"].map(|arch| format!("registry.example/cpem:v1.2.3-rc.1{arch}"));
    assert_eq!(pushed, BTreeSet::from(expected));
    assert_eq!(
        repository.layout().digest("v1.2.3-rc.1"),
        before,
        "a release is what was tested"
    );
    assert_eq!(repository.noted("cargo.log").len(), built, "release builds nothing");
    let manifest = std::fs::read_to_string(repository.root().join("dist/equinix-metal/deployment.yaml")).unwrap();
    assert!(
        manifest.contains("image: registry.example/cpem:v1.2.3-rc.1\n")
            || manifest.contains("image: \"registry.example/cpem:v1.2.3-rc.1\"\n")
    );
    assert!(!manifest.contains("RELEASE_IMG"));
    let version = repository.ok(&["version"]);
    assert!(version.contains("v1.2.3-rc.1\n"), "{version}");
}

#[test]
fn push_moves_one_architecture_and_manifest_push_all_under_one_name() {
    let repository = Repository::new();
    repository.ok(&["push"]);
    assert_eq!(repository.noted("pushed"), ["registry.example/cpem:latest-amd64"]);
    repository.ok(&["push-all"]);
    repository.ok(&["manifest-push"]);
    assert_eq!(
        repository.noted("pushed").last().map(String::as_str),
        Some("registry.example/cpem:latest")
    );
    assert_eq!(repository.layout().platforms("latest"), ["linux/arm64", "linux/amd64"]);
    // A push that fails is a failure, and so is one of what is not there.
    assert_eq!(repository.make(&["push", "PUSH=false"]).code, 2);
}

#[test]
fn from_the_top_the_targets_have_a_prefix_and_serve_other_binaries() {
    let repository = Repository::new();
    let done = repository.make_in(".", &["build"]);
    assert!(done.text.contains("the whole workspace"), "{}", done.text);
    let done = repository.make_in(".", &["provider-build", "BINARY=cloud-provider-phoenixnap"]);
    assert_eq!(done.code, 0, "{}", done.text);
    assert!(
        repository
            .root()
            .join("dist/bin/cloud-provider-phoenixnap-linux-amd64")
            .exists()
    );
    assert!(repository.noted("cargo.log")[0].contains("-p phoenixnap --bin cloud-provider-phoenixnap"));
    let done = repository.make_in(".", &["provider-cd"]);
    assert_eq!(done.code, 2);
    assert!(done.text.contains("CONFIRM is undefined"), "{}", done.text);
}
