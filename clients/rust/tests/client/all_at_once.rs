//! Everything that can go wrong, at once: members come and go, work is slow, connections break, the server is killed.

use std::{
    collections::BTreeMap,
    env,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use takhin_client::{Client, CommitOffset, Consumer, Error, Record, Reset, Retry, TopicPartition, TopicSettings};
use takhin_tests::broker::{Broker, Options};
use tokio::{task::block_in_place, time::sleep};

use crate::breaking_way::BreakingWay;

const RECORDS: u64 = 3_000;
const PARTITIONS: u32 = 6;
const WORKERS: u64 = 3;
const CRASHES: usize = 4;
const SESSION: Duration = Duration::from_secs(1);

/// What was read, what was acknowledged to be committed, and what came again all the same.
#[derive(Default)]
struct Account {
    got: BTreeMap<(u32, u64), String>,
    committed: BTreeMap<u32, u64>,
    again: Vec<(u32, u64)>,
}

/// A draw from 0 to 99 (xorshift).
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 32) % 100
    }
}

async fn write(client: Client) {
    let producer = client.producer_builder().linger(Duration::from_millis(1)).max_batch_records(50).build();
    let mut sent = Vec::new();
    for number in 0..RECORDS {
        let partition = u32::try_from(number % u64::from(PARTITIONS)).unwrap();
        let record = Record::new("t").partition(partition).value(number.to_string());
        sent.push(producer.send(record).await.unwrap());
        sleep(Duration::from_millis(1)).await;
    }
    for fate in sent {
        fate.await.unwrap();
    }
}

async fn work(client: Client, account: Arc<Mutex<Account>>, mut draw: Draw) {
    let is_done = || account.lock().unwrap().got.len() as u64 == RECORDS;
    while !is_done() {
        let consumer = client.consumer("g").topics(["t"]).auto_offset_reset(Reset::Earliest).auto_commit(false);
        let mut consumer = consumer.max_poll_records(30).session_timeout(SESSION).build();
        let mut left = 5 + draw.next() / 3;
        while left > 0 && !is_done() {
            left -= 1;
            poll(&mut consumer, &account, &mut draw).await;
        }
        consumer.close().await.unwrap();
    }
}

async fn poll(consumer: &mut Consumer, account: &Mutex<Account>, draw: &mut Draw) {
    let messages = consumer.poll(Duration::from_millis(100)).await.unwrap().messages;
    let mut ends = BTreeMap::new();
    {
        let mut account = account.lock().unwrap();
        for message in messages {
            let place = (message.partition.partition, message.offset);
            if account.committed.get(&place.0).is_some_and(|committed| place.1 < *committed) {
                account.again.push(place);
            }
            let value = message.text().unwrap().to_owned();
            let before = account.got.insert(place, value.clone());
            assert!(before.is_none_or(|before| before == value));
            ends.insert(place.0, place.1 + 1);
        }
    }
    // Now and then work takes longer than a session lasts without a sign of life.
    if draw.next() < 2 {
        sleep(SESSION * 3 / 2).await;
    }
    if draw.next() >= 70 {
        return;
    }
    let at = |(partition, end): (&u32, &u64)| TopicPartition::new("t", *partition).at(*end).into();
    let offsets: Vec<CommitOffset> = ends.iter().map(at).collect();
    match consumer.commit_offsets(&offsets).await {
        Ok(()) => {
            let committed = &mut account.lock().unwrap().committed;
            for (partition, end) in ends {
                let known = committed.entry(partition).or_default();
                *known = end.max(*known);
            }
        }
        // Somebody else has them by now.
        Err(Error::ConsumerLost(_)) => {}
        Err(error) if error.is_api("partition_not_assigned") => {}
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_and_nothing_comes_again_that_was_committed() {
    let now = u64::from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos()) | 1;
    let seed = env::var("TAKHIN_SEED").map_or(now, |seed| seed.parse().unwrap());
    let mut broker = block_in_place(|| Broker::start(Options::default()));
    let direct = Client::new(broker.url("")).unwrap();
    direct.admin().create_topic("t", PARTITIONS, &TopicSettings::default()).await.unwrap();
    let way = BreakingWay::new(broker.client().address(), seed, 30_000).await;
    let retry = Retry { longest_pause: Duration::from_millis(200), ..Retry::default() };
    let client = Client::builder(&way.url).retry(retry).build().unwrap();
    let account = Arc::new(Mutex::new(Account::default()));

    let mut tasks = vec![tokio::spawn(write(client.clone()))];
    for worker in 0..WORKERS {
        tasks.push(tokio::spawn(work(client.clone(), account.clone(), Draw((seed * 31 + worker) | 1))));
    }
    for _ in 0..CRASHES {
        sleep(Duration::from_millis(700)).await;
        block_in_place(|| {
            broker.kill9();
            broker.restart();
        });
    }
    for task in tasks {
        task.await.unwrap();
    }

    let ends: Vec<_> = direct.admin().topic("t").await.unwrap().offsets.iter().map(|bounds| bounds.end).collect();
    let account = account.lock().unwrap();
    assert_eq!(account.again, []);
    let place = |number: u64| {
        let partition = u32::try_from(number % u64::from(PARTITIONS)).unwrap();
        ((partition, number / u64::from(PARTITIONS)), number.to_string())
    };
    assert_eq!(account.got, (0..RECORDS).map(place).collect());
    assert_eq!(ends, vec![RECORDS / u64::from(PARTITIONS); PARTITIONS as usize]);
    assert!(way.cuts() > 5, "{} cuts", way.cuts());
}
