//! Every sample is valid by the official OpenAPI file that its model cites.

use std::path::PathBuf;

use crate::{oracle, samples};

fn directory() -> PathBuf {
    std::env::var_os("TERN_OPENAPI_DIR")
        .map_or_else(|| oracle::root().join("../shared/data/openapi"), PathBuf::from)
}

#[test]
fn samples_are_valid_by_the_official_schemas() {
    let cases: String = samples::all().iter().map(|sample| format!("{}\n", sample.case)).collect();
    let test = "schemas::samples_are_valid_by_the_official_schemas";
    oracle::check(test, "openapi_check.py", &[directory().as_os_str()], &cases);
}
