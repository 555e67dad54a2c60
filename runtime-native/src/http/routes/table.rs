//! The form of the table of routes: no handler stands in it without what it needs.

use std::sync::Arc;

use axum::{
    handler::Handler,
    http::Method,
    routing::{MethodFilter, MethodRouter},
};

use super::App;
use crate::http::guard::{Guarded, Need, RouteNeeds};

/// What is asked under one path.
pub(super) struct Route {
    pub(super) path: &'static str,
    pub(super) methods: MethodRouter<Arc<App>>,
    /// What each method needs.
    pub(super) needs: Vec<RouteNeeds>,
}

/// Begins what is asked under a path.
pub(super) fn at(path: &'static str) -> Route {
    Route { path, methods: MethodRouter::new(), needs: Vec::new() }
}

impl Route {
    /// GET, and HEAD with it.
    pub(super) fn get<T: 'static>(self, need: Need, handler: impl Handler<T, Arc<App>>) -> Self {
        self.on(Method::GET, MethodFilter::GET, need, handler)
    }

    pub(super) fn post<T: 'static>(self, need: Need, handler: impl Handler<T, Arc<App>>) -> Self {
        self.on(Method::POST, MethodFilter::POST, need, handler)
    }

    pub(super) fn put<T: 'static>(self, need: Need, handler: impl Handler<T, Arc<App>>) -> Self {
        self.on(Method::PUT, MethodFilter::PUT, need, handler)
    }

    pub(super) fn patch<T: 'static>(self, need: Need, handler: impl Handler<T, Arc<App>>) -> Self {
        self.on(Method::PATCH, MethodFilter::PATCH, need, handler)
    }

    pub(super) fn delete<T: 'static>(self, need: Need, handler: impl Handler<T, Arc<App>>) -> Self {
        self.on(Method::DELETE, MethodFilter::DELETE, need, handler)
    }

    fn on<T: 'static>(
        mut self,
        method: Method,
        filter: MethodFilter,
        need: Need,
        handler: impl Handler<T, Arc<App>>,
    ) -> Self {
        self.methods = self.methods.on(filter, Guarded { need, handler });
        self.needs.push(RouteNeeds { method, path: self.path, need });
        self
    }
}
