//! The feature `hyperdht`.

mod keys;
