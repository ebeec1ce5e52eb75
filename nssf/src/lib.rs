//! Network slice selection function: Nnssf_NSSelection (TS 29.531, TS 23.501 §5.15.5).
//!
//! A selection is a function of the configuration and the request ([`selection`]).

pub mod config;
pub mod selection;

mod net;

pub use config::Config;
pub use net::run;
