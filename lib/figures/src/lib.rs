//! What the benches say: figures with their spread beside what they should be, on which machine, and
//! where the measuring threads are pinned.

pub mod criterion;
mod goals;
pub mod machine;
pub mod place;
mod spread;
mod table;

pub use goals::{Bound, Row};
pub use spread::{Spread, ratio};
pub use table::{digits, goals_table, markdown};
