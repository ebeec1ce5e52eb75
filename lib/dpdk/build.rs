//! Finds DPDK, of a version that this was made for, and compiles the shim against its headers; or says
//! what is missing. Without the feature `dpdk` it does nothing.

mod version;

use std::process::Command;

/// What the shim calls. Of drivers only the one of rings is called; DPDK loads them all by itself.
const LIBRARIES: [&str; 7] =
    ["rte_eal", "rte_ethdev", "rte_mbuf", "rte_mempool", "rte_ring", "rte_net", "rte_net_ring"];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=version.rs");
    println!("cargo::rerun-if-changed=shim");
    if std::env::var_os("CARGO_FEATURE_DPDK").is_none() {
        return;
    }
    if let Err(why) = build() {
        println!("cargo::error={why}");
    }
}

fn build() -> Result<(), String> {
    version::check(&pkg_config("--modversion")?)?;
    let mut shim = cc::Build::new();
    shim.file("shim/shim.c").warnings_into_errors(true).extra_warnings(false);
    for flag in pkg_config("--cflags")?.split_whitespace() {
        // Its headers are not ours to be warned of.
        match flag.strip_prefix("-I") {
            Some(path) => shim.flag("-isystem").flag(path),
            None => shim.flag(flag),
        };
    }
    shim.try_compile("tern_dpdk_shim").map_err(|error| error.to_string())?;
    println!("cargo::rustc-link-search=native={}", pkg_config("--variable=libdir")?);
    for library in LIBRARIES {
        println!("cargo::rustc-link-lib=dylib={library}");
    }
    Ok(())
}

/// What pkg-config says of DPDK.
fn pkg_config(question: &str) -> Result<String, String> {
    let asked = Command::new("pkg-config").args([question, "libdpdk"]).output();
    let output = asked.map_err(|error| format!("pkg-config: {error}"))?;
    if !output.status.success() {
        return Err("DPDK is missing: install the packages `dpdk-dev` and `libdpdk-dev` \
             (`scripts/setup dpdk`), or build without the feature `dpdk`"
            .to_owned());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
