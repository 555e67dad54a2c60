//! What the cells promise, at real brokers: those that `TAKHIN_KAFKA_BROKERS` names. Each test has topics of its own.

mod measures;
mod processes;
mod site;
mod snapshots;
mod takeovers;
mod troubles;
