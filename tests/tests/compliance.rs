//! `docs/compliance`: what clauses ask of the network, and the tests that show it.
//!
//! The YAML files are written by hand, the Markdown files are rendered from them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};
use std::path::Path;
use std::{fs, io};

use serde::Deserialize;

const SPECIFICATIONS: [&str; 4] = ["ts-24501", "ts-33501", "ts-33512", "ts-38413"];
/// Crates whose tests are named, and where they are.
const CRATES: [(&str, &str); 8] = [
    ("amf", "amf"),
    ("ausf", "ausf"),
    ("crypto", "lib/crypto"),
    ("nas", "proto/nas"),
    ("ngap", "proto/ngap"),
    ("smf", "smf"),
    ("tests", "tests"),
    ("udm", "udm"),
];
const STATES: [&str; 4] = ["met", "partly", "not met", "does not apply"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Specification {
    specification: String,
    title: String,
    clauses: Vec<Clause>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Clause {
    clause: String,
    /// In our own words.
    title: String,
    /// One of `STATES`.
    state: String,
    /// Crate, module of the file, function.
    #[serde(default)]
    tests: Vec<String>,
    #[serde(default)]
    reason: Option<String>,
}

/// Each test of the crates with the file that it is in.
fn tests_of_sources(root: &Path) -> io::Result<BTreeMap<String, String>> {
    let mut tests = BTreeMap::new();
    for (name, directory) in CRATES {
        for kind in ["src", "tests"] {
            let path = format!("{directory}/{kind}");
            if root.join(&path).is_dir() {
                tests_below(root, &path, name, &mut tests)?;
            }
        }
    }
    Ok(tests)
}

fn tests_below(
    root: &Path,
    path: &str,
    module: &str,
    tests: &mut BTreeMap<String, String>,
) -> io::Result<()> {
    for entry in fs::read_dir(root.join(path))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let path = format!("{path}/{name}");
        let stem = name.strip_suffix(".rs");
        let module = match stem.unwrap_or(&name) {
            "main" | "lib" | "mod" => module.to_owned(),
            part => format!("{module}::{part}"),
        };
        if root.join(&path).is_dir() {
            tests_below(root, &path, &module, tests)?;
        }
        if stem.is_none() {
            continue;
        }
        let text = fs::read_to_string(root.join(&path))?;
        let mut is_test = false;
        for line in text.lines().map(str::trim) {
            if line.starts_with("#[") {
                is_test |= line.starts_with("#[test]") || line.contains("::test");
            } else if let Some((_, function)) = line.split_once("fn ").filter(|_| is_test) {
                let function = function.split('(').next().unwrap_or_default();
                tests.insert(format!("{module}::{function}"), path.clone());
                is_test = false;
            }
        }
    }
    Ok(())
}

fn faults(all: &[Specification], tests: &BTreeMap<String, String>) -> Vec<String> {
    let mut faults = Vec::new();
    for of in all {
        let mut clauses = BTreeSet::new();
        for clause in &of.clauses {
            let mut fault =
                |what: &str| faults.push(format!("{} §{}: {what}", of.specification, clause.clause));
            if !clauses.insert(&clause.clause) {
                fault("stands there twice");
            }
            if !STATES.contains(&clause.state.as_str()) {
                fault(&format!("no state is called {:?}", clause.state));
            }
            if clause.state == "met" && clause.tests.is_empty() {
                fault("is met, but no test shows it");
            }
            if clause.state != "met" && clause.reason.is_none() {
                fault("is not met as a whole, but there is no reason");
            }
            for test in clause.tests.iter().filter(|test| !tests.contains_key(*test)) {
                fault(&format!("there is no test {test}"));
            }
        }
    }
    faults
}

fn table(of: &Specification, tests: &BTreeMap<String, String>) -> Result<String, fmt::Error> {
    let mut text = format!("# {}: {}\n\n", of.specification, of.title);
    text += "Rendered from the YAML file of the same name. [What the states mean](README.md).\n\n";
    text += "| clause | what | state | shown by, or why not |\n|---|---|---|---|\n";
    for clause in &of.clauses {
        let links = clause.tests.iter().map(|test| {
            let name = test.rsplit("::").next().unwrap_or_default();
            let file = tests.get(test).map_or("", String::as_str);
            format!("[`{name}`](../../{file})")
        });
        let shown: Vec<_> = links.chain(clause.reason.clone()).collect();
        let Clause { clause, title, state, .. } = clause;
        writeln!(text, "| {clause} | {title} | {state} | {} |", shown.join("<br>"))?;
    }
    Ok(text)
}

fn readme(all: &[Specification]) -> Result<String, fmt::Error> {
    let mut text = String::from(
        "# Compliance\n\n\
         What clauses ask of the network, and the tests that show it. The YAML files are written \
         by hand, the Markdown files rendered from them: \
         `TERN_GOLDEN=write cargo test --profile ci -p tern-tests compliance`.\n\n\
         *met*: a test shows it. *partly*, *not met*: the reason says what is missing. \
         *does not apply*: the reason says why.\n\n\
         | specification | what |",
    );
    for state in STATES {
        write!(text, " {state} |")?;
    }
    text += "\n|---|---|---|---|---|---|\n";
    for (of, name) in all.iter().zip(SPECIFICATIONS) {
        write!(text, "| [{}]({name}.md) | {} |", of.specification, of.title)?;
        for state in STATES {
            let count = of.clauses.iter().filter(|clause| clause.state == state).count();
            write!(text, " {count} |")?;
        }
        text += "\n";
    }
    text += "\n## What is missing\n\n| clause | what | state | why |\n|---|---|---|---|\n";
    for of in all {
        for clause in
            of.clauses.iter().filter(|clause| ["partly", "not met"].contains(&clause.state.as_str()))
        {
            let Clause { clause, title, state, reason, .. } = clause;
            let reason = reason.as_deref().unwrap_or_default();
            writeln!(text, "| {} §{clause} | {title} | {state} | {reason} |", of.specification)?;
        }
    }
    Ok(text)
}

#[test]
fn each_clause_has_its_tests_or_its_reason_and_the_tables_say_so() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let directory = root.join("docs/compliance");
    let tests = tests_of_sources(root).unwrap();
    let all = SPECIFICATIONS.map(|name| {
        let file = format!("{name}.yaml");
        let text = fs::read_to_string(directory.join(&file)).unwrap();
        tern_config::parse::<Specification>(&file, &text).unwrap_or_else(|error| panic!("{error}"))
    });
    let faults = faults(&all, &tests);
    assert!(faults.is_empty(), "docs/compliance:\n{}", faults.join("\n"));

    let tables =
        all.iter().zip(SPECIFICATIONS).map(|(of, name)| (format!("{name}.md"), table(of, &tests).unwrap()));
    for (file, text) in tables.chain([("README.md".to_owned(), readme(&all).unwrap())]) {
        let path = directory.join(&file);
        if std::env::var_os("TERN_GOLDEN").is_some() {
            fs::write(&path, &text).unwrap();
        }
        let is = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            is == text,
            "docs/compliance/{file} is not what the YAML files say; with TERN_GOLDEN=write this test writes it"
        );
    }
}
