//! Compiles `proto/drivers.proto` with protox, so that nobody needs `protoc`.

use std::error::Error;
use std::path::PathBuf;

use prost::Message as _;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto/drivers.proto");
    let mut descriptors = protox::compile(["drivers.proto"], ["proto"])?;
    tonic_prost_build::configure()
        .btree_map(".")
        // Both can carry secrets; `wire/redact.rs` writes their `Debug`. The other messages show them only through it.
        .skip_debug([".types.ClusterInfo", ".types.DriverOptions"])
        .compile_fds(descriptors.clone())?;

    // For reflection: the descriptors without the comments.
    for file in &mut descriptors.file {
        file.source_code_info = None;
    }
    let out = PathBuf::from(std::env::var("OUT_DIR")?).join("drivers.bin");
    std::fs::write(out, descriptors.encode_to_vec())?;
    Ok(())
}
