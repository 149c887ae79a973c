//! What users hand in and get: requests, queries, answers, configuration, events, errors, counters.

pub(crate) mod ask;
pub(crate) mod config;
pub(crate) mod drop_reason;
pub(crate) mod error;
pub(crate) mod event;
pub(crate) mod exempt;
pub(crate) mod health_info;
pub(crate) mod id_cache;
pub(crate) mod message;
pub(crate) mod persistence;
pub(crate) mod stats;
pub(crate) mod token;
pub(crate) mod way;
