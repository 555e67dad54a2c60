//! Units sent through a network to sinks, so that the sinks' loads are as even as the network allows and, among
//! all ways to do that, at the least cost.
//!
//! Each unit goes to the least loaded sink that it can still reach, over the cheapest path to it. Paths lead
//! through the *residual* network, in which a unit that was sent before can be taken back over its arc, so an
//! early choice never stands in the way of a better one. That the end is an optimum, and not only a good try, is
//! the theorem behind successive shortest paths (Ahuja, Magnanti, Orlin, *Network Flows*, chapter 9): count a
//! sink's n-th unit as n, and let any difference there outweigh all costs of arcs.
//!
//! Units for which the same load and cost come next are sent together, from one labelling of the network (as
//! Dinic's algorithm does). So labellings are few: for every load that a sink passes through, one or a few for
//! each distinct cost of a path.

use alloc::{collections::VecDeque, vec::Vec};

/// A node of one [`Network`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NodeId(usize);

/// An arc of one [`Network`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ArcId(usize);

/// Sources, junctions and sinks, and the arcs between them.
#[derive(Debug, Default)]
pub(super) struct Network {
    nodes: Vec<Node>,
    /// Each arc is followed by its reverse, over which what was sent can be taken back.
    arcs: Vec<Arc>,
    /// The sources that still have units to send.
    sources: Vec<usize>,
    /// The nodes that have a label.
    labelled: Vec<usize>,
}

#[derive(Debug, Default)]
struct Node {
    /// The arcs that leave here, reverse ones included.
    arcs: Vec<usize>,
    /// Units that start here and are not sent yet.
    supply: usize,
    /// Units that ended here; `None` where no unit may end.
    load: Option<usize>,
    /// The cheapest way here from any source that has supply; `None` if there is no way.
    label: Option<Label>,
    /// Whether the node waits to pass its label on.
    queued: bool,
    /// The first of `arcs` that is not yet known to lead nowhere in this round.
    next: usize,
}

#[derive(Debug)]
struct Arc {
    to: usize,
    /// How many more units it can take.
    residual: usize,
    cost: i64,
}

/// The length of a path: what it costs, then how many arcs it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Label {
    cost: i64,
    hops: usize,
}

impl Label {
    const START: Self = Self { cost: 0, hops: 0 };

    fn over(self, arc: &Arc) -> Self {
        Self { cost: self.cost + arc.cost, hops: self.hops + 1 }
    }
}

/// Where the next units end: at sinks with this load, to which the cheapest path has this cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Goal {
    load: usize,
    cost: i64,
}

impl Network {
    /// Adds a node from which `supply` units are to be sent.
    pub(super) fn source(&mut self, supply: usize) -> NodeId {
        let node = self.add(Node { supply, ..Node::default() });
        self.sources.push(node.0);
        node
    }

    /// Adds a node that units only pass through.
    pub(super) fn junction(&mut self) -> NodeId {
        self.add(Node::default())
    }

    /// Adds a node where any number of units can end.
    pub(super) fn sink(&mut self) -> NodeId {
        self.add(Node { load: Some(0), ..Node::default() })
    }

    fn add(&mut self, node: Node) -> NodeId {
        self.nodes.push(node);
        NodeId(self.nodes.len() - 1)
    }

    /// Adds an arc that takes up to `capacity` units, each for `cost`, which is not negative.
    pub(super) fn connect(&mut self, from: NodeId, to: NodeId, capacity: usize, cost: i64) -> ArcId {
        debug_assert!(cost >= 0, "the empty flow has to be an optimum");
        let arc = self.arcs.len();
        self.arcs.push(Arc { to: to.0, residual: capacity, cost });
        self.arcs.push(Arc { to: from.0, residual: 0, cost: -cost });
        self.nodes[from.0].arcs.push(arc);
        self.nodes[to.0].arcs.push(arc + 1);
        ArcId(arc)
    }

    /// How many units go over `arc`.
    pub(super) fn flow(&self, arc: ArcId) -> usize {
        self.arcs[arc.0 + 1].residual
    }

    /// Sends every unit that can reach a sink. Between equals, the node and the arc that were added first win.
    pub(super) fn send(&mut self) {
        while let Some(goal) = self.next_goal() {
            for index in 0..self.sources.len() {
                let source = self.sources[index];
                while self.nodes[source].supply > 0 && self.send_one(source, goal) {
                    self.nodes[source].supply -= 1;
                }
            }
        }
    }

    /// Labels the network anew, and finds the goal that comes first.
    fn next_goal(&mut self) -> Option<Goal> {
        self.label();
        self.labelled.iter().filter_map(|&node| self.goal_at(node)).min()
    }

    fn goal_at(&self, node: usize) -> Option<Goal> {
        let Node { load, label, .. } = &self.nodes[node];
        Some(Goal { load: (*load)?, cost: (*label)?.cost })
    }

    /// Finds the shortest way to every node. Reverse arcs have negative costs, so a label may be improved later
    /// on; it ends, because the flow so far is an optimum, and an optimum has no negative cycle.
    fn label(&mut self) {
        for node in self.labelled.drain(..) {
            self.nodes[node].label = None;
            self.nodes[node].next = 0;
        }
        self.sources.retain(|&source| self.nodes[source].supply > 0);

        let mut queue = VecDeque::new();
        for &source in &self.sources {
            self.nodes[source].label = Some(Label::START);
            self.labelled.push(source);
            queue.push_back(source);
        }
        while let Some(node) = queue.pop_front() {
            self.nodes[node].queued = false;
            let Some(label) = self.nodes[node].label else { continue };
            for index in 0..self.nodes[node].arcs.len() {
                let arc = &self.arcs[self.nodes[node].arcs[index]];
                if arc.residual == 0 {
                    continue;
                }
                let (to, found) = (&mut self.nodes[arc.to], label.over(arc));
                match to.label {
                    Some(known) if known <= found => continue,
                    Some(_) => {}
                    None => self.labelled.push(arc.to),
                }
                to.label = Some(found);
                if !to.queued {
                    to.queued = true;
                    queue.push_back(arc.to);
                }
            }
        }
    }

    /// Sends one unit from `source` to a sink that is a goal, over arcs that lie on shortest ways only. Such
    /// arcs form no cycle, since every one of them adds a hop. Returns whether there was a way.
    fn send_one(&mut self, source: usize, goal: Goal) -> bool {
        let mut path = Vec::new();
        let mut node = source;
        while self.goal_at(node) != Some(goal) {
            if let Some(arc) = self.next_arc(node) {
                path.push(arc);
                node = self.arcs[arc].to;
            } else if let Some(arc) = path.pop() {
                node = self.arcs[reverse(arc)].to;
                self.nodes[node].next += 1;
            } else {
                return false;
            }
        }
        for arc in path {
            self.arcs[arc].residual -= 1;
            self.arcs[reverse(arc)].residual += 1;
        }
        self.nodes[node].load = Some(goal.load + 1);
        true
    }

    /// The arc by which a shortest way goes on from `node`, if one is left.
    fn next_arc(&mut self, node: usize) -> Option<usize> {
        let label = self.nodes[node].label?;
        let leads_on = |&arc: &usize| {
            let arc = &self.arcs[arc];
            arc.residual > 0 && self.nodes[arc.to].label == Some(label.over(arc))
        };
        let Node { arcs, next, .. } = &self.nodes[node];
        let skipped = arcs[*next..].iter().position(leads_on);
        let at = skipped.map_or(arcs.len(), |skipped| next + skipped);
        self.nodes[node].next = at;
        self.nodes[node].arcs.get(at).copied()
    }
}

/// The arc that leads back over `arc`.
fn reverse(arc: usize) -> usize {
    arc ^ 1
}
