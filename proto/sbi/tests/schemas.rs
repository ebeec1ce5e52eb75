//! Every sample is valid by the official OpenAPI file that its model cites.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::samples;

/// Exit status of the checker where something it needs is absent.
const SKIPPED: i32 = 77;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn directory() -> PathBuf {
    std::env::var_os("TERN_OPENAPI_DIR").map_or_else(|| root().join("../shared/data/openapi"), PathBuf::from)
}

#[test]
fn samples_are_valid_by_the_official_schemas() {
    let python = std::env::var_os("TERN_PYTHON").unwrap_or_else(|| "python3".into());
    let checker = Command::new(python)
        .arg(root().join("tests/oracle/openapi_check.py"))
        .arg(directory())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut checker) = checker else { return skip("there is no python3") };
    let cases: String = samples::all().iter().map(|sample| format!("{}\n", sample.case)).collect();
    let mut input = checker.stdin.take().expect("piped");
    // A checker that skips has gone before it reads.
    let _ = input.write_all(cases.as_bytes());
    drop(input);
    let output = checker.wait_with_output().expect("the checker ends");
    let said = String::from_utf8_lossy(&output.stdout);
    match output.status.code() {
        Some(0) => println!("{said}"),
        Some(SKIPPED) => skip(said.trim().trim_start_matches("skipped: ")),
        _ => panic!("{said}"),
    }
}

/// Says, in a line that `tests/skips.txt` must know, that the checker cannot run here.
fn skip(reason: &str) {
    println!("SKIPPED tern-sbi schemas::samples_are_valid_by_the_official_schemas: {reason}");
}
