//! Compiles `proto/muster/v1/*.proto` to messages and their canonical JSON.

use std::{
    env,
    error::Error,
    fs,
    path::{Path, PathBuf},
};

use prost_build::Config;
use protox::prost_reflect::prost_types::{EnumDescriptorProto, FileDescriptorSet};

fn main() -> Result<(), Box<dyn Error>> {
    // Asked when it runs: a checkout that was moved keeps its build folder.
    let manifest = env::var_os("CARGO_MANIFEST_DIR").ok_or("cargo does not say where this crate lies")?;
    let root = PathBuf::from(manifest).join("../../proto");
    let mut files: Vec<PathBuf> = fs::read_dir(root.join("muster/v1"))?
        .map(|entry| entry.map(|e| e.path()))
        .collect::<Result<_, _>>()?;
    files.sort();
    println!("cargo:rerun-if-changed={}", root.display());

    let descriptors = protox::compile(&files, [&root])?;
    let out = env::var_os("OUT_DIR").ok_or("cargo does not say where its output goes")?;
    fs::write(
        Path::new(&out).join("beginnings.rs"),
        format!("&{:?}", beginnings(&descriptors)?),
    )?;
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

/// What the names of each enum's values begin with: its unspecified value says so.
fn beginnings(descriptors: &FileDescriptorSet) -> Result<Vec<String>, Box<dyn Error>> {
    let ours = descriptors
        .file
        .iter()
        .filter(|file| file.package() == "muster.v1");
    let mut beginnings = Vec::new();
    for of in ours.flat_map(|file| &file.enum_type) {
        beginnings.push(beginning(of).ok_or_else(|| format!("{} has no unspecified value", of.name()))?);
    }
    Ok(beginnings)
}

fn beginning(of: &EnumDescriptorProto) -> Option<String> {
    let first = of.value.first()?.name().strip_suffix("UNSPECIFIED")?;
    let is_common = of.value.iter().all(|value| value.name().starts_with(first));
    is_common.then(|| first.to_owned())
}
