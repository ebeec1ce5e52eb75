//! What the benches share: processor time, pictures, and a core under load.

pub mod cpu;
pub mod load;
pub mod n2;

pub use tern_figures::Spread;
pub use tern_figures::plot;
