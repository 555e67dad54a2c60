//! Operations: what each of them does to this world.

use takhin_core::{
    Cleanup, Event, FactSeq, FetchId, LogId, Offset, Parts, PollLimits, ProduceBatch, Request, RequestId, StorageError,
    StorageState, TopicConfig,
};

use super::{
    World,
    engine::{Lane, Mishap},
    producers::Claim,
    replies::Ask,
};
use crate::{coverage::Rare, operation::Operation, oracle::Violation};

impl World {
    pub(super) fn operate(&mut self, operation: Operation) -> Result<(), Violation> {
        match operation {
            Operation::Complete => self.complete(Mishap::None, |_| true),
            Operation::CompleteAll => self.complete_all(),
            Operation::LoseAppend => self.complete(Mishap::Unknown, |lane| matches!(lane, Lane::Log(_))),
            Operation::FailAppend => self.complete(Mishap::Fails, |lane| matches!(lane, Lane::Log(_))),
            Operation::FailRead => self.complete(Mishap::Fails, |lane| matches!(lane, Lane::Fetch(_) | Lane::Lookups)),
            Operation::ShortRead => self.complete(Mishap::Short, |lane| matches!(lane, Lane::Fetch(_))),
            Operation::FailCreate => self.complete(Mishap::Fails, |lane| lane == Lane::Topics),
            Operation::Delay => {
                let event = self.engine.run(&mut self.word, Mishap::None, |lane| !matches!(lane, Lane::Log(_)));
                self.engine.unsaid.extend(event);
                Ok(())
            }
            Operation::Report => self.report(),
            Operation::Repeat => match self.engine.said.clone() {
                Some(event) => self.event(event),
                None => Ok(()),
            },
            Operation::Block => {
                let log = self.engine.some_log(&mut self.word);
                self.engine.blocked.extend(log);
                Ok(())
            }
            Operation::Unblock => {
                self.engine.blocked.clear();
                Ok(())
            }
            Operation::Corrupt => {
                self.corrupt();
                Ok(())
            }
            Operation::Trim => self.trim(),
            Operation::Compact => {
                self.compact();
                Ok(())
            }
            Operation::FillDisk => self.storage_turns(StorageState::Stalled(StorageError::Full)),
            Operation::MakeRoom => self.storage_turns(StorageState::Ok),
            Operation::FailSync => {
                self.storage_turns(StorageState::Failed(StorageError::Failed("a sync failed".into())))
            }
            Operation::Snapshot => {
                self.snapshot = Some((self.core.snapshot(), self.core.decided()));
                self.must_be_made_of_facts()
            }
            Operation::Crash => self.crash(false),
            Operation::Drain => {
                self.draining = true;
                if self.core.parked_polls() > 0 {
                    self.cover(Rare::DrainUnderParkedPoll);
                }
                self.event(Event::Drain)
            }
            Operation::Garbage => self.garbage(),
            Operation::Hear => self.hear(false).map(drop),
            Operation::WriteOutside => {
                self.write_outside();
                Ok(())
            }
            Operation::Drift => {
                self.engine.arrive_late(&mut self.word);
                self.cover_kafka();
                Ok(())
            }
            Operation::LookAtTopics => self.look_at_topics(),
            Operation::ChangeTopicsOutside => {
                self.change_topics_outside();
                Ok(())
            }
            operation => self.time_passes(operation),
        }
    }

    fn time_passes(&mut self, operation: Operation) -> Result<(), Violation> {
        match operation {
            Operation::TellDate => self.tell_date(),
            Operation::SetDate => {
                self.set_date();
                Ok(())
            }
            Operation::PassLittle => {
                let ms = self.word.of(&[1, 5, 20, 100, 300]).unwrap_or_default();
                self.pass(ms)
            }
            Operation::PassMuch => {
                let ms = self.word.of(&[1_000, 1_500, 2_500]).unwrap_or_default();
                self.pass(ms)
            }
            Operation::PassToDeadline => {
                self.now = self.next_deadline().map_or(self.now, |at| self.now.max(at.0));
                self.event(Event::Tick)
            }
            Operation::JumpForward => {
                self.now += self.word.of(&[700, 5_000, 100_000]).unwrap_or_default();
                // Whatever happens next may be the first to tell the core.
                if self.word.one_in(2) { Ok(()) } else { self.event(Event::Tick) }
            }
            Operation::JumpBack => self.event_in_the_past(),
            operation => self.client_operates(operation),
        }
    }

    fn client_operates(&mut self, operation: Operation) -> Result<(), Violation> {
        match operation {
            Operation::Produce => return self.produce(1),
            Operation::ProduceMany => return self.produce(u32::from(self.options.partitions.max(1))),
            Operation::ProduceNumbered => return self.produce_numbered(),
            Operation::ProduceOutOfOrder => return self.produce_out_of_order(),
            Operation::ProduceFenced => return self.produce_fenced(),
            Operation::ProduceKeyed => return self.produce_keyed(),
            Operation::ProduceExpecting => return self.produce_expecting(),
            Operation::BeginEpoch => {
                self.begin_epoch();
                return Ok(());
            }
            Operation::ConfigureTopic => return self.configure_topic(),
            Operation::SetOffsets => return self.set_offsets(),
            Operation::DeleteOffsets => return self.delete_offsets(),
            Operation::Read => return self.read_partition(false),
            Operation::LongRead => return self.read_partition(true),
            Operation::CreateTopic | Operation::AddPartitions | Operation::DeleteTopic | Operation::DescribeTopics => {
                return self.topics_change(operation);
            }
            Operation::DescribeGroups => return self.describe_groups(),
            Operation::HangUp => return self.hang_up(),
            _ => {}
        }
        let wild = matches!(operation, Operation::CommitAnywhere | Operation::Seek | Operation::Assign);
        let Some(at) = self.some_client(wild) else { return Ok(()) };
        match operation {
            Operation::Poll => self.poll(at, 0),
            Operation::LongPoll => {
                let timeout_ms = self.poll_timeout();
                self.poll(at, timeout_ms)
            }
            Operation::Commit => self.commit(at, false),
            Operation::CommitAll => self.commit_all(at),
            Operation::CommitStale => self.commit(at, true),
            Operation::CommitAnywhere => self.commit_anywhere(at),
            Operation::Seek => self.seek(at),
            Operation::Assign => self.assign(at),
            Operation::Describe => self.describe(at),
            Operation::AskCommitted => self.ask_committed(at),
            Operation::Subscribe if self.clients[at].me.is_none() => self.subscribe(at),
            Operation::Subscribe => self.subscribe_again(at),
            Operation::Resubscribe => self.resubscribe(at),
            Operation::PausePartitions => self.pause_partitions(at),
            Operation::ResumePartitions => self.resume_partitions(at),
            Operation::SeekPlace => self.seek_place(at),
            Operation::Haunt => self.haunt(at),
            Operation::Close => self.close(at),
            Operation::Die => {
                self.clients[at].forget();
                Ok(())
            }
            Operation::Sleep => {
                self.sleep(at);
                Ok(())
            }
            Operation::Pause => {
                self.pause(at);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn complete(&mut self, mishap: Mishap, wanted: fn(Lane) -> bool) -> Result<(), Violation> {
        let event = self.engine.run(&mut self.word, mishap, wanted);
        self.cover_kafka();
        match event {
            Some(event) => self.say(event),
            None => Ok(()),
        }
    }

    /// The engine carries out something while an event waits for its turn.
    pub(super) fn complete_one(&mut self) -> Result<(), Violation> {
        let event = self.engine.run(&mut self.word, Mishap::None, |_| true);
        self.cover_kafka();
        event.map_or(Ok(()), |event| self.take_in_cluster(event))
    }

    pub(super) fn complete_all(&mut self) -> Result<(), Violation> {
        while !self.engine.is_idle() || self.hear(true)? {
            self.complete(Mishap::None, |_| true)?;
        }
        Ok(())
    }

    fn say(&mut self, event: Event) -> Result<(), Violation> {
        // What a fetch brought is brought once: to bring it again would be to keep it twice.
        if !matches!(event, Event::Fetched { .. }) && self.options.weights.contains_key(&Operation::Repeat) {
            self.engine.said = Some(event.clone());
        }
        self.event(event)
    }

    /// Something that was done some time ago is said.
    pub(super) fn report(&mut self) -> Result<(), Violation> {
        if self.engine.unsaid.is_empty() {
            return Ok(());
        }
        let at = self.word.index(self.engine.unsaid.len());
        let event = self.engine.unsaid.remove(at);
        self.say(event)
    }

    fn produce(&mut self, partitions: u32) -> Result<(), Violation> {
        if let Some(request) = self.retry.take() {
            self.cover(Rare::ProduceRepeated);
            return self.produce_request(request, Claim::None).map(drop);
        }
        let Some((topic, first)) = self.some_partition() else { return Ok(()) };
        let count = u32::from(self.options.partitions.max(1));
        let most = u32::from(self.options.records.max(1));
        let batches = (0..partitions).map(|n| {
            let records = 1 + self.word.below(most);
            ProduceBatch { partition: (first + n) % count, records, bytes: records * 10, ..ProduceBatch::default() }
        });
        let batches = batches.collect();
        self.produce_request(Request::Produce { topic, batches }, Claim::None).map(drop)
    }

    pub(super) fn produce_request(&mut self, request: Request, claim: Claim) -> Result<RequestId, Violation> {
        let Request::Produce { topic, batches } = &request else { return Ok(RequestId::default()) };
        let topic = self.topics_core().topic(topic).map(|topic| topic.id);
        let tickets = topic.into_iter().flat_map(|topic| {
            batches.iter().map(move |batch| (LogId { topic, partition: batch.partition }, batch.records))
        });
        let tickets: Vec<_> = tickets.map(|(log, records)| (log, self.model.begin_append(log, records))).collect();
        let ask = Ask::Produce { topic, batches: batches.clone(), tickets, claim };
        self.ask(None, ask, request)
    }

    fn read_partition(&mut self, waits: bool) -> Result<(), Violation> {
        let Some((topic, partition)) = self.some_partition() else { return Ok(()) };
        let found = self.topics_core().bounds(&topic, partition).ok();
        let (start, end) = found.map_or((0, 0), |(_, bounds)| (bounds.start.0, bounds.end.0));
        let offset =
            if waits { end } else { start + u64::from(self.word.below(u32::try_from(end - start + 2).unwrap_or(2))) };
        let timeout_ms = if waits { self.poll_timeout() } else { 0 };
        let limits = PollLimits { timeout_ms, max_records: 1 + self.word.below(20), ..PollLimits::default() };
        let log = found.map(|(log, bounds)| (log, self.model.begin_end(log, bounds.end)));
        let offset = i64::try_from(offset).unwrap_or(i64::MAX);
        self.ask(None, Ask::Read { log }, Request::Read { topic, partition, offset, limits }).map(drop)
    }

    pub(super) fn topics_change(&mut self, operation: Operation) -> Result<(), Violation> {
        let name = self.topics[self.word.index(self.topics.len())].clone();
        let partitions = 1 + self.word.below(u32::from(self.options.partitions.max(1)));
        let request = match operation {
            Operation::DeleteTopic => Request::DeleteTopic { name },
            Operation::AddPartitions => Request::AddPartitions { name, partitions: partitions + 1 },
            Operation::DescribeTopics if self.word.one_in(2) => Request::ListTopics,
            Operation::DescribeTopics => Request::DescribeTopic { name },
            _ => {
                let cleanup = self.word.of(&[Cleanup::Delete, Cleanup::Delete, Cleanup::Compact]).unwrap_or_default();
                Request::CreateTopic { name, partitions, config: TopicConfig { cleanup, ..TopicConfig::default() } }
            }
        };
        self.ask_for_topics(request)
    }

    pub(super) fn describe_groups(&mut self) -> Result<(), Violation> {
        let group = self.groups[self.word.index(self.groups.len())].1.clone();
        let request = if self.word.one_in(2) { Request::ListGroups } else { Request::DescribeGroup { group } };
        self.ask(None, Ask::Groups, request).map(drop)
    }

    /// A log, and an offset that can be read in it.
    pub(super) fn some_place(&mut self) -> Option<(LogId, Offset)> {
        let log = self.engine.some_log(&mut self.word)?;
        let (start, end) = (self.engine.start(log), self.engine.readable_end(log));
        let room = u32::try_from(end - start).ok().filter(|room| *room > 0)?;
        Some((log, Offset(start + u64::from(self.word.below(room)))))
    }

    fn corrupt(&mut self) {
        if let Some((log, at)) = self.some_place() {
            self.engine.corrupt(log, at);
        }
    }

    fn trim(&mut self) -> Result<(), Violation> {
        let Some((log, at)) = self.some_place() else { return Ok(()) };
        let Some(event) = self.engine.trim(log, Offset(at.0 + 1)) else { return Ok(()) };
        if self.front.is_some() {
            // Whoever follows the log hears of it.
            return Ok(());
        }
        if self.options.weights.contains_key(&Operation::Report) && self.word.one_in(2) {
            self.engine.unsaid.push(event);
            return Ok(());
        }
        self.event(event)
    }

    pub(super) fn storage_turns(&mut self, state: StorageState) -> Result<(), Violation> {
        if self.engine.state == state || matches!(self.engine.state, StorageState::Failed(_)) {
            return Ok(());
        }
        self.engine.state = state.clone();
        if state.refusal().is_some() && self.open.iter().any(|asked| self.core.waits_for_facts(asked.id)) {
            self.cover(Rare::StorageFailsUnderHeldAnswer);
        }
        self.event(Event::Storage { state })
    }

    /// The clock goes back; the next events are told the right time again.
    fn event_in_the_past(&mut self) -> Result<(), Violation> {
        let now = self.now;
        self.cover(Rare::ClockGoesBack);
        self.now = now.saturating_sub(self.word.of(&[1, 1_000, 1_000_000]).unwrap_or_default());
        let done = self.complete(Mishap::None, |_| true);
        self.now = now;
        done
    }

    fn garbage(&mut self) -> Result<(), Violation> {
        let n = u64::from(self.word.below(5_000));
        let open = self.open.len();
        let event = match self.word.below(6) {
            0 => Event::Fetched { id: FetchId { request: RequestId(n | 1 << 60), attempt: 0 }, parts: Parts::new() },
            1 => Event::Persisted { through: FactSeq(0) },
            2 => Event::Disconnected { request: RequestId(n | 1 << 60) },
            3 => match self.clients[self.word.index(self.clients.len())].me {
                Some(consumer) => Event::Undelivered { request: RequestId(n | 1 << 60), consumer },
                None => Event::Tick,
            },
            4 => Event::LogMoved { log: LogId::default(), start: Offset(n), end: Offset(1) },
            _ if open > 0 => {
                // An id that is in use; whoever has it keeps it.
                let id = self.open[self.word.index(open)].id;
                return self.ask_as_another(id, Request::ListTopics);
            }
            _ => Event::Tick,
        };
        self.event(event)
    }
}
