//! The topic of a run: the one that was named, or one that is made for it and removed after it.

use takhin_client::{Admin, TopicSettings};
use uuid::Uuid;

use crate::cli::client::failure::Failure;

pub(super) struct BenchTopic {
    pub(super) name: String,
    pub(super) partitions: u32,
    is_ours: bool,
}

impl BenchTopic {
    /// Finds the named one, or makes one with so many partitions.
    pub(super) async fn provide(admin: &Admin, named: Option<&str>, partitions: u32) -> Result<Self, Failure> {
        if let Some(name) = named {
            let partitions = admin.topic(name).await?.partitions;
            return Ok(Self { name: name.to_owned(), partitions, is_ours: false });
        }
        let name = format!("bench-{}", Uuid::new_v4());
        admin.create_topic(&name, partitions, &TopicSettings::default()).await?;
        Ok(Self { name, partitions, is_ours: true })
    }

    /// Whether it was made for this run, and so is empty.
    pub(super) fn is_ours(&self) -> bool {
        self.is_ours
    }

    /// Removes it if it was made for this run, whatever has become of that.
    pub(super) async fn remove<T>(self, admin: &Admin, run: Result<T, Failure>) -> Result<T, Failure> {
        if !self.is_ours {
            return run;
        }
        let removed = admin.delete_topic(&self.name).await;
        let done = run?;
        removed.map_err(|error| Failure::from(error).about(&format!("{} is left behind", self.name)))?;
        Ok(done)
    }
}
