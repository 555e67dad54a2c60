//! Which handler answers a request.
//!
//! One lookup finds a path's route: its handlers, and what it is counted under. What that does not settle goes to axum's
//! router, which has all routes and answers for those that are none: a path with percent-encoding, a method that the route
//! does not have (HEAD among them), what another API mounts beside ours.

use std::{fmt, pin::Pin, sync::Arc};

use axum::{Router, body::Body, handler::Handler, http::Method, response::Response};
use hyper::Request;
use smallvec::SmallVec;
use tower_service::Service as _;

use super::{
    routes::App,
    stats::{HttpStats, RouteStats},
};

/// An answer on its way.
type Answering = Pin<Box<dyn Future<Output = Response> + Send>>;

/// A handler whose type is forgotten.
type Call = Box<dyn Fn(Request<Body>, Arc<App>) -> Answering + Send + Sync>;

/// The handlers of one route that are called without axum's router.
pub(super) struct DirectHandlers {
    /// The names of the path's parameters, in their order.
    parameters: Vec<&'static str>,
    methods: Vec<(Method, Call)>,
}

/// All handlers, where they are.
#[derive(Clone)]
pub(super) struct Routing {
    router: Router,
    direct: Option<Arc<Direct>>,
}

struct Direct {
    routes: matchit::Router<(DirectHandlers, Arc<RouteStats>)>,
    app: Arc<App>,
}

/// What a path says of its route's parameters: their names, and where in the path their values are.
#[derive(Clone, Debug, Default)]
pub(super) struct PathParameters(SmallVec<[(&'static str, usize, usize); 2]>);

impl DirectHandlers {
    /// None yet, for the route of this template.
    pub(super) fn new(template: &'static str) -> Self {
        let parameters = template.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        Self { parameters: parameters.collect(), methods: Vec::new() }
    }

    /// Answers this method with that handler.
    pub(super) fn add<T: 'static>(&mut self, method: Method, handler: impl Handler<T, Arc<App>>) {
        let call =
            move |request: Request<Body>, app: Arc<App>| -> Answering { Box::pin(handler.clone().call(request, app)) };
        self.methods.push((method, Box::new(call)));
    }
}

impl PathParameters {
    fn found(names: &[&'static str], path: &str, found: &matchit::Params<'_, '_>) -> Self {
        let begin = path.as_ptr().addr();
        let place = |value: &str| value.as_ptr().addr() - begin;
        let values = found.iter().map(|(_, value)| value);
        Self(names.iter().zip(values).map(|(name, value)| (*name, place(value), value.len())).collect())
    }

    /// The parameters of a request for this path, which must be the one that they were found in.
    pub(super) fn of<'a>(&'a self, path: &'a str) -> impl ExactSizeIterator<Item = (&'static str, &'a str)> {
        self.0.iter().map(move |(name, begin, bytes)| (*name, path.get(*begin..begin + bytes).unwrap_or_default()))
    }
}

impl Routing {
    /// Everything through axum's router.
    pub(super) fn by_router(router: Router) -> Self {
        Self { router, direct: None }
    }

    /// These routes without it, where that can be. It must have them, too.
    pub(super) fn new(
        router: Router,
        handlers: Vec<(&'static str, DirectHandlers)>,
        stats: &HttpStats,
        app: Arc<App>,
    ) -> Self {
        let mut direct = matchit::Router::new();
        for (path, handlers) in handlers {
            let stats = Arc::clone(stats.route(path));
            direct.insert(path, (handlers, stats)).expect("the router has the same routes");
        }
        Self { router, direct: Some(Arc::new(Direct { routes: direct, app })) }
    }

    /// Answers a request. Gives what it is counted under, too, if that was seen by the way.
    pub(super) async fn answer(&self, mut request: Request<Body>) -> (Response, Option<Arc<RouteStats>>) {
        if let Some(direct) = &self.direct
            && let Some((call, parameters, stats)) = direct.find(&request)
        {
            request.extensions_mut().insert(parameters);
            return (call(request, Arc::clone(&direct.app)).await, Some(Arc::clone(stats)));
        }
        match self.router.clone().call(request).await {
            Ok(response) => (response, None),
            Err(never) => match never {},
        }
    }
}

impl Direct {
    fn find(&self, request: &Request<Body>) -> Option<(&Call, PathParameters, &Arc<RouteStats>)> {
        let path = request.uri().path();
        if path.contains('%') {
            return None;
        }
        let found = self.routes.at(path).ok()?;
        let (handlers, stats) = found.value;
        let (_, call) = handlers.methods.iter().find(|(method, _)| method == request.method())?;
        Some((call, PathParameters::found(&handlers.parameters, path, &found.params), stats))
    }
}

impl fmt::Debug for Routing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Routing").field("router", &self.router).finish_non_exhaustive()
    }
}
