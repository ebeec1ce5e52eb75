//! What a bench of one process says: figures on standard output as they come; at the end the goals table,
//! the same in Markdown, and all of it in JSON.

use std::fmt;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Serialize;
use serde_json::Value;

use crate::{Broken, Row, goals_table, machine};

/// How long a section took.
#[derive(Debug, Serialize)]
struct Took {
    section: String,
    s: f64,
}

/// All that was measured; a `Series` is what is behind the lines of the goals table.
pub struct Report<Series> {
    machine: String,
    load_before: String,
    core: Option<usize>,
    cores: Vec<usize>,
    rows: Vec<Row>,
    took: Vec<Took>,
    /// What is behind the lines.
    pub series: Vec<Series>,
    /// Measurements that could not be made.
    pub broken: Broken,
}

/// How a report is written.
pub struct Page<'a> {
    /// Where the files go.
    pub directory: &'a Path,
    /// Their name without its ending.
    pub name: &'a str,
    /// Of the Markdown.
    pub title: &'a str,
    /// How it was measured, one sentence or more.
    pub how: String,
    /// The settings, a JSON object.
    pub settings: Value,
    /// Behind the goals table.
    pub tables: String,
    /// Behind all tables, in the Markdown alone.
    pub remarks: String,
    /// The whole run.
    pub took: Duration,
}

impl<Series: Serialize> Report<Series> {
    /// Of nothing yet. The measuring thread is pinned to one of the processors, or nothing is.
    pub fn new(core: Option<usize>, cores: &[usize]) -> Result<Self> {
        let (machine, load_before) = (machine::describe()?, machine::load()?);
        println!("{machine}; load over the last minute {load_before}; {}", placed(core, cores));
        Ok(Self {
            machine,
            load_before,
            core,
            cores: cores.to_vec(),
            rows: Vec::new(),
            took: Vec::new(),
            series: Vec::new(),
            broken: Broken::default(),
        })
    }

    /// The machine, as it is described.
    pub fn machine(&self) -> &str {
        &self.machine
    }

    /// The lines of the goals table.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// A line of the goals table.
    pub fn row(&mut self, row: Row) {
        println!("  {}", row.line());
        self.rows.push(row);
    }

    /// Measures the sections one after the other. What of one cannot be measured does not stop the others.
    pub fn measure<S: Copy + fmt::Debug>(
        &mut self,
        sections: &[S],
        mut measure: impl FnMut(S, &mut Self) -> Result<()>,
    ) {
        for &section in sections {
            let begun = Instant::now();
            if let Err(error) = measure(section, self) {
                self.broken.add(section, &error);
            }
            let s = begun.elapsed().as_secs_f64();
            println!("{section:?}: {s:.0} s\n");
            self.took.push(Took { section: format!("{section:?}"), s });
        }
    }

    /// Prints the tables and writes the files.
    pub fn write(&self, page: &Page<'_>) -> Result<()> {
        let tables = format!("{}\n{}", goals_table(&self.rows), page.tables);
        println!("{tables}");
        self.broken.print();
        let load_after = machine::load()?;
        let took_s = page.took.as_secs_f64();
        let mut json = serde_json::json!({
            "machine": self.machine,
            "load_1_min_before": self.load_before,
            "load_1_min_after": load_after,
            "processor": self.core,
            "processors": self.cores,
            "took_s": took_s,
            "sections": self.took,
            "rows": self.rows,
            "series": self.series,
            "broken": self.broken,
        });
        if let (Value::Object(json), Value::Object(settings)) = (&mut json, &page.settings) {
            json.extend(settings.clone());
        }
        let path = page.directory.join(format!("{}.json", page.name));
        fs::write(&path, serde_json::to_vec_pretty(&json)?)?;
        let text = format!(
            "# {}\n\n{}. Load over the last minute {} before, {load_after} after; {}. \
             {} {took_s:.0} s in all.\n\n{tables}\n{}\n{}",
            page.title,
            self.machine,
            self.load_before,
            placed(self.core, &self.cores),
            page.how,
            page.remarks,
            self.broken.markdown(),
        );
        fs::write(page.directory.join(format!("{}.md", page.name)), text)?;
        let sections = self.took.iter().map(|took| format!("{} {:.0} s", took.section, took.s));
        println!("{}; {took_s:.0} s in all", sections.collect::<Vec<_>>().join(", "));
        println!("written: {}, and {}.md beside it", path.display(), page.name);
        Ok(())
    }
}

fn placed(core: Option<usize>, cores: &[usize]) -> String {
    match core {
        Some(core) => format!("the measuring thread is pinned to processor {core} of {cores:?}"),
        None => format!("nothing is pinned, on processors {cores:?}"),
    }
}
