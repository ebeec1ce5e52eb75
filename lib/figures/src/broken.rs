//! Measurements that could not be made.

use std::fmt;
use std::process::ExitCode;

use serde::Serialize;

/// Those of one run: each section with its error.
#[derive(Debug, Default, Serialize)]
pub struct Broken(Vec<String>);

impl Broken {
    /// Records one, and says so at once.
    pub fn add(&mut self, section: impl fmt::Debug, error: &anyhow::Error) {
        let text = format!("{section:?}: {error:#}");
        eprintln!("broken: {text}");
        self.0.push(text);
    }

    /// Whether every measurement could be made.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Says them once more, behind the tables.
    pub fn print(&self) {
        self.0.iter().for_each(|text| println!("broken: {text}"));
    }

    /// As paragraphs of a report.
    pub fn markdown(&self) -> String {
        self.0.iter().map(|text| format!("\nBroken: {text}\n")).collect()
    }
}

/// How a bench ends: well if every measurement could be made.
pub fn exit_code(program: &str, is_whole: anyhow::Result<bool>) -> ExitCode {
    match is_whole {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{program}: {error:#}");
            ExitCode::FAILURE
        }
    }
}
