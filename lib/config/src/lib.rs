//! Configuration files: YAML, read strictly, with errors that say where and what was expected.

mod expand;

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A value with the place where it stands in its text, for faults that show only beside other values.
pub use serde_saphyr::Spanned;

/// Octets of one configuration file.
pub const FILE_MAX: u64 = 1 << 20;

/// A configuration file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The file is larger than [`FILE_MAX`] or not UTF-8.
    #[error("{}: expected a text file of at most {FILE_MAX} octets", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
    },
    /// Its content is not what was expected.
    #[error(transparent)]
    Content(Box<Fault>),
}

/// What is wrong, and where. Displays as
/// `amf.yaml:3:7: sbi.port: expected u16 …` with the line below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Name of the file.
    pub file: String,
    /// Line and column, from 1, where they are known.
    pub at: Option<(u64, u64)>,
    /// The field, such as `plmns[0].mcc`; empty for the whole file.
    pub field: String,
    /// What was expected and what was found.
    pub expectation: String,
    /// The text of the line.
    pub line: Option<String>,
}

impl Fault {
    /// Of a value that is well formed, and wrong beside the others of the file with this text.
    pub fn beside<T>(file: &str, text: &str, value: &Spanned<T>, field: String, expectation: String) -> Self {
        let at = (value.referenced.line() > 0).then(|| (value.referenced.line(), value.referenced.column()));
        Self {
            file: file.to_owned(),
            at,
            field,
            expectation,
            line: at.and_then(|(line, _)| line_of(text, line)),
        }
    }
}

/// A line by its number, from 1.
fn line_of(text: &str, number: u64) -> Option<String> {
    let index = usize::try_from(number).ok()?.checked_sub(1)?;
    text.lines().nth(index).map(str::to_owned)
}

impl std::error::Error for Fault {}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some((line, column)) = self.at {
            write!(f, ":{line}:{column}")?;
        }
        if !self.field.is_empty() {
            write!(f, ": {}", self.field)?;
        }
        write!(f, ": {}", self.expectation)?;
        if let (Some((number, column)), Some(line)) = (self.at, &self.line) {
            let indent = usize::try_from(column).unwrap_or(1).saturating_sub(1).min(line.chars().count());
            write!(f, "\n{number:>5} | {line}\n      | {:indent$}^", "")?;
        }
        Ok(())
    }
}

/// Reads a configuration file. `${NAME}` in it is an environment variable, `${ipv4:DEVICE}` and
/// `${ipv6:DEVICE}` are the first address of a network device.
pub fn load<T: DeserializeOwned>(path: &Path) -> Result<T, ConfigError> {
    parse_expanded(&path.display().to_string(), &read(path)?, expand::here)
}

/// The text of a configuration file, as it stands there.
pub fn read(path: &Path) -> Result<String, ConfigError> {
    let io = |error| ConfigError::Io { path: path.to_owned(), error };
    let mut bytes = Vec::new();
    File::open(path).map_err(io)?.take(FILE_MAX + 1).read_to_end(&mut bytes).map_err(io)?;
    let not_text = || ConfigError::NotText { path: path.to_owned() };
    if bytes.len() as u64 > FILE_MAX {
        return Err(not_text());
    }
    String::from_utf8(bytes).map_err(|_| not_text())
}

/// Reads configuration text in which each `${…}` stands for what `lookup` says of it.
pub fn parse_expanded<T: DeserializeOwned>(
    file: &str,
    text: &str,
    lookup: impl FnMut(&str) -> Result<String, String>,
) -> Result<T, ConfigError> {
    let expanded = expand::expand(text, lookup).map_err(|unknown| {
        let line = line_of(text, unknown.at.0);
        ConfigError::Content(Box::new(Fault {
            file: file.to_owned(),
            at: Some(unknown.at),
            field: String::new(),
            expectation: unknown.expectation,
            line,
        }))
    })?;
    parse(file, &expanded)
}

/// Reads configuration text; `file` names it in errors. Empty text is an empty mapping.
pub fn parse<T: DeserializeOwned>(file: &str, text: &str) -> Result<T, ConfigError> {
    let nothing = text.lines().all(|line| {
        let line = line.trim();
        line.is_empty() || line.starts_with('#') || line == "---"
    });
    let text = if nothing { "{}" } else { text };
    let mut field = String::new();
    let options = serde_saphyr::options! { with_snippet: false };
    let read = serde_saphyr::with_deserializer_from_str_with_options(text, options, |deserializer| {
        serde_path_to_error::deserialize(deserializer).map_err(|error| {
            field = error.path().to_string();
            error.into_inner()
        })
    });
    read.map_err(|error| {
        let at = error.location().map(|at| (at.line(), at.column()));
        let line = at.and_then(|(number, _)| line_of(text, number));
        let found = at.zip(line.as_deref()).map(|((_, column), line)| scalar(line, column));
        let expectation = expectation(&error.without_snippet().to_string(), found.as_deref());
        let field = if field == "." { String::new() } else { field };
        ConfigError::Content(Box::new(Fault { file: file.to_owned(), at, field, expectation, line }))
    })
}

/// A configuration as YAML.
pub fn print<T: Serialize>(config: &T) -> String {
    serde_saphyr::to_string(config).expect("invariant: a configuration is plain data")
}

/// A configuration with a sample file that explains each of its fields.
pub trait Sample: DeserializeOwned {
    /// The file's text: valid, every field with its default, and a comment on each.
    const SAMPLE: &'static str;

    /// The configuration that the sample text is.
    fn sample() -> Result<Self, ConfigError> {
        parse("sample", Self::SAMPLE)
    }
}

/// The message without its location, which stands in front already; a short `invalid u16` is
/// said in full.
fn expectation(message: &str, found: Option<&str>) -> String {
    let cut = message.find(" at line ").or_else(|| message.find(" at <")).unwrap_or(message.len());
    let message = &message[..cut];
    match (message.strip_prefix("invalid "), found) {
        (Some(kind), Some(found)) if !kind.contains(' ') => format!("expected {kind}, found `{found}`"),
        _ => message.to_owned(),
    }
}

/// The value that begins at `column` of `line`.
fn scalar(line: &str, column: u64) -> String {
    let start = usize::try_from(column).unwrap_or(1).saturating_sub(1);
    let rest: String = line.chars().skip(start).take(64).collect();
    let end = rest.find(" #").or_else(|| rest.find([',', '}', ']'])).unwrap_or(rest.len());
    rest[..end].trim().to_owned()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, Serialize, PartialEq)]
    #[serde(deny_unknown_fields, default)]
    struct Config {
        mnc: String,
        sbi: Sbi,
    }

    impl Default for Config {
        fn default() -> Self {
            Self { mnc: "01".to_owned(), sbi: Sbi { port: 8080 } }
        }
    }

    #[derive(Debug, Deserialize, Serialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Sbi {
        port: u16,
    }

    fn fault(text: &str) -> Fault {
        match parse::<Config>("amf.yaml", text) {
            Err(ConfigError::Content(fault)) => *fault,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn leading_zeros_stay_and_what_is_printed_is_read_back() {
        let config: Config = parse("x", "mnc: 01\nsbi:\n  port: 80\n").unwrap();
        assert_eq!(config.mnc, "01");
        assert_eq!(parse::<Config>("x", &print(&config)).unwrap(), config);
        assert_eq!(parse::<Config>("x", "# nothing\n").unwrap(), Config::default());
    }

    #[test]
    fn a_wrong_type_names_file_line_field_and_expectation() {
        let fault = fault("mnc: 01\nsbi:\n  port: http\n");
        assert_eq!(fault.at, Some((3, 9)));
        let text = fault.to_string();
        assert!(text.starts_with("amf.yaml:3:9: sbi.port: expected u16, found `http`\n"), "{text}");
    }

    #[test]
    fn an_unknown_field_is_named_with_those_known() {
        let text = fault("sbi:\n  port: 1\n  prot: 2\n").to_string();
        for part in ["amf.yaml:3:", "prot", "port"] {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn a_missing_field_and_broken_yaml_are_named() {
        assert!(fault("sbi: {}\n").to_string().contains("port"));
        assert!(fault("sbi: [\n").at.is_some());
    }

    #[test]
    fn large_and_absent_files_are_refused() {
        let absent = load::<Config>(Path::new("/nonexistent/amf.yaml")).unwrap_err().to_string();
        assert!(absent.contains("/nonexistent/amf.yaml"), "{absent}");
        assert!(matches!(load::<Config>(Path::new("/dev/zero")), Err(ConfigError::NotText { .. })));
    }
}
