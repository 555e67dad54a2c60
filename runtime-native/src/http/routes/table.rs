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
pub(in crate::http) struct Route {
    pub(in crate::http) path: &'static str,
    pub(in crate::http) methods: MethodRouter<Arc<App>>,
    /// What each method needs.
    needs: Vec<(Method, Need)>,
}

/// Begins what is asked under a path.
pub(in crate::http) fn at(path: &'static str) -> Route {
    Route { path, methods: MethodRouter::new(), needs: Vec::new() }
}

impl Route {
    /// What it needs, if it stands behind this prefix.
    pub(in crate::http) fn needs_at(&self, prefix: &str) -> Vec<RouteNeeds> {
        let path = format!("{prefix}{}", self.path);
        let needs =
            |(method, need): &(Method, Need)| RouteNeeds { method: method.clone(), path: path.clone(), need: *need };
        self.needs.iter().map(needs).collect()
    }

    /// GET, and HEAD with it.
    pub(in crate::http) fn get<T: 'static>(self, need: Need, handler: impl Handler<T, Arc<App>>) -> Self {
        self.on(Method::GET, MethodFilter::GET, need, handler)
    }

    pub(in crate::http) fn post<T: 'static>(self, need: Need, handler: impl Handler<T, Arc<App>>) -> Self {
        self.on(Method::POST, MethodFilter::POST, need, handler)
    }

    pub(in crate::http) fn put<T: 'static>(self, need: Need, handler: impl Handler<T, Arc<App>>) -> Self {
        self.on(Method::PUT, MethodFilter::PUT, need, handler)
    }

    pub(in crate::http) fn patch<T: 'static>(self, need: Need, handler: impl Handler<T, Arc<App>>) -> Self {
        self.on(Method::PATCH, MethodFilter::PATCH, need, handler)
    }

    pub(in crate::http) fn delete<T: 'static>(self, need: Need, handler: impl Handler<T, Arc<App>>) -> Self {
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
        self.needs.push((method, need));
        self
    }
}
