//! Where filters may stand: the connection filters of a socket, and those that a plan cannot place.

use std::fmt;
use std::sync::Arc;

use weir_filter::{Configured, ConnectionChain, ConnectionStep};
use weir_model::{FilterIndex, Listener, Snapshot};

/// A filter on connections that stands in a route's chain, where there is no connection to filter any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misplaced {
    /// The filter.
    pub filter: FilterIndex,
    /// Its name.
    pub name: String,
    /// The route rule whose chain has it.
    pub route: String,
}

impl fmt::Display for Misplaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "filter {}: its plugin is of the world `weir:policy/l4`, which filters whole connections, and it is \
             attached to the route {}; attach it to the Gateway or to a listener",
            self.name, self.route
        )
    }
}

/// The filters that a plan would have to leave out. `filters` are those of `Snapshot::filters`, in its order.
pub fn misplaced(snapshot: &Snapshot, filters: &[Configured]) -> Vec<Misplaced> {
    let is_of_connections =
        |FilterIndex(at): &&FilterIndex| matches!(filters.get(*at), Some(Configured::Connection(_)));
    let mut found = Vec::new();
    for route in &snapshot.routes {
        found.extend(route.chain.iter().filter(is_of_connections).map(|filter| {
            Misplaced {
                filter: *filter,
                name: snapshot
                    .filters
                    .get(filter.0)
                    .map(|it| it.name.clone())
                    .unwrap_or_default(),
                route: route.name.clone(),
            }
        }));
    }
    found
}

/// The connection chain of a socket: the filters of all its listeners' chains, each once, because a connection is
/// accepted before anything says which listener it is for. They run stage by stage; inside a stage in the order of the
/// listeners, and of each one's chain. A filter's listener is the first that has it.
pub(crate) fn connection_chain(
    listeners: &[&Listener],
    snapshot: &Snapshot,
    filters: &[Configured],
) -> ConnectionChain {
    let mut steps: Vec<(FilterIndex, ConnectionStep)> = Vec::new();
    for listener in listeners {
        let name: Arc<str> = listener.name.as_str().into();
        for index in &listener.chain {
            let (Some(Configured::Connection(filter)), Some(given)) =
                (filters.get(index.0), snapshot.filters.get(index.0))
            else {
                continue;
            };
            if steps.iter().all(|(known, _)| known != index) {
                let step = ConnectionStep {
                    filter: Arc::clone(filter),
                    failure_mode: given.failure_mode,
                    listener: Arc::clone(&name),
                };
                steps.push((*index, step));
            }
        }
    }
    steps.sort_by_key(|(index, _)| snapshot.filters.get(index.0).map(|it| it.stage));
    ConnectionChain::new(steps.into_iter().map(|(_, step)| step).collect())
}
