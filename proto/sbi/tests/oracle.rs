//! Checkers in Python that are not ours: they judge what we write.

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Exit status of a checker where something it needs is absent.
const SKIPPED: i32 = 77;

/// The repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Gives `input` to a checker of `tests/oracle`, which must be content. Where it cannot run `test`
/// is skipped, in a line that `tests/skips.txt` must know.
pub fn check(test: &str, script: &str, arguments: &[&OsStr], input: &str) {
    let skip = |reason: &str| println!("SKIPPED tern-sbi {test}: {reason}");
    let python = std::env::var_os("TERN_PYTHON").unwrap_or_else(|| "python3".into());
    let checker = Command::new(python)
        .arg(root().join("tests/oracle").join(script))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut checker) = checker else { return skip("there is no python3") };
    // A checker that skips has gone before it reads.
    let _ = checker.stdin.take().expect("piped").write_all(input.as_bytes());
    let output = checker.wait_with_output().expect("the checker ends");
    let said = String::from_utf8_lossy(&output.stdout);
    match output.status.code() {
        Some(0) => println!("{said}"),
        Some(SKIPPED) => skip(said.trim().trim_start_matches("skipped: ")),
        _ => panic!("{said}"),
    }
}
