//! Calls that must succeed, so that tests can be about what comes after them.

use serde_json::{Map, Value, json};

use crate::client::Client;

impl Client {
    /// Creates a topic.
    ///
    /// # Panics
    /// It could not be created.
    pub fn create_topic(&self, name: &str, partitions: u32) {
        let (status, answer) = self.post("/api/topics", &json!({"name": name, "partitions": partitions}));
        assert_eq!(status, 201, "{answer}");
    }

    /// Produces records, and returns where each one went, as `(partition, offset)`.
    ///
    /// # Panics
    /// They could not be produced.
    pub fn produce(&self, topic: &str, records: &Value) -> Vec<(u64, u64)> {
        let (status, answer) = self.post(&format!("/api/topics/{topic}/produce"), &json!({"records": records}));
        assert_eq!(status, 200, "{answer}");
        let places = answer["offsets"].as_array().expect("offsets");
        let number = |place: &Value, name: &str| place[name].as_u64().expect("a number");
        places.iter().map(|place| (number(place, "partition"), number(place, "offset"))).collect()
    }

    /// Produces records with these values to a partition, and returns the first one's offset.
    ///
    /// # Panics
    /// They could not be produced.
    pub fn produce_values<S: AsRef<str>>(&self, topic: &str, partition: u32, values: &[S]) -> u64 {
        let record = |value: &S| json!({"partition": partition, "value": value.as_ref()});
        let records: Vec<_> = values.iter().map(record).collect();
        self.produce(topic, &Value::from(records))[0].1
    }

    /// Subscribes from the earliest record on, with whatever else `more` says, and returns the consumer's path.
    ///
    /// # Panics
    /// It was refused.
    pub fn subscribe(&self, group: &str, topics: &[&str], more: &Value) -> String {
        let mut body = Map::from_iter([
            ("group_id".to_owned(), json!(group)),
            ("topics".to_owned(), json!(topics)),
            ("auto_offset_reset".to_owned(), json!("earliest")),
        ]);
        body.extend(more.as_object().expect("an object").clone());
        let (status, answer) = self.post("/api/consumers/subscribe", &body.into());
        assert_eq!(status, 200, "{answer}");
        format!("/api/consumers/{}", answer["consumer_id"].as_str().expect("an id"))
    }

    /// Polls the consumer at this path, and returns the whole answer.
    ///
    /// # Panics
    /// It was refused.
    pub fn poll(&self, consumer: &str, body: &Value) -> Value {
        let (status, answer) = self.post(&format!("{consumer}/consume"), body);
        assert_eq!(status, 200, "{answer}");
        answer
    }

    /// Polls once without waiting, and returns the records' values.
    ///
    /// # Panics
    /// It was refused.
    pub fn poll_values(&self, consumer: &str) -> Vec<String> {
        values(&self.poll(consumer, &json!({"timeout_ms": 0}))["records"])
    }

    /// All records of a partition from `offset` on, read page by page.
    ///
    /// # Panics
    /// One could not be read.
    pub fn read_from(&self, topic: &str, partition: u32, mut offset: u64) -> Vec<Value> {
        let mut all = Vec::new();
        loop {
            let path = format!("/api/topics/{topic}/messages?partition={partition}&offset={offset}&limit=10000");
            let page = self.send("GET", &path, &[], None).unwrap_or_else(|error| panic!("{path}: {error}"));
            assert_eq!(page.status, 200, "{path}: {}", page.body);
            let records = page.body.as_array().expect("an array").clone();
            if records.is_empty() {
                return all;
            }
            offset = page.header("x-next-offset").parse().expect("an offset");
            all.extend(records);
        }
    }

    /// How many polls and reads wait at this moment.
    ///
    /// # Panics
    /// The server does not say.
    pub fn parked_polls(&self) -> u64 {
        self.get("/api/health").1["parked_polls"].as_u64().expect("a number")
    }

    /// Waits until exactly so many polls and reads wait. A test that waits in vain hangs, and says what for.
    pub fn wait_for_parked_polls(&self, polls: u64) {
        eprintln!("waiting for {polls} parked polls");
        while self.parked_polls() != polls {
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
    }
}

/// The values of an array of records.
///
/// # Panics
/// It is no such array, or a value is not a string.
pub fn values(records: &Value) -> Vec<String> {
    let value = |record: &Value| record["value"].as_str().expect("a text").to_owned();
    records.as_array().expect("records").iter().map(value).collect()
}

/// The offsets of an array of records.
///
/// # Panics
/// It is no such array.
pub fn offsets(records: &Value) -> Vec<u64> {
    let offset = |record: &Value| record["offset"].as_u64().expect("an offset");
    records.as_array().expect("records").iter().map(offset).collect()
}
