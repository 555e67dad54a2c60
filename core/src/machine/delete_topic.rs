//! Topics go.
//!
//! Logs are taken away only after the deletion's fact is durable, so a crash in between leaves nothing half deleted.

use super::Core;
use crate::{
    fact::Fact,
    ids::{ConsumerId, FactSeq, LogId, RequestId, TopicName},
    log::Waiter,
    refusal::Refusal,
    response::Response,
};

impl Core {
    pub(super) fn delete_topic(&mut self, request: RequestId, name: TopicName) {
        if let Err(refusal) = self.may_write().and_then(|()| self.usable_topic(&name).map(|_| ())) {
            return self.refuse(request, refusal);
        }
        let Some(topic) = self.topics.remove(&name) else { return };
        let mut partitions = topic.usable;
        if let Some(pending) = topic.pending {
            partitions = pending.partitions;
            self.becoming.remove(&pending.after);
            if self.requests.remove(&pending.request).is_some() {
                self.refuse(pending.request, Refusal::TopicNotFound { topic: name.clone() });
            }
        }
        let after = self.record(Fact::TopicDeleted { topic: topic.id });
        self.outbox.delete_logs(topic.id, name.clone(), partitions);
        for partition in 0..topic.usable {
            self.remove_log(LogId { topic: topic.id, partition }, &name, after);
        }
        self.rebalance_subscribers(&name);
        self.reply_after(request, after, Response::TopicDeleted { name });
    }

    fn remove_log(&mut self, id: LogId, name: &TopicName, after: FactSeq) {
        let Some(log) = self.logs.remove(&id) else { return };
        for consumer in log.holders {
            self.lose_partition(consumer, id, name, after);
        }
        for waiter in log.waiting {
            if let Waiter::Read(request) = waiter {
                self.end_read(request, Err(Refusal::TopicNotFound { topic: name.clone() }));
            }
        }
    }

    fn lose_partition(&mut self, consumer: ConsumerId, log: LogId, name: &TopicName, after: FactSeq) {
        let Some(session) = self.sessions.get_mut(&consumer) else { return };
        session.forget_partition(log);
        session.news.revoke(log, name.clone());
        session.depends_on = after;
        if let Some(group) = self.groups.get_mut(&session.group) {
            group.forget(log, consumer);
        }
        self.stop_rebalance_timer_if_done(consumer);
        self.woken.insert(consumer);
    }
}
