//! What is left to chance in a run, drawn anew for each seed: how often what happens, and how bad it gets.

use crate::tape::{Word, mix};

/// How often things happen, relative to each other, and how bad.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chances {
    /// Nodes that there are.
    pub(super) nodes: usize,
    /// Clients that there are.
    pub(super) clients: usize,
    /// What may happen in a step.
    pub(super) weights: [u32; Happening::ALL.len()],
    /// Of a hundred appends, how many are lost, end with an unknown outcome though they are there, and are repeated.
    pub(super) lost: u32,
    pub(super) unknown: u32,
    pub(super) repeated: u32,
    /// Whether appends of one node may overtake each other.
    pub(super) out_of_order: bool,
    /// The longest time that may pass in a step, in milliseconds.
    pub(super) longest: u32,
}

/// What may happen in a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Happening {
    /// Something on its way arrives.
    Arrival,
    /// A client does something.
    Client,
    /// Time passes.
    Time,
    /// A log grows.
    Records,
    /// A node is offered the cell, whoever has it.
    Offer,
    /// A node is told that the cell is no longer its own.
    Revoke,
    /// A node stops, and does not notice.
    Pause,
    /// It goes on.
    Resume,
    /// A node dies, and another one starts in its place.
    Death,
    /// An owner writes a snapshot.
    Snapshot,
    /// A node looks at how far the journal reaches, and hears of it later.
    Look,
}

impl Happening {
    pub(super) const ALL: [Self; 11] = [
        Self::Arrival,
        Self::Client,
        Self::Time,
        Self::Records,
        Self::Offer,
        Self::Revoke,
        Self::Pause,
        Self::Resume,
        Self::Death,
        Self::Snapshot,
        Self::Look,
    ];
}

impl Chances {
    pub(super) fn drawn(seed: u64) -> Self {
        let mut word = Word::new(mix(seed));
        // A fault that a run does not have leaves room for what comes of the others.
        let mut fault = |often: u32| if word.below(3) == 0 { 0 } else { 1 + word.below(often) };
        let (offer, revoke, pause, death) = (1 + fault(3), fault(2), fault(4), fault(2));
        let (lost, unknown, repeated) = (fault(8), fault(8), fault(15));
        let (snapshot, look) = (fault(6), fault(30));
        Self {
            nodes: 2 + word.below(3) as usize,
            clients: 2 + word.below(5) as usize,
            weights: [100, 30, 12, 5, offer, revoke, pause, 4, death, snapshot, look],
            lost,
            unknown,
            repeated,
            out_of_order: word.below(4) == 0,
            longest: [50, 300, 1_200][word.below(3) as usize],
        }
    }

    pub(super) fn happening(&self, word: &mut Word) -> Happening {
        let mut at = word.below(self.weights.iter().sum());
        for (happening, weight) in Happening::ALL.into_iter().zip(self.weights) {
            if at < weight {
                return happening;
            }
            at -= weight;
        }
        Happening::Arrival
    }
}
