# Every recipe is plain cargo, so each also works without make.
.PHONY: build test lint bench demo ci fmt deny interop dist
.DEFAULT_GOAL := build

CARGO_DENY_VERSION := 0.20.2

build:
	cargo build --workspace --all-targets

fmt:
	cargo fmt --all -- --check

lint: fmt
	cargo clippy --workspace --all-targets -- -D warnings

# Bans, licences and sources. cargo-deny is installed when it is not there.
deny:
	@cargo deny --version >/dev/null 2>&1 || cargo install cargo-deny --version $(CARGO_DENY_VERSION) --locked
	cargo deny check bans licenses sources

test:
	cargo test --workspace

# A client written in Python from the protocol alone, against the real binary.
interop:
	tests/interop/run

demo:
	cargo run --release -- demo

# The binaries as they are shipped: static, so that they run in Rancher's jail and on any distribution, with relocations
# packed. The target is named because macros, which run at build time, must not be static.
TARGET ?= $(shell rustc -vV | sed -n 's/^host: //p')
DIST := target/$(TARGET)/dist
dist:
	RUSTFLAGS="-C target-feature=+crt-static -C link-arg=-Wl,-z,pack-relative-relocs" cargo build --profile dist --target $(TARGET) -p rackspace-spot --bins

bench: dist
	cargo bench -p kube-sim --bench load
	cargo bench -p cloud-provider --bench nodes
	cargo bench -p local-cluster --bench overhead
	cargo bench -p roadstead-tests --bench driver_process -- $(CURDIR)/$(DIST)/kontainer-engine-driver-rackspacespot

ci: fmt lint deny test interop demo
