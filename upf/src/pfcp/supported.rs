//! What is optional in PFCP and supported: each by what an SMF sees of it, and what is refused.

mod atomic;
mod load;
mod monitoring;
mod names;
mod usage;
