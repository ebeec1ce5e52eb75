//! Finds usrsctp, the static library of Debian's and Ubuntu's `libusrsctp-dev`, and has its receive
//! threads call us where [`OURS`] says (`src/usrsctp/stack.rs`); or says what is missing.

use std::path::{Path, PathBuf};
use std::process::Command;

const DIRECTORIES: [&str; 6] = [
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/local/lib",
    "/usr/lib64",
    "/usr/local/lib64",
    "/usr/lib",
];
const ARCHIVE: &str = "libusrsctp.a";
/// The object whose threads read the sockets.
const RECEIVER: &str = "user_recv_thread";
/// What it calls with each packet, and to prepare its sockets; and what it calls in their place.
const OURS: [&str; 2] =
    ["sctp_common_input_processing=tern_usrsctp_input", "setsockopt=tern_usrsctp_setsockopt"];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=TERN_USRSCTP_DIR");
    let chosen = std::env::var("TERN_USRSCTP_DIR").ok();
    let directories = chosen.as_deref().into_iter().chain(DIRECTORIES);
    let Some(archive) = directories.map(|path| Path::new(path).join(ARCHIVE)).find(|path| path.exists())
    else {
        println!(
            "cargo::error=usrsctp is missing: install the package `libusrsctp-dev` \
             (`apt-get install libusrsctp-dev`), or point TERN_USRSCTP_DIR at the \
             directory that holds {ARCHIVE}"
        );
        return;
    };
    println!("cargo::rerun-if-changed={}", archive.display());
    if let Err(why) = redirect(&archive) {
        println!("cargo::error={} cannot be prepared: {why}", archive.display());
    }
}

/// Links a copy of the archive in which [`RECEIVER`] calls us in the place of the library.
fn redirect(archive: &Path) -> Result<(), String> {
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo gives no OUT_DIR")?);
    let copy = out.join("libtern_usrsctp.a");
    std::fs::copy(archive, &copy).map_err(|error| format!("copying it to {}: {error}", copy.display()))?;
    let copy = copy.to_string_lossy();
    let members = run(&out, "ar", &["t", &copy])?;
    let receiver = members
        .lines()
        .find(|name| name.contains(RECEIVER))
        .ok_or("it holds no object of its receive threads")?;
    run(&out, "ar", &["x", &copy, receiver])?;
    for ours in OURS {
        run(&out, "objcopy", &["--redefine-sym", ours, receiver])?;
    }
    run(&out, "ar", &["r", &copy, receiver])?;
    println!("cargo::rustc-link-search=native={}", out.display());
    println!("cargo::rustc-link-lib=static=tern_usrsctp");
    Ok(())
}

/// Runs a tool of binutils in `directory`; its output.
fn run(directory: &Path, tool: &str, arguments: &[&str]) -> Result<String, String> {
    let run = Command::new(tool).args(arguments).current_dir(directory).output();
    let output = run.map_err(|error| format!("{tool} (package binutils): {error}"))?;
    if !output.status.success() {
        return Err(format!("{tool}: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
