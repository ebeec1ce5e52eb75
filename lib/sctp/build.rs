//! Finds usrsctp: the static library of Debian's and Ubuntu's `libusrsctp-dev`,
//! else a shared one, else says which package is missing.

use std::path::Path;

const DIRECTORIES: [&str; 6] = [
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/local/lib",
    "/usr/lib64",
    "/usr/local/lib64",
    "/usr/lib",
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=TERN_USRSCTP_DIR");
    let chosen = std::env::var("TERN_USRSCTP_DIR").ok();
    let directories = chosen.as_deref().into_iter().chain(DIRECTORIES);
    for directory in directories {
        for (file, kind) in [("libusrsctp.a", "static"), ("libusrsctp.so", "dylib")] {
            if Path::new(directory).join(file).exists() {
                println!("cargo::rustc-link-search=native={directory}");
                println!("cargo::rustc-link-lib={kind}=usrsctp");
                return;
            }
        }
    }
    println!(
        "cargo::error=usrsctp is missing: install the package `libusrsctp-dev` \
         (`apt-get install libusrsctp-dev`), or point TERN_USRSCTP_DIR at the \
         directory that holds libusrsctp.a"
    );
}
