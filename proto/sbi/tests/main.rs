//! The models against samples, the official schemas, and hostile input.

mod hostile;
mod operations;
mod samples;
mod schemas;
