//! What the benches share: processor time, pictures, a core under load, and an end in order.

pub mod cpu;
pub mod load;
pub mod n2;
pub mod stop;

pub use tern_figures::Spread;
pub use tern_figures::plot;
