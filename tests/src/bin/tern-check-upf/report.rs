//! What was wanted and measured: the table, and `upf.json`.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Serialize;
use tern_tests::upf::scenarios::Finding;

/// All findings so far.
#[derive(Default, Serialize)]
pub struct Report {
    rows: Vec<Row>,
    #[serde(skip)]
    backend: String,
}

#[derive(Serialize)]
struct Row {
    /// The promise's line.
    line: String,
    backend: String,
    #[serde(flatten)]
    finding: Finding,
}

impl Report {
    /// What follows is of this packet backend.
    pub fn backend(&mut self, name: &str) {
        name.clone_into(&mut self.backend);
        println!("\n{:<5} {:<70} {:>26} {:>30}", name, "", "wanted", "measured");
    }

    /// Says something between the rows.
    pub fn say(&self, text: &str) {
        println!("      ({text})");
    }

    /// Adds what was found, and prints it.
    pub fn add(&mut self, line: &str, findings: impl IntoIterator<Item = Finding>) {
        for finding in findings {
            println!(
                "{:<5} {:<70} {:>26} {:>30}  {}",
                line,
                finding.what,
                finding.wanted,
                finding.measured,
                if finding.ok { "pass" } else { "FAIL" }
            );
            self.rows.push(Row { line: line.to_owned(), backend: self.backend.clone(), finding });
        }
    }

    /// Whether all hold, and there are some.
    pub fn holds(&self) -> bool {
        !self.rows.is_empty() && self.rows.iter().all(|row| row.finding.ok)
    }

    /// Writes all rows.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_vec_pretty(self)?;
        std::fs::write(path, text).with_context(|| path.display().to_string())
    }
}
