//! Kafka's record batch, magic 2: the one format in which records are stored, sent and read.
//!
//! ```text
//!  byte 0            8        12        16      17      21
//!  | base offset i64 | length | epoch i32 | magic | crc u32 | attributes i16, last offset delta i32, ...   | records
//!                                                           '--------------- covered by the crc -----------------'
//! ```
//!
//! * [`BatchBuilder`] writes the records of one request for one partition straight into one buffer.
//! * [`BatchHeader`] reads and checks what stands before the records; [`records`] walks over them without a copy.
//! * [`retain`] takes records out of a batch, and [`filler`] stands for batches that are gone.
//! * [`EncodedBatch::from_client`] takes a batch that a client made.
//! * [`unpack`] gives a batch whose records are compressed as one whose records are not.
//! * [`partition_for_key`] picks the partition that Kafka's own producers would pick.
//!
//! Nothing here panics, or allocates by a length that it was told, whatever the bytes are. The checksum is
//! CRC-32C and leaves out the base offset and the leader epoch, so a broker can give a finished batch its place
//! without another pass over it; whoever stores batches has to check those two fields against what must stand
//! there. Source: Kafka's protocol guide, "Record Batch".

mod builder;
mod compression;
#[cfg(test)]
mod compression_tests;
mod header;
mod partition;
mod reader;
mod retain;
#[cfg(test)]
mod retain_tests;
mod stored;
#[cfg(test)]
mod stored_tests;
#[cfg(test)]
mod tests;
mod varint;

pub use builder::{BatchBuilder, BatchTooLarge, EncodedBatch};
pub use compression::{MAX_UNPACKED_BYTES, unpack};
pub use header::{BatchError, BatchHeader, HEADER_BYTES, MAX_BATCH_BYTES};
pub use partition::{murmur2, partition_for_key};
pub use reader::{Headers, RecordRef, Records, records};
pub use retain::{Retained, filler, retain};
pub use stored::NotTaken;
