//! The body of `POST /api/keys`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::offsets::Entries;
use crate::{
    http::error::ApiError,
    keys::{MAX_NAME_BYTES, NamePattern, Rights, Scope, Scopes, ScopesError, Wish, is_name},
    limits::Limits,
};

/// A key that is to be made.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewKey {
    /// Whom it is for: 1 to 255 bytes without control characters.
    #[schemars(length(min = 1, max = 255))]
    name: String,
    /// Its rights over topics, by name, or by what names begin with and a `*`: `read`, `write`, `admin`.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, Vec<String>>")]
    topics: Entries<Vec<String>>,
    /// Its rights over groups, likewise: `read`, `admin`.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, Vec<String>>")]
    groups: Entries<Vec<String>>,
    /// Its rights over the server as a whole: `read`, `admin`.
    #[serde(default)]
    cluster: Vec<String>,
    /// From when on it is none any more; never, if it is left out.
    expires_at: Option<i64>,
    /// What it is held to, instead of the server's defaults.
    #[serde(default)]
    limits: NewLimits,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct NewLimits {
    /// Requests in a second.
    #[schemars(range(min = 1, max = 10_000_000))]
    requests_per_second: Option<i64>,
    /// Bytes of bodies in a second.
    #[schemars(range(min = 1_024, max = 1_099_511_627_776_i64))]
    ingress_bytes_per_second: Option<i64>,
    /// Requests under way at a time, polls that wait and streams among them.
    #[schemars(range(min = 1, max = 1_000_000))]
    concurrent_requests: Option<i64>,
}

impl NewKey {
    /// What is wanted, if it can be had.
    pub(crate) fn check(self, now_ms: i64) -> Result<Wish, ApiError> {
        if !is_name(&self.name) {
            let message = format!("a key's name has 1 to {MAX_NAME_BYTES} bytes, and no control characters");
            return Err(ApiError::unacceptable("invalid_name", "name", message));
        }
        if let Some(at) = self.expires_at
            && at <= now_ms
        {
            return Err(ApiError::out_of_range("expires_at", at, now_ms + 1, i64::MAX));
        }
        let scopes = Scopes {
            topics: patterns("topics", Scope::Topics, self.topics, NamePattern::of_topics)?,
            groups: patterns("groups", Scope::Groups, self.groups, NamePattern::of_groups)?,
            cluster: rights("cluster", Scope::Cluster, &self.cluster)?,
        };
        let scopes = scopes.check().map_err(|error| refused("topics", &error))?;
        Ok(Wish { name: self.name, expires_at: self.expires_at, scopes, limits: self.limits.check()? })
    }
}

impl NewLimits {
    fn check(self) -> Result<Limits, ApiError> {
        Ok(Limits {
            requests_per_second: limit("requests_per_second", self.requests_per_second, Limits::REQUESTS_PER_SECOND)?,
            ingress_bytes_per_second: limit(
                "ingress_bytes_per_second",
                self.ingress_bytes_per_second,
                Limits::INGRESS_BYTES_PER_SECOND,
            )?,
            concurrent_requests: limit("concurrent_requests", self.concurrent_requests, Limits::CONCURRENT_REQUESTS)?,
        })
    }
}

fn limit<T>(name: &str, given: Option<i64>, (min, max): (T, T)) -> Result<Option<T>, ApiError>
where
    T: Copy + PartialOrd + TryFrom<i64> + TryInto<i64>,
{
    let Some(value) = given else { return Ok(None) };
    let number = T::try_from(value).ok().filter(|number| (min..=max).contains(number));
    let bound = |bound: T| bound.try_into().unwrap_or(i64::MAX);
    number.map(Some).ok_or_else(|| ApiError::out_of_range(&format!("limits.{name}"), value, bound(min), bound(max)))
}

fn patterns(
    field: &str,
    scope: Scope,
    given: Entries<Vec<String>>,
    pattern: impl Fn(&str) -> Result<NamePattern, ScopesError>,
) -> Result<BTreeMap<NamePattern, Rights>, ApiError> {
    let entry = |(name, given): (String, Vec<String>)| {
        let pattern = pattern(&name).map_err(|error| refused(field, &error))?;
        Ok((pattern, rights(&format!("{field}.{name}"), scope, &given)?))
    };
    given.0.into_iter().map(entry).collect()
}

fn rights(field: &str, scope: Scope, given: &[String]) -> Result<Rights, ApiError> {
    given.iter().map(|right| scope.right(right).map_err(|error| refused(field, &error))).collect()
}

fn refused(field: &str, error: &ScopesError) -> ApiError {
    ApiError::unacceptable("invalid_scope", field, format!("{field}: {error}"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::http::input::json::object;

    fn check(body: &Value) -> Result<Wish, ApiError> {
        object::<NewKey>(body.to_string().as_bytes())?.check(1_000)
    }

    #[test]
    fn a_key_is_taken_as_it_is_wanted() {
        let wish = check(&json!({
            "name": "billing", "topics": {"orders.*": ["read", "write"]}, "groups": {"billing": ["read"]},
            "cluster": ["read"], "expires_at": 1_001, "limits": {"requests_per_second": 10}
        }));
        let wish = wish.expect("good");
        assert_eq!(
            serde_json::to_value(&wish.scopes).expect("JSON"),
            json!({
                "topics": {"orders.*": ["read", "write"]}, "groups": {"billing": ["read"]}, "cluster": ["read"]
            })
        );
        assert_eq!((wish.expires_at, wish.limits.requests_per_second), (Some(1_001), Some(10)));
        let nothing = check(&json!({"name": "nothing"})).expect("good");
        assert_eq!((nothing.scopes, nothing.limits), (Scopes::default(), Limits::default()));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (body, status, code, field) in [
            (json!({}), 400, "missing_field", "name"),
            (json!({"name": "a", "topic": {}}), 400, "unknown_field", "topic"),
            (json!({"name": ""}), 422, "invalid_name", "name"),
            (json!({"name": "a\nb"}), 422, "invalid_name", "name"),
            (json!({"name": "a", "expires_at": 1_000}), 422, "out_of_range", "expires_at"),
            (json!({"name": "a", "topics": {"a b": ["read"]}}), 422, "invalid_scope", "topics"),
            (json!({"name": "a", "topics": {"a": ["reed"]}}), 422, "invalid_scope", "topics.a"),
            (json!({"name": "a", "groups": {"a": ["write"]}}), 422, "invalid_scope", "groups.a"),
            (json!({"name": "a", "cluster": ["root"]}), 422, "invalid_scope", "cluster"),
            (
                json!({"name": "a", "limits": {"concurrent_requests": 0}}),
                422,
                "out_of_range",
                "limits.concurrent_requests",
            ),
            (
                json!({"name": "a", "limits": {"ingress_bytes_per_second": 1}}),
                422,
                "out_of_range",
                "limits.ingress_bytes_per_second",
            ),
        ] {
            let error = check(&body).expect_err("refused");
            assert_eq!((error.status().as_u16(), error.code()), (status, code), "{body}");
            assert_eq!(error.details()["field"], field, "{body}");
        }
        let twice = object::<NewKey>(br#"{"name": "a", "topics": {"a": ["read"], "a": []}}"#);
        assert!(twice.is_err(), "a name given twice is refused");
    }
}
