//! One path, and what can be asked there. A handler can't stand in the table of routes without what it needs, and, where the
//! API is described, without what the description says of it.

use std::sync::Arc;

use axum::{
    handler::Handler,
    http::Method,
    routing::{MethodFilter, MethodRouter},
};

use super::App;
use crate::http::{
    guard::{Guarded, Need, RouteNeeds},
    openapi::Describe,
    routing::DirectHandlers,
};

/// One path, with a handler, what it needs, and a description for each method.
pub(in crate::http) struct Route {
    pub(in crate::http) path: &'static str,
    pub(in crate::http) methods: MethodRouter<Arc<App>>,
    /// By method, in lower case.
    pub(in crate::http) operations: Vec<(&'static str, Describe)>,
    needs: Vec<(Method, Need)>,
    direct: DirectHandlers,
}

/// What the description of the API leaves out, because it is no part of it or stands there under another path.
pub(in crate::http) struct Undescribed(Route);

macro_rules! methods {
    ($($method:ident $name:ident)+) => {
        impl Route {
            $(
                #[doc = concat!("Answers `", stringify!($name), "` with `handler`, which does what `describe` says.")]
                pub(in crate::http) fn $method<T: 'static>(
                    mut self,
                    need: Need,
                    handler: impl Handler<T, Arc<App>>,
                    describe: Describe,
                ) -> Self {
                    self.operations.push((stringify!($method), describe));
                    self.on(Method::$name, MethodFilter::$name, need, handler)
                }
            )+
        }

        impl Undescribed {
            $(
                #[doc = concat!("Answers `", stringify!($name), "` with `handler`.")]
                #[allow(dead_code)] // whichever method is in use
                pub(in crate::http) fn $method<T: 'static>(
                    self,
                    need: Need,
                    handler: impl Handler<T, Arc<App>>,
                ) -> Self {
                    Self(self.0.on(Method::$name, MethodFilter::$name, need, handler))
                }
            )+
        }
    };
}

methods!(get GET post POST put PUT patch PATCH delete DELETE);

impl Route {
    /// Nothing yet.
    pub(in crate::http) fn at(path: &'static str) -> Self {
        Self {
            path,
            methods: MethodRouter::new(),
            operations: Vec::new(),
            needs: Vec::new(),
            direct: DirectHandlers::new(path),
        }
    }

    /// What it needs, if it stands behind this prefix.
    pub(in crate::http) fn needs_at(&self, prefix: &str) -> Vec<RouteNeeds> {
        let path = format!("{prefix}{}", self.path);
        let needs =
            |(method, need): &(Method, Need)| RouteNeeds { method: method.clone(), path: path.clone(), need: *need };
        self.needs.iter().map(needs).collect()
    }

    /// Its handlers without axum's router, for [`Routing`](crate::http::routing::Routing).
    pub(super) fn take_direct(&mut self) -> (&'static str, DirectHandlers) {
        (self.path, std::mem::replace(&mut self.direct, DirectHandlers::new(self.path)))
    }

    fn on<T: 'static>(
        mut self,
        method: Method,
        filter: MethodFilter,
        need: Need,
        handler: impl Handler<T, Arc<App>>,
    ) -> Self {
        let handler = Guarded { need, handler };
        self.direct.add(method.clone(), handler.clone());
        self.methods = self.methods.on(filter, handler);
        self.needs.push((method, need));
        self
    }
}

impl Undescribed {
    /// Nothing yet.
    pub(in crate::http) fn at(path: &'static str) -> Self {
        Self(Route::at(path))
    }
}

impl From<Undescribed> for Route {
    fn from(Undescribed(route): Undescribed) -> Self {
        route
    }
}
