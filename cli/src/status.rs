//! `tern status`: who is registered, connected, in session.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use serde_json::{Map, Value, json};

use crate::client::Client;
use crate::core_config::{CoreConfig, Nf};

#[derive(Args)]
pub struct Arguments {
    /// The file that `tern up` was given
    #[arg(long)]
    config: Option<PathBuf>,
    /// Print everything as JSON
    #[arg(long)]
    json: bool,
}

/// Asks every network function for its state and prints it.
pub async fn run(arguments: Arguments) -> Result<()> {
    let config = CoreConfig::load(arguments.config.as_deref())?;
    let client = Client::new();
    let mut all = Map::new();
    for nf in Nf::ALL {
        let api_root = config.sbi(nf).api_root();
        let status = client.get::<Value>(&api_root, "/tern/v1/status", &[]).await;
        all.insert(
            nf.name().to_owned(),
            status.unwrap_or_else(|error| json!({ "error": error.to_string() })),
        );
    }
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&all)?);
        return Ok(());
    }
    for nf in Nf::ALL {
        println!("{:<5} {:<24} {}", nf.name(), config.sbi(nf).api_root(), line(&all[nf.name()]));
    }
    for (nf, lists) in [("amf", ["gnbs", "ues"].as_slice()), ("smf", &["sessions"]), ("upf", &[])] {
        for list in lists {
            print_list(list, &all[nf]["state"][*list]);
        }
    }
    Ok(())
}

/// `up 12 s, 1 gnbs, 3 ues`, or what is wrong.
fn line(status: &Value) -> String {
    if let Some(error) = status["error"].as_str() {
        return format!("DOWN  {error}");
    }
    let mut text = format!("up {} s", status["uptimeSeconds"]);
    for (name, value) in status["state"].as_object().into_iter().flatten() {
        match value {
            Value::Array(items) => text.push_str(&format!(", {} {name}", items.len())),
            Value::Number(number) => text.push_str(&format!(", {name} {number}")),
            _ => {}
        }
    }
    text
}

/// A list as a table whose columns are the attributes of its first item.
fn print_list(name: &str, list: &Value) {
    let Some(items) = list.as_array().filter(|items| !items.is_empty()) else { return };
    let columns: Vec<&String> = items[0].as_object().into_iter().flat_map(Map::keys).collect();
    let cell = |item: &Value, column: &str| match &item[column] {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    };
    let width = |column: &String| {
        items.iter().map(|item| cell(item, column).len()).chain([column.len()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = columns.iter().map(|column| width(column)).collect();
    println!("\n{name}");
    let row = |cells: Vec<String>| {
        let padded: Vec<String> =
            cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        println!("  {}", padded.join("  ").trim_end());
    };
    row(columns.iter().map(|column| (*column).clone()).collect());
    for item in items {
        row(columns.iter().map(|column| cell(item, column)).collect());
    }
}
