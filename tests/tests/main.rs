//! Whole-core tests.
