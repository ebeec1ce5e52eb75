//! The codec against another codec, against a dissector, and against any bytes.

mod dissector;
mod errors;
mod garbage;
mod vectors;
