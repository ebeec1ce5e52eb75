//! What the benches say: figures with their spread beside what they should be, on which machine, and
//! where the measuring threads are pinned.

mod broken;
pub mod criterion;
mod goals;
pub mod machine;
pub mod place;
pub mod plot;
mod report;
mod spread;
mod table;
pub mod turns;

pub use broken::{Broken, exit_code};
pub use goals::{Bound, Row};
pub use report::{Page, Report};
pub use spread::{Spread, ratio};
pub use table::{digits, goals_table, markdown};
