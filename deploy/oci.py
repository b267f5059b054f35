#!/usr/bin/env python3
"""Container images as OCI layouts: made, named, joined and checked without a container engine.

A layout is a directory of blobs named by their digests, and an index of what they are called. The same binary at the
same commit gives the same bytes. Written from the image specification, version 1.1.
"""

import argparse
import contextlib
import datetime
import fcntl
import gzip
import hashlib
import io
import json
import pathlib
import shlex
import struct
import subprocess
import sys
import tarfile

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
NAME = "org.opencontainers.image.ref.name"

# The unprivileged user of the image, by the number that is customary for it.
USER = 65532
# What a binary for an architecture says it is for.
MACHINES = {"amd64": 62, "arm64": 183}


class Bad(Exception):
    """What cannot be done, and why."""


class Layout:
    """A directory of images."""

    def __init__(self, path):
        self.path = pathlib.Path(path)

    @contextlib.contextmanager
    def locked(self):
        """One at a time: make may run several."""
        (self.path / "blobs/sha256").mkdir(parents=True, exist_ok=True)
        with open(self.path / ".lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield self

    def blob(self, digest):
        return self.path / "blobs" / digest.replace(":", "/", 1)

    def put(self, data, media_type, **more):
        """Stores bytes. Their descriptor."""
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        write(self.blob(digest), data)
        return {"mediaType": media_type, "digest": digest, "size": len(data), **more}

    def put_json(self, value, media_type, **more):
        return self.put(json.dumps(value, separators=(",", ":")).encode(), media_type, **more)

    def read(self, descriptor):
        """What a descriptor is about, checked against it."""
        try:
            data = self.blob(descriptor["digest"]).read_bytes()
        except FileNotFoundError:
            raise Bad(f"{self.path}: the blob {descriptor['digest']} is missing") from None
        if len(data) != descriptor["size"] or "sha256:" + hashlib.sha256(data).hexdigest() != descriptor["digest"]:
            raise Bad(f"{self.path}: the blob {descriptor['digest']} is damaged")
        return data

    def index(self):
        try:
            return json.loads((self.path / "index.json").read_text())["manifests"]
        except FileNotFoundError:
            return []

    def find(self, ref):
        """The descriptor of that name, without the name."""
        for entry in self.index():
            if entry.get("annotations", {}).get(NAME) == ref:
                return {key: value for key, value in entry.items() if key != "annotations"}
        return None

    def name(self, ref, descriptor):
        """Gives something a name, taking it from what had it. What has no name any more goes."""
        kept = [entry for entry in self.index() if entry.get("annotations", {}).get(NAME) != ref]
        entries = sorted(kept + [{**descriptor, "annotations": {NAME: ref}}], key=lambda it: it["annotations"][NAME])
        write(self.path / "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}
        write(self.path / "index.json", json.dumps(index, indent=1).encode())
        used = set()
        for entry in entries:
            self.walk(entry, used)
        for blob in (self.path / "blobs/sha256").iterdir():
            if "sha256:" + blob.name not in used:
                blob.unlink()

    def walk(self, descriptor, seen):
        """Notes and checks all that a descriptor leads to."""
        if descriptor["digest"] in seen:
            return
        seen.add(descriptor["digest"])
        data = self.read(descriptor)
        if descriptor["mediaType"] == INDEX:
            for child in json.loads(data)["manifests"]:
                self.walk(child, seen)
        elif descriptor["mediaType"] == MANIFEST:
            manifest = json.loads(data)
            for child in [manifest["config"], *manifest["layers"]]:
                self.walk(child, seen)


def write(path, data):
    """Whole or not at all."""
    new = path.with_name(path.name + ".new")
    new.write_bytes(data)
    new.rename(path)


def layer(created, files):
    """A layer of these files (path, mode, content): its bytes, and the digest of what is in them."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        made = set()
        for path, mode, content in files:
            for parent in reversed(pathlib.PurePosixPath(path).parents[:-1]):
                if parent not in made:
                    made.add(parent)
                    entry = tarfile.TarInfo(str(parent))
                    entry.type, entry.mode, entry.mtime = tarfile.DIRTYPE, 0o755, created
                    tar.addfile(entry)
            entry = tarfile.TarInfo(path)
            entry.mode, entry.mtime, entry.size = mode, created, len(content)
            tar.addfile(entry, io.BytesIO(content))
    data = raw.getvalue()
    return gzip.compress(data, mtime=0), "sha256:" + hashlib.sha256(data).hexdigest()


def check_binary(path, data, arch):
    """Refuses what would not start in an image that has nothing else: the wrong architecture, or libraries missing."""
    if arch not in MACHINES:
        raise Bad(f"there is no architecture {arch}: there are {', '.join(MACHINES)}")
    if len(data) < 64 or data[:6] != b"\x7fELF\x02\x01":
        raise Bad(f"{path} is not a 64-bit Linux program")
    (machine,) = struct.unpack_from("<H", data, 18)
    if machine != MACHINES[arch]:
        raise Bad(f"{path} is not for {arch}")
    (offset,) = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    for i in range(count):
        at = offset + i * size
        if at + 4 <= len(data) and struct.unpack_from("<I", data, at) == (3,):
            raise Bad(f"{path} is not static: it asks for a dynamic linker, which the image does not have")


def image(options):
    binary = pathlib.Path(options.binary).read_bytes()
    check_binary(options.binary, binary, options.arch)
    trusted = pathlib.Path(options.ca).read_bytes()
    if b"-----BEGIN CERTIFICATE-----" not in trusted:
        raise Bad(f"{options.ca} has no certificates: the image would trust nobody")
    base = [
        ("etc/passwd", 0o644, f"root:x:0:0:root:/:/sbin/nologin\nnonroot:x:{USER}:{USER}:nonroot:/:/sbin/nologin\n".encode()),
        ("etc/group", 0o644, f"root:x:0:\nnonroot:x:{USER}:\n".encode()),
        ("etc/ssl/certs/ca-certificates.crt", 0o644, trusted),
    ]
    created = datetime.datetime.fromtimestamp(options.created, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    labels = dict(label.split("=", 1) for label in options.label)
    labels.setdefault("org.opencontainers.image.title", options.name)
    with Layout(options.layout).locked() as layout:
        layers, contents, history = [], [], []
        for what, files in [("trust and users", base), (options.name, [(options.name, 0o755, binary)])]:
            data, content = layer(options.created, files)
            layers.append(layout.put(data, LAYER))
            contents.append(content)
            history.append({"created": created, "created_by": what})
        config = {
            "created": created,
            "architecture": options.arch,
            "os": "linux",
            "config": {
                "User": f"{USER}:{USER}",
                "Env": ["PATH=/", "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"],
                "Entrypoint": [f"./{options.name}"],
                "WorkingDir": "/",
                "Labels": labels,
            },
            "rootfs": {"type": "layers", "diff_ids": contents},
            "history": history,
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": layout.put_json(config, CONFIG),
            "layers": layers,
            "annotations": {**labels, "org.opencontainers.image.created": created},
        }
        platform = {"architecture": options.arch, "os": "linux"}
        made = layout.put_json(manifest, MANIFEST, platform=platform)
        layout.name(options.ref, made)
        print(f"{options.layout}:{options.ref} {made['digest']}")


def join(layout, ref, parts):
    """Gives several images one name."""
    found = [with_platform(layout, layout.find(part) or missing(layout, part)) for part in parts]
    layout.name(ref, layout.put_json({"schemaVersion": 2, "mediaType": INDEX, "manifests": found}, INDEX))


def with_platform(layout, descriptor):
    """A descriptor that says what the image is for: one that came from a registry may not."""
    if "platform" not in descriptor and descriptor["mediaType"] == MANIFEST:
        config = json.loads(layout.read(json.loads(layout.read(descriptor))["config"]))
        platform = {key: config[key] for key in ("architecture", "os", "variant") if key in config}
        descriptor = {**descriptor, "platform": platform}
    return descriptor


def missing(layout, ref):
    raise Bad(f"{layout.path} has no image {ref}: make it first (image-all)")


def index(options):
    with Layout(options.layout).locked() as layout:
        join(layout, options.ref, options.parts)


def move(command, layout, ref, repository):
    """Runs a command that moves an image to a registry or from it."""
    values = {"{layout}": str(layout.path), "{ref}": ref, "{image}": f"{repository}:{ref}"}
    for word, value in values.items():
        command = command.replace(word, shlex.quote(value))
    print(command, flush=True)
    if subprocess.run(command, shell=True).returncode != 0:
        raise Bad(f"{repository}:{ref} could not be moved")


def push(options):
    layout = Layout(options.layout)
    if layout.find(options.ref) is None:
        missing(layout, options.ref)
    move(options.push, layout, options.ref, options.image)


def publish(options):
    """Gives images of all architectures a new tag, and pushes them and what joins them."""
    layout = Layout(options.layout)
    for arch in options.arch:
        ref = f"{options.source}-{arch}"
        if layout.find(ref) is None and options.pull:
            layout.path.mkdir(parents=True, exist_ok=True)
            move(options.pull, layout, ref, options.image)
        if layout.find(ref) is None:
            missing(layout, ref)
    refs = [f"{options.tag}-{arch}" for arch in options.arch]
    with layout.locked():
        for arch, ref in zip(options.arch, refs):
            layout.name(ref, layout.find(f"{options.source}-{arch}"))
        join(layout, options.tag, refs)
    for ref in [*refs, options.tag]:
        move(options.push, layout, ref, options.image)


def check(options):
    layout = Layout(options.layout)
    if not layout.index():
        raise Bad(f"{layout.path} has no images")
    for entry in layout.index():
        layout.walk(entry, set())
        print(entry["annotations"][NAME], entry["digest"])


def arguments():
    parser = argparse.ArgumentParser(description="container images as OCI layouts")
    calls = parser.add_subparsers(required=True)

    def call(name, act, *words):
        added = calls.add_parser(name)
        added.set_defaults(act=act)
        for word in ("layout", *words):
            added.add_argument(word)
        return added

    made = call("image", image, "ref")
    for flag in ("--binary", "--name", "--arch", "--ca"):
        made.add_argument(flag, required=True)
    made.add_argument("--created", type=int, required=True, help="seconds since 1970")
    made.add_argument("--label", action="append", default=[], metavar="KEY=VALUE")
    call("index", index, "ref").add_argument("parts", nargs="+")
    pushed = call("push", push, "ref")
    pushed.add_argument("--image", required=True)
    pushed.add_argument("--push", required=True)
    published = call("publish", publish, "source", "tag")
    published.add_argument("--arch", action="append", required=True)
    published.add_argument("--image", required=True)
    published.add_argument("--push", required=True)
    published.add_argument("--pull")
    call("check", check)
    return parser.parse_args()


def main():
    options = arguments()
    try:
        options.act(options)
    except (Bad, OSError) as error:
        sys.exit(f"oci.py: {error}")


if __name__ == "__main__":
    main()
