//! Which processor does what.

use serde::Serialize;

/// Where the two ends of a measurement run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Placement {
    /// Both on one.
    OneCore,
    /// Each on its own.
    TwoCores,
}

impl Placement {
    /// Those that the machine has room for.
    pub fn all(cores: &[usize]) -> &'static [Self] {
        if cores.len() > 1 { &[Self::OneCore, Self::TwoCores] } else { &[Self::OneCore] }
    }

    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::OneCore => "one core",
            Self::TwoCores => "two cores",
        }
    }

    /// The client's processor.
    pub fn client(self, cores: &[usize]) -> usize {
        cores[0]
    }

    /// The server's.
    pub fn server(self, cores: &[usize]) -> usize {
        match self {
            Self::OneCore => cores[0],
            Self::TwoCores => cores[1],
        }
    }
}
