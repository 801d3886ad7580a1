//! Compiles the official ONNX schema without a system's `protoc`, and lets binaries find libtorch.

use std::error::Error;

#[path = "../../build/rpath.rs"]
mod rpath;

fn main() -> Result<(), Box<dyn Error>> {
    rpath::main();
    println!("cargo:rerun-if-changed=proto/onnx.proto");
    let schema = protox::compile(["proto/onnx.proto"], ["proto"])?;
    prost_build::Config::new()
        // Weights stay in the file's bytes and are not copied.
        .bytes(["."])
        .disable_comments(["."])
        .compile_fds(schema)?;
    Ok(())
}
