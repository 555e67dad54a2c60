//! A consumer of a group: polls or streams, commits, seeks, pauses, and comes back by itself after a lost connection, a
//! restart of the server or a lost session.
//!
//! Every future of it may be dropped at any time: what it had done stays known, and what it had asked for comes again.

mod upkeep;
mod words;

use std::{sync::Arc, time::Duration};

use futures_util::{Stream, stream};
use hyper::Method;
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;
use uuid::Uuid;

pub use self::words::{Batch, CommitOffset, Committed, Place};
use crate::{
    Message, PartitionOffset, Result, TopicPartition,
    consumer_options::{ConsumerOptions, Wish},
    holdings::Holdings,
    http::Http,
    membership::{Membership, Patience},
    partitions::{ByPartition, entry, lists, offset_map},
};

/// How long a goodbye may take.
const GOODBYE_TIME: Duration = Duration::from_secs(10);
/// The longest wait that a server takes.
const LONGEST_WAIT: Duration = Duration::from_mins(5);

/// A consumer of a group. It joins with its first poll.
///
/// Messages count as worked on when the next ones are asked for. With auto-commit, what was worked on is committed
/// every few seconds, when partitions are taken away, and in [`close`](Self::close). A consumer that is dropped without
/// a goodbye keeps its partitions until its session ends.
pub struct Consumer {
    http: Arc<Http>,
    options: ConsumerOptions,
    holdings: Holdings,
    member: Option<Membership>,
    /// The id of a subscribe whose fate is not known.
    joining: Option<Uuid>,
    last_commit: Instant,
    /// The last message went out singly, so that its work may be left in its midst.
    is_singly: bool,
}

#[derive(Deserialize)]
struct Offsets {
    offsets: ByPartition<Option<u64>>,
    #[serde(default)]
    metadata: ByPartition<String>,
}

impl Consumer {
    pub(crate) fn new(http: Arc<Http>, options: ConsumerOptions) -> Self {
        let holdings = Holdings::default();
        Self { http, options, holdings, member: None, joining: None, last_commit: Instant::now(), is_singly: false }
    }

    /// The id under which the server has it, once it has joined.
    pub fn id(&self) -> Option<Uuid> {
        self.member.as_ref().map(Membership::id)
    }

    /// Joins the group, which the first poll does otherwise.
    ///
    /// # Errors
    ///
    /// [`Error::Api`](crate::Error::Api) if the server refuses, as with `topic_not_found`;
    /// [`Error::Invalid`](crate::Error::Invalid) if there is nothing to read yet;
    /// [`Error::Connection`](crate::Error::Connection).
    pub async fn join(&mut self) -> Result<()> {
        self.joined().await.map(drop)
    }

    /// Shares the partitions of these topics with the group from now on.
    ///
    /// # Errors
    ///
    /// As [`Consumer::join`].
    pub async fn subscribe(&mut self, topics: impl IntoIterator<Item = impl Into<String>>) -> Result<()> {
        self.want(Wish::Topics(topics.into_iter().map(Into::into).collect())).await
    }

    /// Shares the partitions of the topics that match the pattern with the group from now on.
    ///
    /// # Errors
    ///
    /// As [`Consumer::join`].
    pub async fn subscribe_pattern(&mut self, pattern: impl Into<String>) -> Result<()> {
        self.want(Wish::Pattern(pattern.into())).await
    }

    /// Reads exactly these partitions from now on, whatever others of the group have.
    ///
    /// # Errors
    ///
    /// As [`Consumer::join`].
    pub async fn assign(&mut self, partitions: impl IntoIterator<Item = TopicPartition>) -> Result<()> {
        self.want(Wish::Assigned(partitions.into_iter().collect())).await
    }

    /// Messages, as soon as there are some, or news of the assignment; neither if none came in time. Zero asks once.
    ///
    /// What the poll before brought counts as worked on.
    ///
    /// # Errors
    ///
    /// [`Error::Api`](crate::Error::Api) with `no_committed_offset` if there is no place to begin at;
    /// [`Error::Connection`](crate::Error::Connection) if the server could not be reached for as long as requests are
    /// repeated; [`Error::Fenced`](crate::Error::Fenced); [`Error::ConsumerLost`](crate::Error::ConsumerLost) if this
    /// consumer does not join anew.
    pub async fn poll(&mut self, timeout: Duration) -> Result<Batch> {
        self.poll_up_to(self.options.max_poll_records, timeout).await
    }

    /// As [`Consumer::poll`], for so many messages at most; from 1 to 10,000.
    ///
    /// # Errors
    ///
    /// As [`Consumer::poll`].
    pub async fn poll_up_to(&mut self, max_records: usize, timeout: Duration) -> Result<Batch> {
        self.is_singly = false;
        let end = Instant::now() + timeout.min(Duration::from_secs(u64::from(u32::MAX)));
        let mut has_asked = false;
        loop {
            let messages = self.holdings.delivery.take(max_records);
            let left = end.saturating_duration_since(Instant::now());
            if !messages.is_empty() || !self.holdings.news.is_empty() || (has_asked && left.is_zero()) {
                let news = std::mem::take(&mut self.holdings.news);
                return Ok(Batch { messages, assigned: news.assigned, revoked: news.revoked, lost: news.lost });
            }
            self.fetch(left, max_records).await?;
            has_asked = true;
        }
    }

    /// The next message, however long it takes.
    ///
    /// It counts as worked on when the next one is asked for: if the consumer is closed before, the message comes again
    /// to whoever is next, unless [`commit`](Self::commit) was called.
    ///
    /// # Errors
    ///
    /// As [`Consumer::poll`].
    pub async fn next(&mut self) -> Result<Message> {
        loop {
            self.is_singly = true;
            if let Some(message) = self.holdings.delivery.take(1).pop() {
                return Ok(message);
            }
            self.fetch(self.options.fetch_max_wait, self.options.max_poll_records).await?;
            // Who reads singly isn't told; auto-commit has seen to it.
            self.holdings.news = crate::holdings::News::default();
        }
    }

    /// Every message from now on, as [`Consumer::next`] gives them. An error is the last item.
    pub fn stream(&mut self) -> impl Stream<Item = Result<Message>> + '_ {
        stream::try_unfold(self, |consumer| async { Ok(Some((consumer.next().await?, consumer))) })
    }

    /// Commits what was handed out so far. Durable when it returns.
    ///
    /// # Errors
    ///
    /// [`Error::Api`](crate::Error::Api) with `partition_not_assigned` if a partition is another's now;
    /// [`Error::ConsumerLost`](crate::Error::ConsumerLost).
    pub async fn commit(&mut self) -> Result<()> {
        let handed: Vec<_> = self.holdings.delivery.handed().into_iter().map(CommitOffset::from).collect();
        self.commit_offsets(&handed).await
    }

    /// Commits these offsets, each the next one to read: all of them or none. Durable when it returns.
    ///
    /// # Errors
    ///
    /// As [`Consumer::commit`], and `offset_out_of_range`.
    pub async fn commit_offsets(&mut self, offsets: &[CommitOffset]) -> Result<()> {
        self.commit_within(offsets, None).await
    }

    /// Moves partitions to offsets: all of them or none.
    ///
    /// # Errors
    ///
    /// [`Error::Api`](crate::Error::Api) with `partition_not_assigned` or `offset_out_of_range`.
    pub async fn seek(&mut self, offsets: &[PartitionOffset]) -> Result<()> {
        let partitions: Vec<_> = offsets.iter().map(|at| at.partition.clone()).collect();
        self.seek_as(&partitions, &json!({"offsets": offset_map(offsets)})).await
    }

    /// Moves these partitions to a place, or without any all that are assigned.
    ///
    /// # Errors
    ///
    /// [`Error::Api`](crate::Error::Api) with `partition_not_assigned`.
    pub async fn seek_to(&mut self, place: Place, partitions: Option<&[TopicPartition]>) -> Result<()> {
        let mut body = match place {
            Place::Beginning => json!({"to": "beginning"}),
            Place::End => json!({"to": "end"}),
            Place::Committed => json!({"to": "committed"}),
            Place::TimestampMs(timestamp_ms) => json!({"timestamp_ms": timestamp_ms}),
        };
        self.joined().await?;
        if let Some(partitions) = partitions {
            body["partitions"] = json!(lists(partitions));
        }
        let moved = partitions.map_or_else(|| self.assignment().to_vec(), <[_]>::to_vec);
        self.seek_as(&moved, &body).await
    }

    /// Stops delivery of the partitions, or without any of all. They stay assigned.
    ///
    /// # Errors
    ///
    /// [`Error::Api`](crate::Error::Api) with `partition_not_assigned`.
    pub async fn pause(&mut self, partitions: Option<&[TopicPartition]>) -> Result<()> {
        self.set_paused("/pause", partitions).await?;
        let paused = partitions.map_or_else(|| self.assignment().to_vec(), <[_]>::to_vec);
        self.holdings.delivery.set_paused(&paused, true);
        Ok(())
    }

    /// Goes on with the partitions, or without any with all.
    ///
    /// # Errors
    ///
    /// [`Error::Api`](crate::Error::Api) with `partition_not_assigned`.
    pub async fn resume(&mut self, partitions: Option<&[TopicPartition]>) -> Result<()> {
        self.set_paused("/resume", partitions).await?;
        let resumed = partitions.map_or_else(|| self.paused(), <[_]>::to_vec);
        self.holdings.delivery.set_paused(&resumed, false);
        Ok(())
    }

    /// What is paused.
    pub fn paused(&self) -> Vec<TopicPartition> {
        self.holdings.delivery.paused()
    }

    /// What is assigned, as far as this side has heard.
    pub fn assignment(&self) -> &[TopicPartition] {
        self.holdings.assigned()
    }

    /// The topics that are read.
    ///
    /// # Errors
    ///
    /// As [`Consumer::join`].
    pub async fn subscription(&mut self) -> Result<Vec<String>> {
        Ok(self.joined().await?.describe().await?.topics)
    }

    /// The next offset of the partition that a poll will give; None where it isn't known yet.
    ///
    /// # Errors
    ///
    /// As [`Consumer::join`].
    pub async fn position(&mut self, of: &TopicPartition) -> Result<Option<u64>> {
        if let Some(offset) = self.holdings.delivery.position(of) {
            return Ok(Some(offset));
        }
        let answer: Offsets = self.joined().await?.ask(Method::GET, "/position", None, Patience::default()).await?;
        Ok(entry(&answer.offsets, of).copied().flatten())
    }

    /// What the group has committed of the partition.
    ///
    /// # Errors
    ///
    /// As [`Consumer::join`].
    pub async fn committed(&mut self, of: &TopicPartition) -> Result<Option<Committed>> {
        let answer: Offsets = self.joined().await?.ask(Method::GET, "/committed", None, Patience::default()).await?;
        let metadata = entry(&answer.metadata, of).cloned();
        Ok(entry(&answer.offsets, of).copied().flatten().map(|offset| Committed { offset, metadata }))
    }

    /// How many records each assigned partition had beyond the last batch when that was answered; None where that
    /// isn't known yet.
    pub fn lag(&self) -> impl Iterator<Item = (&TopicPartition, Option<u64>)> {
        self.holdings.lag().iter().map(|(of, lag)| (of, *lag))
    }

    /// Commits what was worked on, with auto-commit, and leaves the group. What the last poll gave counts as worked on;
    /// the last message of [`next`](Self::next) does not.
    ///
    /// # Errors
    ///
    /// [`Error::Connection`](crate::Error::Connection) if the server could not be reached within 10 seconds; its
    /// session then ends by itself.
    pub async fn close(mut self) -> Result<()> {
        if !self.is_singly {
            self.holdings.delivery.finish();
        }
        let committed = if self.options.auto_commit { self.commit_finished(Some(GOODBYE_TIME)).await } else { Ok(()) };
        self.leave().await.and(committed)
    }

    /// Leaves the group, and commits nothing: what was not committed comes again.
    ///
    /// # Errors
    ///
    /// As [`Consumer::close`].
    pub async fn leave(self) -> Result<()> {
        match &self.member {
            Some(member) => member.leave(Some(GOODBYE_TIME)).await,
            None => Ok(()),
        }
    }
}
