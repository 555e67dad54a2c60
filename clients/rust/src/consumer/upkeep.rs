//! What a consumer does behind its user's calls: it joins, and joins anew once it was removed; it polls, commits what was
//! worked on, and reminds a server that has forgotten where it was.

use std::time::Duration;

use hyper::Method;
use serde_json::{Value, json};
use tokio::time::Instant;
use uuid::Uuid;

use super::{CommitOffset, Consumer, LONGEST_WAIT};
use crate::{
    Error, Result, TopicPartition,
    consumer_options::Wish,
    holdings::Holdings,
    membership::{Membership, Patience},
    message::messages,
    partitions::{by_partition, lists, offset_map},
};

impl Consumer {
    pub(super) async fn want(&mut self, wish: Wish) -> Result<()> {
        self.joining = None;
        if let Some(member) = self.member.as_ref().filter(|member| member.over().is_none()) {
            let described = member.subscribe(&self.options, &wish).await?;
            self.holdings.adopt(&described);
        }
        self.options.wish = Some(wish);
        Ok(())
    }

    pub(super) async fn joined(&mut self) -> Result<&Membership> {
        match self.member.as_ref().and_then(Membership::over) {
            None => {}
            Some(Error::ConsumerLost(why)) => {
                let lost = Error::ConsumerLost(why.clone());
                self.member = None;
                self.holdings.lose();
                if !self.options.rejoin {
                    return Err(lost);
                }
            }
            Some(other) => return Err(other.clone()),
        }
        if self.member.is_none() {
            let nothing = || Error::Invalid("nothing to read yet: name topics, or subscribe or assign".to_owned());
            let wish = self.options.wish.as_ref().ok_or_else(nothing)?;
            let id = *self.joining.get_or_insert_with(Uuid::new_v4);
            let joined = Membership::join(&self.http, &self.options, wish, id).await;
            if !matches!(joined, Err(Error::Connection { .. })) {
                self.joining = None;
            }
            let (member, described) = joined?;
            self.holdings.adopt(&described);
            self.member = Some(member);
        }
        Ok(self.member.as_ref().expect("it has joined"))
    }

    /// One poll of the server, and what it tells.
    pub(super) async fn fetch(&mut self, wait: Duration, max_records: usize) -> Result<()> {
        self.joined().await?;
        self.commit_before_poll().await?;
        let after = self.holdings.batch;
        let wait = wait.min(self.options.fetch_max_wait).min(LONGEST_WAIT);
        let Some(member) = &self.member else { return Ok(()) };
        match member.poll(&self.options, after, wait, max_records).await {
            Ok(polled) => {
                let messages = messages(polled.records)?;
                self.holdings.receive(polled.batch_id, messages, &polled.lag, polled.rebalance.as_ref());
                Ok(())
            }
            Err(error) if error.is_api("batch_unknown") => self.remind(&error).await,
            Err(Error::ConsumerLost(_)) => self.joined().await.map(drop),
            Err(error) => Err(error),
        }
    }

    /// After a crash the server may not know the last batch; this side does, and says where each partition goes on. What
    /// else the server may have handed out since the batch that it knows is asked for by that, so that no lost answer
    /// loses it.
    async fn remind(&mut self, unknown: &Error) -> Result<()> {
        let Some(member) = &self.member else { return Ok(()) };
        let known = unknown.api().and_then(|api| api.details.get("previous")?.as_u64());
        let known = known.ok_or_else(|| Error::UnexpectedAnswer("no `previous` batch".to_owned()))?;
        for attempt in 1.. {
            self.holdings.adopt(&member.describe().await?);
            let offsets = self.holdings.arrived();
            if offsets.is_empty() {
                break;
            }
            let body = json!({"offsets": offset_map(&offsets)});
            match member.ask::<Value>(Method::POST, "/seek", Some(&body), Patience::default()).await {
                Ok(_) => break,
                // It has gone since it was asked what there is.
                Err(error) if error.is_api("partition_not_assigned") && attempt < 10 => {}
                Err(error) => return Err(error),
            }
        }
        self.holdings.batch = known;
        Ok(())
    }

    /// What goes is still this consumer's until the next poll, so what was done of it is committed before that.
    pub(super) async fn commit_before_poll(&mut self) -> Result<()> {
        let is_due = self.last_commit.elapsed() >= self.options.auto_commit_interval || self.holdings.is_giving_up();
        if self.options.auto_commit && is_due {
            self.commit_finished(None).await?;
        }
        self.holdings.give_up();
        Ok(())
    }

    /// Commits what was worked on, of the partitions that are still this consumer's.
    pub(super) async fn commit_finished(&mut self, give_up_after: Option<Duration>) -> Result<()> {
        self.last_commit = Instant::now();
        let finished = |holdings: &Holdings| -> Vec<CommitOffset> {
            holdings.delivery.finished().into_iter().map(CommitOffset::from).collect()
        };
        if self.member.as_ref().is_none_or(|member| member.over().is_some()) {
            return Ok(());
        }
        match self.commit_within(&finished(&self.holdings), give_up_after).await {
            // What was done of a partition that is another's now comes again there.
            Err(Error::ConsumerLost(_)) => Ok(()),
            Err(error) if error.is_api("partition_not_assigned") => {
                if let Some(member) = &self.member {
                    self.holdings.adopt(&member.describe().await?);
                }
                self.commit_within(&finished(&self.holdings), give_up_after).await
            }
            result => result,
        }
    }

    pub(super) async fn commit_within(
        &mut self,
        offsets: &[CommitOffset],
        give_up_after: Option<Duration>,
    ) -> Result<()> {
        if offsets.is_empty() {
            return Ok(());
        }
        let nobody = || Error::Invalid("nothing can be committed before the consumer has joined".to_owned());
        let member = self.member.as_ref().ok_or_else(nobody)?;
        let mut body = json!({"offsets": by_partition(offsets.iter().map(|one| (&one.at.partition, one.at.offset)))});
        let noted: Vec<_> =
            offsets.iter().filter_map(|one| Some((&one.at.partition, one.metadata.as_ref()?))).collect();
        if !noted.is_empty() {
            body["metadata"] = json!(by_partition(noted));
        }
        let patience = Patience { give_up_after, ..Patience::default() };
        member.ask::<Value>(Method::POST, "/commit", Some(&body), patience).await?;
        self.holdings.delivery.committed(offsets.iter().map(|one| &one.at));
        Ok(())
    }

    pub(super) async fn seek_as(&mut self, moved: &[TopicPartition], body: &Value) -> Result<()> {
        let member = self.joined().await?;
        member.ask::<Value>(Method::POST, "/seek", Some(body), Patience::default()).await?;
        self.holdings.delivery.restart(moved);
        Ok(())
    }

    pub(super) async fn set_paused(&mut self, path: &str, partitions: Option<&[TopicPartition]>) -> Result<()> {
        let body = partitions.map(|partitions| json!({"partitions": lists(partitions)}));
        let member = self.joined().await?;
        member.ask::<Value>(Method::POST, path, body.as_ref(), Patience::default()).await.map(drop)
    }
}
