//! One path, and what can be asked there. A handler comes with what the description of the API says of it.

use std::sync::Arc;

use axum::{handler::Handler, routing::MethodRouter};

use super::App;
use crate::http::openapi::Describe;

/// One path, with a handler and a description for each method.
pub(super) struct Route {
    pub(super) path: &'static str,
    pub(super) methods: MethodRouter<Arc<App>>,
    /// By method, in lower case.
    pub(super) operations: Vec<(&'static str, Describe)>,
}

macro_rules! methods {
    ($($method:ident)+) => {
        $(
            #[doc = concat!("Answers `", stringify!($method), "` with `handler`, which does what `describe` says.")]
            pub(super) fn $method<H: Handler<T, Arc<App>>, T: 'static>(mut self, handler: H, describe: Describe) -> Self {
                self.operations.push((stringify!($method), describe));
                Self { methods: self.methods.$method(handler), ..self }
            }
        )+
    };
}

impl Route {
    /// Nothing yet.
    pub(super) fn at(path: &'static str) -> Self {
        Self::undescribed(path, MethodRouter::new())
    }

    /// What the description of the API leaves out, because it is no part of it or stands there under another path.
    pub(super) fn undescribed(path: &'static str, methods: MethodRouter<Arc<App>>) -> Self {
        Self { path, methods, operations: Vec::new() }
    }

    methods!(get post put patch delete);
}
