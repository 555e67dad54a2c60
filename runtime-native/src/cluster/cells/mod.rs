//! Which node owns which cell: journals in Kafka, and the owners of this node.
