//! What the benches share: figures, processor time, pictures, and a core under load.

pub mod cpu;
pub mod load;
pub mod n2;
pub mod plot;
mod spread;

pub use spread::Spread;
