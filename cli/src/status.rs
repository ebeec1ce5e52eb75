//! `tern status`: who is registered, connected, in session.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use serde_json::{Map, Value, json};

use crate::client::Client;
use crate::core_config::{CoreConfig, Nf};

#[derive(Args)]
#[command(after_help = "Exit status 0 only if every network function answers.")]
pub struct Arguments {
    /// The file that `tern up` was given
    #[arg(long)]
    config: Option<PathBuf>,
    /// Print everything as JSON
    #[arg(long)]
    json: bool,
}

/// A list in the state of a network function, and its columns: attribute and heading.
struct Table {
    nf: Nf,
    title: &'static str,
    list: &'static str,
    /// The attribute that counts what the list may have cut.
    count: &'static str,
    columns: &'static [(&'static str, &'static str)],
}

const TABLES: [Table; 3] = [
    Table {
        nf: Nf::Amf,
        title: "gNBs",
        list: "gnbList",
        count: "gnbs",
        columns: &[
            ("name", "NAME"),
            ("id", "ID"),
            ("peer", "ADDRESS"),
            ("tacs", "TACS"),
            ("ues", "CONNECTED UES"),
        ],
    },
    Table {
        nf: Nf::Amf,
        title: "UEs",
        list: "ueList",
        count: "ues",
        columns: &[
            ("ue", "UE"),
            ("state", "STATE"),
            ("gnb", "CONNECTED TO"),
            ("rrc", "RRC STATE"),
            ("cell", "CELL"),
            ("allowed", "SLICES"),
            ("sessions", "SESSIONS"),
        ],
    },
    Table {
        nf: Nf::Smf,
        title: "sessions",
        list: "sessionList",
        count: "sessions",
        columns: &[
            ("supi", "UE"),
            ("id", "ID"),
            ("dnn", "DNN"),
            ("snssai", "SLICE"),
            ("state", "STATE"),
            ("address", "ADDRESS"),
            ("prefix", "PREFIX"),
            ("upf", "UPF"),
        ],
    },
];

/// Asks every network function for its state and prints it.
pub async fn run(arguments: Arguments) -> Result<()> {
    let config = CoreConfig::load(arguments.config.as_deref())?;
    let client = Client::new(&config)?;
    let mut all = Map::new();
    let mut silent = Vec::new();
    for nf in Nf::ALL {
        let api_root = config.sbi(nf).api_root();
        let status = client.get::<Value>(&api_root, tern_nf::STATUS_PATH, &[]).await;
        all.insert(
            nf.name().to_owned(),
            status.unwrap_or_else(|error| {
                silent.push(nf.name());
                json!({ "error": error.to_string() })
            }),
        );
    }
    if silent.len() == Nf::ALL.len() {
        bail!("no core answers at {}: `tern up` starts one", config.address(Nf::Nrf));
    }
    if arguments.json {
        crate::print(&format!("{}\n", serde_json::to_string_pretty(&all)?))?;
    } else {
        let line = |nf: Nf| {
            format!("{:<5} {:<24} {}\n", nf.name(), config.sbi(nf).api_root(), line(&all[nf.name()]))
        };
        let mut shown: String = Nf::ALL.map(line).concat();
        for table in &TABLES {
            shown.push_str(&text(table, &all[table.nf.name()]["state"]));
        }
        crate::print(&shown)?;
    }
    if !silent.is_empty() {
        bail!("no answer from {}", silent.join(", "));
    }
    Ok(())
}

/// `up 12 s, gnbs 1, ues 3`, or what is wrong.
fn line(status: &Value) -> String {
    if let Some(error) = status["error"].as_str() {
        return format!("DOWN  {error}");
    }
    let mut text = format!("up {} s", status["uptimeSeconds"]);
    for (name, value) in status["state"].as_object().into_iter().flatten() {
        match value {
            Value::Array(items) if !name.ends_with("List") => {
                text.push_str(&format!(", {name} {}", items.len()));
            }
            Value::Number(number) => text.push_str(&format!(", {name} {number}")),
            _ => {}
        }
    }
    text
}

/// A list as a table; nothing, if it is empty.
fn text(table: &Table, state: &Value) -> String {
    let Some(items) = state[table.list].as_array().filter(|items| !items.is_empty()) else {
        return String::new();
    };
    let headings = table.columns.iter().map(|(_, heading)| (*heading).to_owned()).collect();
    let row = |item: &Value| table.columns.iter().map(|(attribute, _)| cell(&item[*attribute])).collect();
    let mut rows: Vec<Vec<String>> = items.iter().map(row).collect();
    rows.sort();
    rows.insert(0, headings);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..table.columns.len()).map(width).collect();
    let mut text = format!("\n{}\n", table.title);
    for row in rows {
        let padded = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        text.push_str(&format!("  {}\n", padded.collect::<Vec<_>>().join("  ").trim_end()));
    }
    let listed = items.len() as u64;
    if let Some(count) = state[table.count].as_u64().filter(|count| *count > listed) {
        text.push_str(&format!("  … and {} more\n", count - listed));
    }
    text
}

fn cell(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_tables_that_say_what_they_leave_out() {
        let state = json!({
            "ues": 3,
            "ueList": [
                { "ue": "imsi-1", "state": "registered", "gnb": "gnb-1", "allowed": ["1", "2"], "sessions": 1 },
                { "ue": "suci-22", "state": "registering", "gnb": null, "allowed": [], "sessions": 0 },
            ],
        });
        let expected = "\nUEs\n  UE       STATE        CONNECTED TO  RRC STATE  CELL  SLICES  SESSIONS\n  \
                        imsi-1   registered   gnb-1         -          -     1 2     1\n  \
                        suci-22  registering  -             -          -             0\n  \
                        … and 1 more\n";
        assert_eq!(text(&TABLES[1], &state), expected);
        assert_eq!(text(&TABLES[0], &state), "");
    }

    #[test]
    fn a_line_counts_what_there_is() {
        let status = json!({ "uptimeSeconds": 7, "state": { "gnbs": 2, "gnbList": [1], "smfs": ["a"] } });
        assert_eq!(line(&status), "up 7 s, gnbs 2, smfs 1");
        assert_eq!(line(&json!({ "error": "nobody" })), "DOWN  nobody");
    }
}
