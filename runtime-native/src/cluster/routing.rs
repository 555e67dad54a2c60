//! Which core answers a request, and where it runs.

use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use takhin_core::{AppendId, Applied, ConsumerId, GroupName, Offset, Refusal, Request, Response, TopicName};

use super::{
    Cluster, Node,
    cells::Directory,
    fates::Before,
    home::FRONT,
    journaled::may_be_journaled,
    naming::{named_by, naming},
    seat::core_number,
};
use crate::{
    driver::{Answer, Bodies, Driver, node::RecordForm},
    record::partition_for_key,
};

/// For how long a request waits for somebody to serve its cell, before its client is asked to come again.
const PATIENCE: Duration = Duration::from_secs(3);
/// Of how many cells the groups are asked for at a time.
const CELLS_AT_ONCE: usize = 16;
/// How often it looks whether somebody does.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Who answers a request.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Whose {
    /// The core that knows topics.
    Front,
    /// Whoever makes topics.
    Topics,
    /// The core of a group's cell.
    Group(GroupName),
    /// The core of a consumer's cell.
    Consumer(ConsumerId),
    /// All cells.
    Everyone,
}

fn whose(request: &Request) -> Whose {
    match request {
        Request::CreateTopic { .. }
        | Request::ConfigureTopic { .. }
        | Request::AddPartitions { .. }
        | Request::DeleteTopic { .. } => Whose::Topics,
        Request::ListTopics | Request::DescribeTopic { .. } | Request::Produce { .. } | Request::Read { .. } => {
            Whose::Front
        }
        Request::Subscribe { group, .. }
        | Request::SetOffsets { group, .. }
        | Request::DeleteOffsets { group, .. }
        | Request::DeleteGroup { group }
        | Request::DescribeGroup { group } => Whose::Group(group.clone()),
        Request::ChangeSubscription { consumer, .. }
        | Request::Consume { consumer, .. }
        | Request::Commit { consumer, .. }
        | Request::Seek { consumer, .. }
        | Request::SeekPlace { consumer, .. }
        | Request::Pause { consumer, .. }
        | Request::Resume { consumer, .. }
        | Request::Assign { consumer, .. }
        | Request::Describe { consumer }
        | Request::Committed { consumer }
        | Request::Close { consumer } => Whose::Consumer(*consumer),
        Request::ListGroups => Whose::Everyone,
    }
}

/// Where a cell is served.
pub(super) enum Server {
    Here(Driver),
    There(String),
    Nobody,
}

impl Cluster {
    /// Asks whoever answers.
    pub(crate) async fn ask(&self, request: Request) -> Result<Answer, Refusal> {
        self.ask_in(request, RecordForm::Records).await
    }

    /// The same, for batches as they are stored.
    pub(crate) async fn ask_stored(&self, request: Request) -> Result<Answer, Refusal> {
        self.ask_in(request, RecordForm::Stored).await
    }

    async fn ask_in(&self, request: Request, form: RecordForm) -> Result<Answer, Refusal> {
        may_be_journaled(&request)?;
        match whose(&request) {
            Whose::Topics => self.administer(request).await,
            Whose::Front => {
                let home = &self.node.home;
                if home.freshen(FRONT, &home.front, &request).await.is_err() {
                    // A topic may be gone of which nobody has heard yet.
                    home.catch_up(&home.front).await?;
                    home.freshen(FRONT, &home.front, &request).await?;
                }
                match home.front.ask_in(request.clone(), form).await {
                    Err(Refusal::TopicNotFound { .. } | Refusal::PartitionNotFound { .. }) => {
                        home.catch_up(&home.front).await?;
                        home.freshen(FRONT, &home.front, &request).await?;
                        home.front.ask_in(request, form).await
                    }
                    answer => answer,
                }
            }
            Whose::Everyone => self.list_groups().await,
            Whose::Group(group) => {
                let cell = self.node.cell_of(&group);
                match &request {
                    Request::Subscribe { consumer, .. } if named_by(*consumer, self.node.cell_count) != Some(cell) => {
                        self.subscribe_as(*consumer, cell, request, form).await
                    }
                    _ => self.ask_cell(cell, request, form).await,
                }
            }
            Whose::Consumer(consumer) => self.ask_consumer(consumer, request, form).await,
        }
    }

    /// Subscribes under an id that does not name the group's cell, if nobody else has it.
    async fn subscribe_as(
        &self,
        consumer: ConsumerId,
        cell: u32,
        request: Request,
        form: RecordForm,
    ) -> Result<Answer, Refusal> {
        if self.find(consumer).await?.is_some_and(|found| found != cell) {
            return Err(Refusal::ConsumerExists { consumer });
        }
        let answer = self.ask_cell(cell, request, form).await?;
        self.node.remember(consumer, cell);
        Ok(answer)
    }

    async fn ask_consumer(&self, consumer: ConsumerId, request: Request, form: RecordForm) -> Result<Answer, Refusal> {
        let known = self.node.cell_of_consumer(consumer);
        if let Some(cell) = known {
            match self.ask_cell(cell, request.clone(), form).await {
                // It may be elsewhere: clients choose ids, too.
                Err(Refusal::ConsumerNotFound { .. }) => {}
                answer => return answer,
            }
        }
        match self.find(consumer).await? {
            Some(cell) if Some(cell) != known => {
                self.node.remember(consumer, cell);
                self.ask_cell(cell, request, form).await
            }
            _ => Err(Refusal::ConsumerNotFound { consumer }),
        }
    }

    /// Asks the core of a cell, wherever it runs.
    async fn ask_cell(&self, cell: u32, request: Request, form: RecordForm) -> Result<Answer, Refusal> {
        let until = Instant::now() + PATIENCE;
        loop {
            let answer = match self.node.server(cell) {
                Server::Here(driver) => {
                    self.node.settle_before(cell, &request, self.node.peers.asker().node, Before::default()).await;
                    self.node.ask_here(cell, &driver, request.clone(), form).await
                }
                Server::There(address) => self.ask_there(&address, cell, &request, form).await,
                Server::Nobody => Err(Refusal::GroupMoving { applied: Applied::Nothing }),
            };
            match answer {
                Err(Refusal::GroupMoving { applied: Applied::Nothing }) if Instant::now() < until => {
                    tokio::select! {
                        () = self.node.home.places.changed() => {}
                        () = tokio::time::sleep(LOOK_AGAIN) => {}
                    }
                }
                answer => return answer,
            }
        }
    }

    /// Asks another node, for as long as it serves the cell and an answer may be expected.
    async fn ask_there(
        &self,
        address: &str,
        cell: u32,
        request: &Request,
        form: RecordForm,
    ) -> Result<Answer, Refusal> {
        let waits = match request {
            Request::Consume { limits, .. } | Request::Read { limits, .. } => u64::from(limits.timeout_ms),
            _ => 0,
        };
        let patience = Duration::from_millis(waits) + self.node.home.config.kafka.timeout + PATIENCE;
        tokio::select! {
            answer = self.node.peers.ask(address, cell, request, form) => answer,
            () = self.node.moved_from(address, cell) => Err(Refusal::GroupMoving { applied: Applied::Unknown }),
            () = tokio::time::sleep(patience) => Err(Refusal::GroupMoving { applied: Applied::Unknown }),
        }
    }

    /// All groups, of all cells.
    async fn list_groups(&self) -> Result<Answer, Refusal> {
        let asked = (0..self.node.cell_count).map(|cell| self.ask_cell(cell, Request::ListGroups, RecordForm::Records));
        let mut answers = stream::iter(asked).buffer_unordered(CELLS_AT_ONCE);
        let mut groups = Vec::new();
        while let Some(answer) = answers.try_next().await? {
            if let Response::Groups(some) = answer.response {
                groups.extend(some);
            }
        }
        groups.sort_by(|a, b| a.group.cmp(&b.group));
        Ok(Answer::of(Response::Groups(groups)))
    }

    /// An id for a consumer to be, which names the cell of its group.
    pub(crate) fn draw_consumer_id(&self, group: &GroupName) -> ConsumerId {
        naming(self.node.cell_of(group))
    }

    /// Appends here, whatever the topic.
    pub(crate) async fn produce(
        &self,
        topic: TopicName,
        bodies: Bodies,
        expected_offset: Option<Offset>,
    ) -> Result<Answer, Refusal> {
        may_produce(&bodies, expected_offset)?;
        let home = &self.node.home;
        let mut answer = home.front.produce(topic, bodies, expected_offset).await?;
        if let Response::Produced(batches) = &mut answer.response {
            for batch in batches {
                let id = AppendId { request: answer.request, partition: batch.partition };
                batch.scattered = home.front_engine.take_scattered(id);
            }
        }
        Ok(answer)
    }
}

/// Refuses what Kafka has no means for.
fn may_produce(bodies: &Bodies, expected_offset: Option<Offset>) -> Result<(), Refusal> {
    if expected_offset.is_some() {
        return Err(Refusal::Unsupported { what: "an append at an expected offset".to_owned() });
    }
    if bodies.iter().any(|(_, batch)| batch.producer().is_some()) {
        return Err(Refusal::Unsupported { what: "recognising a producer's records".to_owned() });
    }
    Ok(())
}

impl Node {
    fn cell_of(&self, group: &GroupName) -> u32 {
        partition_for_key(group.as_bytes(), self.cell_count)
    }

    pub(super) fn server(&self, cell: u32) -> Server {
        if let Some(driver) = self.home.places.driver(cell).filter(|_| self.serves(cell)) {
            return Server::Here(driver);
        }
        let Some(cells) = self.cells() else { return Server::Nobody };
        let directory = cells.directory().borrow().clone();
        match directory.cells.get(cell as usize).and_then(Option::as_ref) {
            Some(place) if place.address != self.home.config.address => Server::There(place.address.clone()),
            _ => Server::Nobody,
        }
    }

    /// Waits until a cell is no longer served at that address.
    async fn moved_from(&self, address: &str, cell: u32) {
        let Some(cells) = self.cells() else { return };
        let mut directory = cells.directory();
        drop(cells);
        let is_there = |directory: &Directory| {
            let place = directory.cells.get(cell as usize).and_then(Option::as_ref);
            place.is_some_and(|place| place.address == address)
        };
        // It fails only if there is no directory any more.
        let _ = directory.wait_for(|directory| !is_there(directory)).await;
    }

    /// The addresses of the other nodes that serve a cell.
    pub(super) fn others(&self) -> Vec<String> {
        let Some(cells) = self.cells() else { return Vec::new() };
        let directory = cells.directory().borrow().clone();
        let places = directory.cells.iter().flatten();
        let mut addresses: Vec<_> = places.map(|place| place.address.clone()).collect();
        addresses.retain(|address| *address != self.home.config.address);
        addresses.sort_unstable();
        addresses.dedup();
        addresses
    }

    /// Asks a core that runs here. Its answer leaves only while nobody else can have begun to serve the cell.
    pub(super) async fn ask_here(
        &self,
        cell: u32,
        driver: &Driver,
        request: Request,
        form: RecordForm,
    ) -> Result<Answer, Refusal> {
        self.home.freshen(core_number(cell), driver, &request).await?;
        let polls = if let Request::Consume { consumer, .. } = &request { Some(*consumer) } else { None };
        let mut answer = driver.ask_in(request.clone(), form).await;
        if let Err(Refusal::TopicNotFound { .. } | Refusal::PartitionNotFound { .. }) = answer {
            self.home.catch_up(driver).await?;
            self.home.freshen(core_number(cell), driver, &request).await?;
            answer = driver.ask_in(request, form).await;
        }
        if self.serves(cell) {
            return answer;
        }
        if let (Ok(answer), Some(consumer)) = (&answer, polls) {
            driver.undelivered(answer.request, consumer);
        }
        Err(Refusal::GroupMoving { applied: Applied::Unknown })
    }

    /// Asks the core of a cell if it runs here, for another node.
    pub(super) async fn ask_for(&self, cell: u32, request: Request, form: RecordForm) -> Result<Answer, Refusal> {
        match self.server(cell) {
            Server::Here(driver) => self.ask_here(cell, &driver, request, form).await,
            Server::There(_) | Server::Nobody => Err(Refusal::GroupMoving { applied: Applied::Nothing }),
        }
    }
}
