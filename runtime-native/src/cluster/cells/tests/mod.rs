//! What the cells promise.
