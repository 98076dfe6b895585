//! What holds for the adapters of all vendors, tried on every sample and on many wrong spellings of it.

mod hidden;
mod lossless;
mod mutations;
mod shown_values;
