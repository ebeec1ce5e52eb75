//! The models against samples, the official schemas, and hostile input.

mod direct;
mod hostile;
mod operations;
mod oracle;
mod samples;
mod schemas;
