//! `/api/consumer-groups`.

use std::sync::Arc;

use axum::extract::State;
use takhin_core::{Request, Response, response::GroupPartition};

use super::{App, mismatch};
use crate::http::{
    error::ApiResult,
    input::path::{GroupPath, NoQuery},
    output::{
        groups::{GroupView, Groups},
        json,
    },
};

pub(super) async fn list(State(app): State<Arc<App>>, _: NoQuery) -> ApiResult {
    match app.driver.ask(Request::ListGroups).await?.response {
        Response::Groups(groups) => json(&Groups::new(&groups)),
        other => Err(mismatch(&other)),
    }
}

pub(super) async fn describe(State(app): State<Arc<App>>, GroupPath(group): GroupPath, _: NoQuery) -> ApiResult {
    match app.driver.ask(Request::DescribeGroup { group }).await?.response {
        Response::Group(group) => {
            let unread = |at: &GroupPartition| {
                let next = at.committed.map(|committed| committed.max(at.bounds.start));
                (at.topic.clone(), at.partition, next, at.bounds.end)
            };
            let ages = app.ages(group.partitions.iter().map(unread).collect()).await;
            json(&GroupView::new(&group, &ages))
        }
        other => Err(mismatch(&other)),
    }
}
