//! Where the records of `takhin consume` come from: a group of which it is a member, or the partitions themselves.

use std::time::Duration;

use takhin_client::{Admin, Client, Consumer, Message, ReadFrom, TopicPartition};
use tokio::sync::mpsc;

use super::{
    failure::Failure,
    messages::{after, place},
    start_at::StartAt,
};

/// How many answers may wait to be printed; then reading waits.
const ANSWERS: usize = 4;

pub(super) enum Source {
    Group { consumer: Box<Consumer>, exits_at_end: bool },
    Partitions(mpsc::Receiver<Result<Vec<Message>, Failure>>),
}

impl Source {
    /// Reads partitions from a place, each in a task of its own; to their present ends, or for ever.
    pub(super) async fn partitions(
        client: &Client,
        topics: &[String],
        partition: Option<u32>,
        at: StartAt,
        exits_at_end: bool,
    ) -> Result<Self, Failure> {
        let admin = client.admin();
        let mut readings = Vec::new();
        for name in topics {
            let topic = admin.topic(name).await?;
            let wanted: Vec<_> = topic
                .offsets
                .iter()
                .filter(|bounds| partition.is_none_or(|number| number == bounds.partition))
                .collect();
            if wanted.is_empty() {
                return Err(Failure::new(format!("{name} has {} partitions, from 0 on", topic.partitions)));
            }
            for bounds in wanted {
                let of = TopicPartition::new(&**name, bounds.partition);
                let from = place(&admin, &of, at).await?;
                readings.push((of, from, exits_at_end.then_some(bounds.end)));
            }
        }
        let (answers, told) = mpsc::channel(ANSWERS);
        for (of, from, end) in readings {
            tokio::spawn(read(admin.clone(), of, from, end, answers.clone()));
        }
        Ok(Self::Partitions(told))
    }

    /// Up to so many records (of a group; else what an answer has), or none; None at the end.
    pub(super) async fn next(&mut self, at_most: usize) -> Result<Option<Vec<Message>>, Failure> {
        match self {
            Self::Partitions(answers) => answers.recv().await.transpose(),
            Self::Group { consumer, exits_at_end } => {
                // What arrived before the end may still wait to be handed out.
                let is_last = *exits_at_end && is_at_end(consumer);
                let wait = Duration::from_secs(if is_last { 0 } else { 30 });
                let batch = consumer.poll_up_to(at_most, wait).await?;
                Ok((!is_last || !batch.messages.is_empty()).then_some(batch.messages))
            }
        }
    }

    /// Ends it; `has_printed` says whether all that it gave was printed.
    pub(super) async fn close(self, has_printed: bool) -> Result<(), Failure> {
        match self {
            Self::Group { consumer, .. } if has_printed => Ok(consumer.close().await?),
            Self::Group { consumer, .. } => Ok(consumer.leave().await?),
            Self::Partitions(_) => Ok(()),
        }
    }
}

/// A member that has no partitions yet is at no end.
fn is_at_end(consumer: &Consumer) -> bool {
    !consumer.assignment().is_empty() && consumer.lag().all(|(_, lag)| lag == Some(0))
}

/// Reads a partition until its end, if there is one, or until nobody listens.
async fn read(
    admin: Admin,
    of: TopicPartition,
    mut from: ReadFrom,
    end: Option<u64>,
    answers: mpsc::Sender<Result<Vec<Message>, Failure>>,
) {
    if end == Some(0) {
        return;
    }
    while end.is_none_or(|end| !matches!(from, ReadFrom::Offset(offset) if offset >= end)) {
        let answer = match after(&admin, &of, from).await {
            Ok((mut messages, next_offset)) => {
                from = ReadFrom::Offset(next_offset);
                messages.retain(|message| end.is_none_or(|end| message.offset < end));
                Ok(messages)
            }
            Err(failure) => Err(failure.about(&of.to_string())),
        };
        let failed = answer.is_err();
        if answers.send(answer).await.is_err() || failed {
            return;
        }
    }
}
