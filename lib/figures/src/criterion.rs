//! Figures that Criterion has measured.

use std::path::Path;

use anyhow::{Context as _, Result, anyhow};
use serde_json::Value;

use crate::Spread;

/// What Criterion has written of a piece: the median with its interval, in nanoseconds.
pub fn estimate(directory: &Path, name: &str) -> Result<Spread> {
    let path = directory.join(name).join("new/estimates.json");
    let text = std::fs::read(&path).with_context(|| path.display().to_string())?;
    let median = &serde_json::from_slice::<Value>(&text)?["median"];
    let interval = &median["confidence_interval"];
    let number = |value: &Value| value.as_f64().ok_or_else(|| anyhow!("{}: no median", path.display()));
    let (min, max) = (number(&interval["lower_bound"])?, number(&interval["upper_bound"])?);
    Ok(Spread { p50: number(&median["point_estimate"])?, p99: max, min, max })
}
