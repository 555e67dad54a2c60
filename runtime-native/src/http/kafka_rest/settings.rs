//! How clients of Kafka's REST proxies are served.

/// Where, and in whose manner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KafkaRestConfig {
    mount: String,
    /// What the offset of a commit means.
    pub commit: CommitStyle,
    /// How long an instance may be silent before it is removed, 1,000 to 1,800,000 milliseconds.
    pub instance_timeout_ms: u32,
}

/// What the offset of a commit means, in which the proxies differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CommitStyle {
    /// It is that of the last record processed, and the next one is committed. Answered with 200 and a list.
    #[default]
    Next,
    /// It is committed as it is: the next record to read. Answered with 204.
    Raw,
}

/// A path where nothing can be mounted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a path as in /kafka, of letters, digits and -._~, not beneath /api or /metrics; or / for the root")]
pub struct BadMount;

impl Default for KafkaRestConfig {
    fn default() -> Self {
        Self { mount: "/kafka".to_owned(), commit: CommitStyle::default(), instance_timeout_ms: 300_000 }
    }
}

impl KafkaRestConfig {
    /// The same, beneath the path `mount`, which begins with a slash; `/` is the root.
    ///
    /// # Errors
    /// If it is no path, or one of our own.
    pub fn mounted_at(self, mount: &str) -> Result<Self, BadMount> {
        let good = |segment: &str| {
            let plain = segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
            plain && !matches!(segment, "" | "." | "..")
        };
        let segments = mount.strip_prefix('/').ok_or(BadMount)?;
        let ours = matches!(segments.split('/').next(), Some("api" | "metrics"));
        if mount != "/" && (ours || !segments.split('/').all(good)) {
            return Err(BadMount);
        }
        Ok(Self { mount: mount.to_owned(), ..self })
    }

    /// What stands before each path: nothing at the root.
    pub(in crate::http) fn prefix(&self) -> &str {
        self.mount.trim_end_matches('/')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_mounted_where_nothing_of_ours_is() {
        for good in ["/kafka", "/kafka/v2", "/a-b_c.d~e", "/apis"] {
            assert_eq!(KafkaRestConfig::default().mounted_at(good).expect(good).prefix(), good);
        }
        assert_eq!(KafkaRestConfig::default().mounted_at("/").expect("the root").prefix(), "");
        for bad in ["", "kafka", "/kafka/", "//", "/a//b", "/{x}", "/a b", "/..", "/api", "/api/v2", "/metrics"] {
            assert_eq!(KafkaRestConfig::default().mounted_at(bad), Err(BadMount), "{bad}");
        }
    }
}
