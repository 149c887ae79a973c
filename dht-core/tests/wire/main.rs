//! The codec: what is read, what is written, and what is refused. Not part of the published package, as it stands on
//! `dht-model`, which isn't published.

mod properties;
mod tables;
