# Every recipe is plain cargo, or a script that says what it does, so each also works without make.
.PHONY: build test lint bench demo ci fmt deny interop secrets dist
.DEFAULT_GOAL := build

CARGO_DENY_VERSION := 0.20.2

build:
	cargo build --workspace --all-targets

fmt:
	cargo fmt --all -- --check

lint: fmt
	cargo clippy --workspace --all-targets -- -D warnings
	cargo clippy -p cloud-provider --lib --features otel -- -D warnings

# Bans, licences and sources. cargo-deny is installed when it is not there; its own release profile (one code unit, fat
# LTO) takes three times as long to build, for a program that then runs for five seconds.
deny:
	@cargo deny --version >/dev/null 2>&1 || \
		CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
		cargo install cargo-deny --version $(CARGO_DENY_VERSION) --locked
	cargo deny check bans licenses sources

# What tests leave for `secrets` to search: logs, output, events, metrics.
EVIDENCE := $(CURDIR)/target/evidence
test interop secrets: export ROADSTEAD_EVIDENCE := $(EVIDENCE)
# Tests that start binaries find them: they are all built before the first test runs.
test: export ROADSTEAD_BUILT := 1

test:
	rm -rf $(EVIDENCE)
	cargo test --workspace
	cargo test -p cloud-provider --features otel --lib telemetry

# A client written in Python from the protocol alone, against the real binary. The binaries are those of the tests:
# another selection of crates would be another selection of features, and a quarter of everything would be built again.
interop:
	cargo test --workspace --no-run
	tests/interop/run target/debug/kontainer-engine-driver-rackspacespot target/debug/roadstead

# After `test` and `interop`: no credential is in anything they left.
secrets:
	cargo test --workspace --test secrets -- --ignored

demo:
	cargo run --release -- demo

# The demo is one of the tests, so it is not built a second time in another profile here.
ci: fmt lint deny test interop secrets

# The binaries as they are shipped: static, so that they run in Rancher's jail and on any distribution. Each
# PACKAGE:BINARY:MOST is built for each OS-ARCH into dist/bin, where it may have MOST bytes, packed into an archive in which
# it has the name that Rancher looks for, and summed up in dist/sha256sums.txt. Another architecture than this machine's needs Rust's standard library for it
# (`rustup target add aarch64-unknown-linux-gnu`) and a C compiler and linker for it, because ring has parts in C
# (`apt install gcc-aarch64-linux-gnu`; LINKER names another one):
#   make dist DIST_TARGETS="linux-amd64 linux-arm64"
HOST_ARCH := $(shell uname -m | sed -e s/aarch64/arm64/ -e s/x86_64/amd64/)
DIST_BINARIES ?= rackspace-spot:kontainer-engine-driver-rackspacespot:6500000 \
	equinix-metal:cloud-provider-equinix-metal:12000000 phoenixnap:cloud-provider-phoenixnap:12000000
DIST_TARGETS ?= linux-$(HOST_ARCH)
DIST := dist

dist: $(DIST_TARGETS:%=dist-%)
	cd $(DIST) && sha256sum *.tar.gz bin/*-* >sha256sums.txt && cat sha256sums.txt

dist-%:
	@set -e; for entry in $(DIST_BINARIES); do \
		package=$${entry%%:*}; rest=$${entry#*:}; binary=$${rest%%:*}; \
		MOST=$${rest#*:} deploy/build.sh $$package $$binary $(subst -, ,$*) $(DIST)/bin/$$binary-$*; \
		tar --create --directory $(DIST)/bin --transform "s|.*|$$binary|" --mode 0755 --owner 0 --group 0 --numeric-owner \
			--mtime @$$(git log -1 --format=%ct) $$binary-$* | gzip -9n >$(DIST)/$$binary-$*.tar.gz; \
	done

bench: dist
	cargo bench -p kube-sim --bench load
	cargo bench -p cloud-provider --bench nodes
	cargo bench -p local-cluster --bench overhead
	cargo bench -p roadstead-tests --bench driver_process -- \
		$(CURDIR)/$(DIST)/bin/kontainer-engine-driver-rackspacespot-linux-$(HOST_ARCH)
	cargo build --profile dist -p cloud-provider --example depot
	cargo bench -p roadstead-tests --bench cloud_manager -- framework=$(CURDIR)/target/dist/examples/depot \
		equinix-metal=$(CURDIR)/$(DIST)/bin/cloud-provider-equinix-metal-linux-$(HOST_ARCH) \
		phoenixnap=$(CURDIR)/$(DIST)/bin/cloud-provider-phoenixnap-linux-$(HOST_ARCH)

# Images and manifests of the controller managers.
-include $(wildcard deploy/*.mk)
