//! Records in the topics of a Kafka cluster, one to one.
