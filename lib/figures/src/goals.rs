//! The goals, and how a figure stands to them.

use std::fmt;

use serde::Serialize;

use crate::spread::Spread;
use crate::table::digits;

/// What a figure should be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// This or more.
    AtLeast(f64),
    /// This or less.
    AtMost(f64),
    /// More than this.
    Above(f64),
}

impl Bound {
    /// Whether a figure is within. One that is not a number is not.
    pub fn is_met(self, figure: f64) -> bool {
        match self {
            Self::AtLeast(bound) => figure >= bound,
            Self::AtMost(bound) => figure <= bound,
            Self::Above(bound) => figure > bound,
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(bound) => write!(f, "≥ {bound}"),
            Self::AtMost(bound) => write!(f, "≤ {bound}"),
            Self::Above(bound) => write!(f, "> {bound}"),
        }
    }
}

/// A line of the goals table.
#[derive(Debug, Serialize)]
pub struct Row {
    /// What is measured.
    pub what: String,
    /// Ours: the median over the rounds, with the extremes.
    pub figure: Spread,
    /// Behind the figure.
    pub unit: &'static str,
    /// What the design aims at.
    pub goal: Option<Bound>,
    /// What must hold.
    pub must: Option<Bound>,
    /// Where, and what else there is to know.
    pub note: String,
}

impl Row {
    /// A figure without a bound, for information.
    pub fn new(what: impl Into<String>, figure: Spread, unit: &'static str, note: impl Into<String>) -> Self {
        Self { what: what.into(), figure, unit, goal: None, must: None, note: note.into() }
    }

    /// A ratio without a bound.
    pub fn ratio(what: impl Into<String>, figure: Spread, note: impl Into<String>) -> Self {
        Self::new(what, figure, "×", note)
    }

    /// With what it should be.
    #[must_use]
    pub fn goal(mut self, goal: Bound) -> Self {
        self.goal = Some(goal);
        self
    }

    /// With what it must be.
    #[must_use]
    pub fn must(mut self, must: Bound) -> Self {
        self.must = Some(must);
        self
    }

    /// As a line of its own, for those who watch.
    pub fn line(&self) -> String {
        let met = [("aim", self.goal), ("must", self.must)].map(|(name, bound)| {
            bound.map_or(String::new(), |bound| format!(", {name} {bound} {}", self.verdict(Some(bound))))
        });
        format!("{} = {} {}{} ({})", self.what, digits(self.figure.p50), self.unit, met.concat(), self.note)
    }

    /// `met`, `short` or nothing, for a bound.
    pub fn verdict(&self, bound: Option<Bound>) -> &'static str {
        match bound {
            None => "",
            Some(bound) if bound.is_met(self.figure.p50) => "met",
            Some(_) => "short",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_number_meets_nothing() {
        for bound in [Bound::AtLeast(2.0), Bound::AtMost(2.0), Bound::Above(2.0)] {
            assert!(!bound.is_met(f64::NAN), "{bound}");
        }
        assert!(Bound::AtLeast(2.0).is_met(2.0) && Bound::AtMost(2.0).is_met(2.0));
        assert!(!Bound::Above(2.0).is_met(2.0) && Bound::Above(2.0).is_met(2.1));
    }
}
