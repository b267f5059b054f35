# How a cloud provider's binary is built, put into an image, and published.
#
# From the top of the repository:  make provider-build BINARY=cloud-provider-equinix-metal
# From deploy/equinix-metal:       make build
#
# An image is an OCI layout on disk: no container engine is needed to make one. PUSH and PULL are the commands that move
# images between that layout and a registry; in them {image} stands for the name in the registry, {layout} for the
# directory and {ref} for the name in it. `make -n cd …` shows what would be done.

BINARY ?= cloud-provider-equinix-metal
# The package that has the binary.
PACKAGE ?= $(BINARY:cloud-provider-%=%)
# What stands before the name of every target here, so that they are alone among others.
PREFIX ?= provider-

BUILD_IMAGE ?= ghcr.io/roadstead/$(BINARY)
BUILD_TAG ?= latest
ARCHES ?= arm64 amd64
OS ?= $(shell uname -s | tr A-Z a-z)
ARCH ?= $(shell uname -m | sed -e s/aarch64/arm64/ -e s/x86_64/amd64/)

CARGO ?= cargo
PYTHON ?= python3
KUBECTL ?= kubectl
PUSH ?= skopeo copy --all oci:{layout}:{ref} docker://{image}
PULL ?= skopeo copy docker://{image} oci:{layout}:{ref}
# What the image trusts.
CA_BUNDLE ?= /etc/ssl/certs/ca-certificates.crt

CP_DEPLOY := $(abspath $(dir $(lastword $(MAKEFILE_LIST))))
CP_ROOT := $(abspath $(CP_DEPLOY)/..)
CP_GIT := git -C $(CP_ROOT)
CP_OUT = $(CP_ROOT)/dist
CP_LAYOUT = $(CP_OUT)/images/$(BINARY)
CP_OCI = $(PYTHON) $(CP_DEPLOY)/oci.py

GIT_VERSION ?= $(shell $(CP_GIT) rev-parse --short HEAD)
RELEASE_TAG ?= $(shell $(CP_GIT) tag --points-at HEAD --sort=version:refname 'v*' | tail -n 1)
CP_LAST_TAG = $(or $(shell $(CP_GIT) describe --tags --abbrev=0 --match 'v*' 2>/dev/null),v0.0.0)
VERSION ?= $(or $(RELEASE_TAG),$(CP_LAST_TAG)-$(GIT_VERSION))
# What an image is published from.
FROMTAG ?= $(BUILD_TAG)
# A branch's name as a tag may be.
CP_BRANCH_TAG = $(subst /,-,$(BRANCH_NAME))

CP_TARGETS := build build-all image image-all push push-all manifest manifest-push yaml fmt lint test race ci cd release \
	confirm tag version install clean deploy undeploy
.PHONY: $(CP_TARGETS:%=$(PREFIX)%)

# $(call cp_build,OS,ARCH): cargo knows whether there is anything to do.
cp_build = CARGO='$(CARGO)' VERSION='$(VERSION)' $(CP_DEPLOY)/build.sh $(PACKAGE) $(BINARY) $(1) $(2) $(CP_OUT)/bin/$(BINARY)-$(1)-$(2)
# $(call cp_publish,FROM,TO,MORE): for each architecture and then for all of them together.
cp_publish = $(CP_OCI) publish $(CP_LAYOUT) $(1) $(2) $(ARCHES:%=--arch %) --image $(BUILD_IMAGE) --push '$(PUSH)' $(3)
cp_clean_tree = @test -z "$$($(CP_GIT) status --porcelain)" || { echo "the working tree is dirty - commit first" >&2; exit 1; }

$(PREFIX)build:
	$(call cp_build,$(OS),$(ARCH))

$(PREFIX)build-all: $(ARCHES:%=$(PREFIX)build-linux-%)

$(PREFIX)build-linux-%:
	$(call cp_build,linux,$*)

$(PREFIX)image: $(PREFIX)image-linux-$(ARCH)

$(PREFIX)image-all: $(ARCHES:%=$(PREFIX)image-linux-%)

$(PREFIX)image-linux-%: $(PREFIX)build-linux-%
	$(CP_OCI) image $(CP_LAYOUT) $(BUILD_TAG)-$* --binary $(CP_OUT)/bin/$(BINARY)-linux-$* --name $(BINARY) --arch $* \
		--ca $(CA_BUNDLE) --created $$($(CP_GIT) log -1 --format=%ct) \
		--label org.opencontainers.image.version=$(VERSION) \
		--label org.opencontainers.image.revision=$$($(CP_GIT) rev-parse HEAD)

# The image of one architecture, as it was built.
$(PREFIX)push: $(PREFIX)push-linux-$(ARCH)

$(PREFIX)push-all: $(ARCHES:%=$(PREFIX)push-linux-%)

$(PREFIX)push-linux-%: $(PREFIX)image-linux-%
	$(CP_OCI) push $(CP_LAYOUT) $(BUILD_TAG)-$* --image $(BUILD_IMAGE) --push '$(PUSH)'

# One name for all architectures.
$(PREFIX)manifest: $(PREFIX)image-all
	$(CP_OCI) index $(CP_LAYOUT) $(BUILD_TAG) $(ARCHES:%=$(BUILD_TAG)-%)

$(PREFIX)manifest-push: $(PREFIX)manifest
	$(CP_OCI) push $(CP_LAYOUT) $(BUILD_TAG) --image $(BUILD_IMAGE) --push '$(PUSH)'

# What `kubectl apply` takes, with the image named.
$(PREFIX)yaml:
	mkdir -p $(CP_OUT)/$(PACKAGE)
	sed 's|RELEASE_IMG|$(BUILD_IMAGE):$(VERSION)|' $(CP_DEPLOY)/$(PACKAGE)/deployment.yaml >$(CP_OUT)/$(PACKAGE)/deployment.yaml

$(PREFIX)fmt:
	$(CARGO) fmt -p $(PACKAGE) -- --check

$(PREFIX)lint: $(PREFIX)fmt
	$(CARGO) clippy -p $(PACKAGE) --all-targets -- -D warnings

$(PREFIX)test:
	$(CARGO) test -p $(PACKAGE)

# The compiler has looked for races already.
$(PREFIX)race: $(PREFIX)test

# What `cd` publishes afterwards is what was tested.
$(PREFIX)ci: $(PREFIX)lint $(PREFIX)test $(PREFIX)build-all $(PREFIX)image-all

$(PREFIX)confirm:
	$(if $(CONFIRM),,$(error CONFIRM is undefined - run using make <target> CONFIRM=true))
	$(if $(filter-out true,$(CONFIRM)),$(error CONFIRM is not true - run using make <target> CONFIRM=true))
	@:

# Publishes what image-all made, under the name of the branch and under the commit. Builds nothing.
$(PREFIX)cd: $(PREFIX)confirm
	$(if $(BRANCH_NAME),,$(error BRANCH_NAME is undefined - run using make <target> BRANCH_NAME=var or set an environment variable))
	$(cp_clean_tree)
	$(call cp_publish,$(FROMTAG),$(CP_BRANCH_TAG))
	$(call cp_publish,$(FROMTAG),$(GIT_VERSION))

# Publishes what cd published for this commit once more, under the release's tag. Builds nothing.
$(PREFIX)release: $(PREFIX)confirm
	$(if $(RELEASE_TAG),,$(error RELEASE_TAG is undefined - this means we are trying to do a release at a commit which does not have a release tag))
	$(cp_clean_tree)
	@echo '$(RELEASE_TAG)' | grep -Eqx 'v[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?' || \
		{ echo "RELEASE_TAG $(RELEASE_TAG) is not of the form vX.Y.Z" >&2; exit 1; }
	@test "$$($(CP_GIT) rev-parse -q --verify '$(RELEASE_TAG)^{commit}')" = "$$($(CP_GIT) rev-parse HEAD)" || \
		{ echo "the tag $(RELEASE_TAG) does not point at this commit" >&2; exit 1; }
	$(call cp_publish,$(GIT_VERSION),$(RELEASE_TAG),--pull '$(PULL)')
	mkdir -p $(CP_OUT)/$(PACKAGE)
	sed 's|RELEASE_IMG|$(BUILD_IMAGE):$(RELEASE_TAG)|' $(CP_DEPLOY)/$(PACKAGE)/deployment.yaml >$(CP_OUT)/$(PACKAGE)/deployment.yaml

$(PREFIX)tag:
	@echo $(GIT_VERSION)

$(PREFIX)version:
	@echo $(VERSION)

$(PREFIX)install: $(PREFIX)build
	$(if $(DESTDIR),install -D -m 0755 $(CP_OUT)/bin/$(BINARY)-$(OS)-$(ARCH) $(DESTDIR)/$(BINARY),@echo "DESTDIR is not set: nothing is installed")

$(PREFIX)clean:
	rm -rf $(CP_OUT)/bin/$(BINARY)-* $(CP_LAYOUT) $(CP_OUT)/$(PACKAGE)

$(PREFIX)deploy: $(PREFIX)yaml
	$(KUBECTL) apply -f $(CP_OUT)/$(PACKAGE)/deployment.yaml

$(PREFIX)undeploy: $(PREFIX)yaml
	$(KUBECTL) delete --ignore-not-found -f $(CP_OUT)/$(PACKAGE)/deployment.yaml
