//! What goes over the wire between nodes: a question as JSON; an answer as the length of its head, four bytes, its head as
//! JSON, and the batches that it speaks of as they are.

use bytes::{BufMut as _, Bytes, BytesMut};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use takhin_core::{ConsumerId, LogId, Refusal, Request, RequestId, Response};
use uuid::Uuid;

use super::{super::fates::Before, polls::Asker};
use crate::{
    driver::{Answer, Fetched, node::RecordForm},
    engine::ReadOutcome,
};

/// Where a node is asked.
pub(super) mod path {
    pub(in super::super) const ASK: &str = "/ask";
    pub(in super::super) const FIND: &str = "/find";
    pub(in super::super) const REACH: &str = "/reach";
    pub(in super::super) const HUNG_UP: &str = "/hung-up";
    pub(in super::super) const ARRIVED: &str = "/arrived";
    pub(in super::super) const UNDELIVERED: &str = "/undelivered";
}

/// The header that bears the cluster's secret.
pub(super) const SECRET: &str = "takhin-cluster-secret";

/// A client's request, for the core of a cell.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Ask<R = Request> {
    pub(super) cell: u32,
    /// Whether batches are wanted as they are stored.
    pub(super) stored: bool,
    /// What the question goes by, if its client hangs up.
    pub(super) token: Uuid,
    /// Who asks.
    pub(super) asker: Asker,
    /// What became of the consumer's polls before this one at the same node.
    pub(super) before: Before,
    pub(super) request: R,
}

impl<R> Ask<R> {
    pub(super) fn form(&self) -> RecordForm {
        if self.stored { RecordForm::Stored } else { RecordForm::Records }
    }
}

/// The question whether an answer arrived that went by a node.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct HasArrived {
    /// The node, from its start to its end.
    pub(super) node: Uuid,
    pub(super) consumer: ConsumerId,
    pub(super) poll: RequestId,
}

/// A question about a consumer.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct OfConsumer {
    /// The cell that it is in, if that is known.
    pub(super) cell: Option<u32>,
    pub(super) consumer: ConsumerId,
    /// The poll whose answer was lost, if one was.
    pub(super) poll: Option<RequestId>,
}

/// What stands before an answer's batches. It lives on the stack for a moment.
#[allow(clippy::large_enum_variant)]
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Head {
    Answer { request: RequestId, response: Response, records: Option<Vec<(LogId, ReadOutcome)>> },
    Refused(Refusal),
}

/// An answer that makes no sense.
#[derive(Debug, thiserror::Error)]
#[error("a node answered what can't be read: {0}")]
pub(super) struct Unreadable(String);

pub(super) fn encode(answer: Result<Answer, Refusal>) -> (Bytes, Bytes) {
    let (head, batches) = match answer {
        Err(refusal) => (Head::Refused(refusal), Bytes::new()),
        Ok(Answer { request, response, records }) => {
            let (batches, records) = match records.map(Fetched::into_parts) {
                None => (Bytes::new(), None),
                Some((batches, parts)) => (batches, Some(parts)),
            };
            (Head::Answer { request, response, records }, batches)
        }
    };
    let json = serde_json::to_vec(&head).expect("an answer is plain data");
    let mut head = BytesMut::with_capacity(4 + json.len());
    head.put_u32(u32::try_from(json.len()).expect("an answer's head is far below 4 GiB"));
    head.put_slice(&json);
    (head.freeze(), batches)
}

pub(super) fn decode(bytes: &[u8]) -> Result<Result<Answer, Refusal>, Unreadable> {
    let cut = || Unreadable("it breaks off".to_owned());
    let (length, rest) = bytes.split_first_chunk::<4>().ok_or_else(cut)?;
    let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| cut())?;
    let (head, batches) = rest.split_at_checked(length).ok_or_else(cut)?;
    Ok(match json(head)? {
        Head::Refused(refusal) => Err(refusal),
        Head::Answer { request, response, records } => {
            let records = records.map(|parts| Fetched::from_parts(batches, parts));
            Ok(Answer { request, response, records })
        }
    })
}

pub(super) fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Unreadable> {
    serde_json::from_slice(bytes).map_err(|error| Unreadable(error.to_string()))
}

#[cfg(test)]
mod tests {
    use takhin_core::{Applied, GroupName};

    use super::*;

    fn sent(answer: Result<Answer, Refusal>) -> Vec<u8> {
        let (head, batches) = encode(answer);
        [head, batches].concat()
    }

    #[test]
    fn answers_and_refusals_come_as_they_were() {
        let refusal = Refusal::GroupMoving { applied: Applied::Unknown };
        assert_eq!(decode(&sent(Err(refusal.clone()))).expect("readable").expect_err("refused"), refusal);
        let group = GroupName::new("billing").expect("a good id");
        let response = Response::GroupDeleted { group };
        let answer = Answer { request: RequestId(7), response: response.clone(), records: None };
        let read = decode(&sent(Ok(answer))).expect("readable").expect("an answer");
        assert_eq!((read.request, read.response), (RequestId(7), response));
        assert!(read.records.is_none());
    }

    #[test]
    fn what_breaks_off_is_no_answer() {
        let whole = sent(Err(Refusal::ShuttingDown));
        for length in 0..whole.len() {
            assert!(decode(&whole[..length]).is_err(), "{length}");
        }
    }
}
