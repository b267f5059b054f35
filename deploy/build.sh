#!/bin/sh
# Builds one static binary: build.sh PACKAGE BINARY OS ARCH OUTPUT
# CARGO is the cargo to use, VERSION what the binary says it is, MOST how many bytes it may have at most.
set -eu
package=$1 binary=$2 os=$3 arch=$4 output=$5
here=$(cd "$(dirname "$0")/.." && pwd)

case $arch in
amd64) cpu=x86_64 ;;
arm64) cpu=aarch64 ;;
*) echo "there is no build for $os/$arch" >&2; exit 2 ;;
esac
case $os in
linux)
    target=$cpu-unknown-linux-gnu
    # Static, so that an image needs nothing beside it.
    export RUSTFLAGS="${RUSTFLAGS-} -C target-feature=+crt-static -C link-arg=-Wl,-z,pack-relative-relocs"
    if [ "$cpu" != "$(uname -m)" ]; then
        linker=${LINKER:-$cpu-linux-gnu-gcc}
        name=$(echo "$target" | tr a-z- A-Z_)
        export "CARGO_TARGET_${name}_LINKER=$linker"
        export "CC_$(echo "$target" | tr - _)=$linker"
    fi
    ;;
darwin) target=$cpu-apple-darwin ;;
*) echo "there is no build for $os/$arch" >&2; exit 2 ;;
esac

cd "$here"
[ -z "${VERSION-}" ] || export BUILD_VERSION="$VERSION"
${CARGO:-cargo} build --profile dist --target "$target" -p "$package" --bin "$binary"

built=${CARGO_TARGET_DIR:-target}/$target/dist/$binary
size=$(($(wc -c <"$built")))
if [ "$size" -gt "${MOST:-$size}" ]; then
    echo "$built has $size bytes, more than the $MOST it may have: see what made it grow" >&2
    exit 1
fi

mkdir -p "$(dirname "$output")"
# What is made is not part of the source, whoever looks.
[ -e dist/.gitignore ] || { mkdir -p dist && echo '*' >dist/.gitignore; }
# Not in place: who runs the old one goes on running it.
cp "$built" "$output.new"
mv "$output.new" "$output"
echo "$output"
