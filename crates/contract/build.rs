//! Compiles `proto/muster/v1/*.proto` to messages and their canonical JSON.

use std::{error::Error, fs, path::PathBuf};

use prost_build::Config;

fn main() -> Result<(), Box<dyn Error>> {
    // Asked when it runs: a checkout that was moved keeps its build folder.
    let manifest =
        std::env::var_os("CARGO_MANIFEST_DIR").ok_or("cargo does not say where this crate lies")?;
    let root = PathBuf::from(manifest).join("../../proto");
    let mut files: Vec<PathBuf> = fs::read_dir(root.join("muster/v1"))?
        .map(|entry| entry.map(|e| e.path()))
        .collect::<Result<_, _>>()?;
    files.sort();
    println!("cargo:rerun-if-changed={}", root.display());

    let descriptors = protox::compile(&files, [&root])?;
    let mut json = pbjson_build::Builder::new();
    for file in descriptors.file.clone() {
        json.register_file_descriptor(file);
    }
    json.preserve_proto_field_names()
        .btree_map(["."])
        .build(&[".muster.v1"])?;

    let mut config = Config::new();
    config.bytes([".muster.v1.Frame.payload", ".muster.v1.Frame.correlation"]);
    // Few frames have one.
    config.boxed(".muster.v1.Frame.factory");
    config.btree_map(["."]).compile_fds(descriptors)?;
    Ok(())
}
