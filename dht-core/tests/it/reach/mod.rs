//! The own address: what a node believes of it, and when it becomes persistent.

mod looks;
mod own_address;
mod reachability;
mod survey;
mod survey_rules;
