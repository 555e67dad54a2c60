//! Topics are Kafka's: changed there, by clients of the broker or by others, and told to each of a node's cores.

use takhin_core::{
    Event, LogId, Offset, Refusal, Request, RequestId, Response, TopicConfig, TopicConfigChange, TopicName,
    response::TopicDescription,
};

use crate::{
    coverage::Rare,
    oracle::{Violation, must},
    world::{
        World,
        engine::{Side, kafka::Topic},
        replies::Ask,
    },
};

/// How often cores are told of topics at the end of a run, at most: what one changes may have to wait for another.
const MAX_LESSONS: u32 = 8;

impl World {
    /// Asks about topics, or has them changed where they are.
    pub(in crate::world) fn ask_for_topics(&mut self, request: Request) -> Result<(), Violation> {
        let changes = !matches!(request, Request::ListTopics | Request::DescribeTopic { .. });
        if self.front.is_none() {
            return self.ask(None, Ask::Other, request).map(drop);
        }
        if !changes {
            let logs = self.topics_core().logs_touched(&request).into_iter();
            let floors = logs.map(|log| (log, Offset(self.engine.stable_end(log)))).collect();
            return self.ask(None, Ask::Topics { floors }, request).map(drop);
        }
        self.change_topics(request);
        self.teach(Side::Front)?;
        if self.word.one_in(2) { self.teach(Side::Cell) } else { Ok(()) }
    }

    /// Who asks what there is of a topic hears at least of what nobody could take back when it asked.
    pub(in crate::world) fn topics_told(
        &self,
        floors: &[(LogId, Offset)],
        response: &Result<Response, Refusal>,
    ) -> Result<(), Violation> {
        let told: &[TopicDescription] = match response {
            Ok(Response::Topic(topic)) => std::slice::from_ref(topic),
            Ok(Response::Topics(topics)) => topics,
            _ => &[],
        };
        for (log, floor) in floors.iter().filter(|(log, _)| self.engine.has(*log)) {
            let topic = told.iter().find(|topic| topic.id == log.topic);
            let Some(bounds) = topic.and_then(|topic| topic.partitions.get(log.partition as usize)) else { continue };
            let end = Offset(self.engine.end(*log).unwrap_or_default());
            let holds = (*floor..=end).contains(&bounds.end);
            must!(
                holds,
                Linearizable,
                "{log} is said to be at {bounds:?}, and ended at {floor:?}, and ends at {end:?}"
            );
        }
        Ok(())
    }

    /// Changes topics in Kafka.
    fn change_topics(&mut self, request: Request) {
        let most = self.options.config.max_partitions_per_topic;
        let Some(kafka) = &mut self.engine.kafka else { return };
        match request {
            Request::CreateTopic { name, partitions, config }
                if partitions <= most && !kafka.topics.contains_key(&name) =>
            {
                let topic = kafka.create(name, partitions, config);
                self.engine.make_logs(topic.id, partitions);
            }
            Request::AddPartitions { name, partitions } => {
                self.change_topic(&name, Some(partitions), &TopicConfigChange::default());
            }
            Request::ConfigureTopic { name, change, partitions } => self.change_topic(&name, partitions, &change),
            Request::DeleteTopic { name } => {
                self.engine.delete_from_kafka(&name);
            }
            _ => {}
        }
    }

    fn change_topic(&mut self, name: &TopicName, partitions: Option<u32>, change: &TopicConfigChange) {
        let most = self.options.config.max_partitions_per_topic;
        let Some(topic) = self.engine.kafka.as_mut().and_then(|kafka| kafka.topics.get_mut(name)) else { return };
        topic.config = change.applied_to(&topic.config);
        topic.partitions = topic.partitions.max(partitions.filter(|more| *more <= most).unwrap_or_default());
        let Topic { id, partitions, .. } = *topic;
        self.engine.make_logs(id, partitions);
    }

    /// Another client of Kafka makes, changes, deletes or replaces a topic, of which no node is told.
    pub(in crate::world) fn change_topics_outside(&mut self) {
        let name = self.topics[self.word.index(self.topics.len())].clone();
        let partitions = 1 + self.word.below(u32::from(self.options.partitions.max(1)));
        let create = Request::CreateTopic { name: name.clone(), partitions, config: TopicConfig::default() };
        match self.word.below(4) {
            0 => self.change_topics(create),
            1 => self.change_topics(Request::AddPartitions { name, partitions: partitions + 1 }),
            2 => self.change_topics(Request::DeleteTopic { name }),
            _ => {
                if self.engine.kafka.as_ref().is_some_and(|kafka| kafka.topics.contains_key(&name)) {
                    self.cover(Rare::TopicReplacedOutside);
                }
                self.change_topics(Request::DeleteTopic { name });
                self.change_topics(create);
            }
        }
    }

    /// A node looks what topics there are, and tells one of its cores.
    pub(in crate::world) fn look_at_topics(&mut self) -> Result<(), Violation> {
        let side = if self.word.one_in(2) { Side::Front } else { Side::Cell };
        self.teach(side)
    }

    /// Tells a core what topics there are: first which are gone, and once it knows that, what is new.
    pub(in crate::world) fn teach(&mut self, side: Side) -> Result<(), Violation> {
        let is_being_taught = match (side, &self.front) {
            (Side::Front, Some(front)) => !front.teaching.is_empty(),
            _ => !self.teaching.is_empty(),
        };
        if is_being_taught {
            return Ok(());
        }
        let gone = self.gone(side);
        let lessons = if gone.is_empty() { self.news(side) } else { gone };
        for (id, request) in lessons {
            let id = match (id, side, &mut self.front) {
                (Some(id), ..) => id,
                (None, Side::Front, Some(front)) => front.next_request(),
                _ => self.next_request(),
            };
            match (side, &mut self.front) {
                (Side::Front, Some(front)) => front.teaching.insert(id),
                _ => self.teaching.insert(id),
            };
            self.give(side, Event::Request { id, request })?;
        }
        Ok(())
    }

    /// Topics that a core knows, and that are no more.
    fn gone(&self, side: Side) -> Vec<(Option<RequestId>, Request)> {
        let Some(kafka) = &self.engine.kafka else { return Vec::new() };
        let known = self.core_of(side).durable().topics.iter();
        let gone = known.filter(|(id, record)| kafka.topics.get(&record.name).is_none_or(|topic| topic.id != **id));
        gone.map(|(_, record)| (None, Request::DeleteTopic { name: record.name.clone() })).collect()
    }

    /// What a core does not know of topics.
    fn news(&self, side: Side) -> Vec<(Option<RequestId>, Request)> {
        let Some(kafka) = &self.engine.kafka else { return Vec::new() };
        let known = &self.core_of(side).durable().topics;
        let news = kafka.topics.iter().filter_map(|(name, topic)| {
            let (name, Topic { id, partitions, config }) = (name.clone(), *topic);
            let Some(record) = known.get(&id) else {
                // Its id is that of the request by which a core learns of it.
                return Some((Some(RequestId(id.0)), Request::CreateTopic { name, partitions, config }));
            };
            let more = (partitions > record.partitions).then_some(partitions);
            let change = TopicConfigChange {
                cleanup: Some(config.cleanup),
                retention_ms: Some(config.retention_ms),
                ..TopicConfigChange::default()
            };
            let request = Request::ConfigureTopic { name, change, partitions: more };
            (record.config != config || more.is_some()).then_some((None, request))
        });
        news.collect()
    }

    /// Others leave Kafka alone, and everybody knows what topics there are.
    pub(in crate::world) fn calm_down(&mut self) -> Result<(), Violation> {
        if self.front.is_none() {
            return Ok(());
        }
        self.engine.calm_down();
        for _ in 0..MAX_LESSONS {
            self.teach(Side::Front)?;
            self.teach(Side::Cell)?;
            self.complete_all()?;
        }
        Ok(())
    }
}
