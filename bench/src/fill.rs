//! A topic with records in it, to be read.

use crate::{Failure, connection::Connection, request, request::Url};

/// Records of one request.
pub(crate) const BATCH: usize = 500;

/// Creates a topic and fills each of its partitions with about so many bytes.
pub(crate) fn fill(
    url: Url,
    topic: &str,
    partitions: u32,
    partition_bytes: usize,
    record_bytes: usize,
) -> Result<(), Failure> {
    let mut connection = Connection::open(url.0)?;
    connection.ask(&request::create_topic(topic, partitions))?;
    let body = request::records(BATCH, record_bytes);
    // Records without a key go to one partition for each request, in turn.
    let produce = request::produce(topic, &body);
    let requests = partition_bytes.div_ceil(BATCH * record_bytes) * partitions as usize;
    for _ in 0..requests {
        connection.ask(&produce)?;
    }
    Ok(())
}
