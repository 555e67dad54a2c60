//! Tapes: everything that a simulation leaves to chance, one word for each step.
//!
//! A word says what happens in its step, and to whom, *relative to the state that it meets*: the third of the clients
//! there are, the second of the operations under way. So a word that is taken out of a tape leaves the others
//! meaningful, which is what shrinking and fuzzing live on.

/// A run's words, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tape(pub Vec<u64>);

impl Tape {
    /// The first `steps` words that follow from a seed.
    pub fn drawn(seed: u64, steps: u32) -> Self {
        let mut chance = Chance::new(seed);
        Self((0..steps).map(|_| chance.next()).collect())
    }

    /// A tape from bytes, as a fuzzer has them: eight for each word, the last one filled up with zeros.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let word = |chunk: &[u8]| {
            let mut whole = [0; 8];
            whole[..chunk.len()].copy_from_slice(chunk);
            u64::from_be_bytes(whole)
        };
        Self(bytes.chunks(8).map(word).collect())
    }

    /// The bytes from which [`Tape::from_bytes`] makes this tape again.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|word| word.to_be_bytes()).collect()
    }
}

/// Words that follow from a seed (`SplitMix64`, Steele and others, 2014).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }
}

/// Spreads what differs between two numbers over all of their bits.
pub(crate) fn mix(n: u64) -> u64 {
    let n = (n ^ (n >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    n ^ (n >> 31)
}

/// The choices that one word makes: four of 16 bits each as they stand in the word, so that a fuzzer and a shrinker
/// can change one and not the others, and then as many as are asked for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Word {
    bits: u64,
    left: u32,
    after: u64,
}

impl Word {
    /// Choices that stand in a word.
    pub(crate) const CHOICES: u32 = 4;
    pub(crate) const CHOICE_BITS: u32 = 16;

    pub(crate) fn new(word: u64) -> Self {
        Self { bits: word, left: Self::CHOICES, after: word }
    }

    /// One of `0..n`; 0 if `n` is. A choice of zeros gives 0.
    pub(crate) fn below(&mut self, n: u32) -> u32 {
        if self.left == 0 {
            self.after = self.after.wrapping_add(0x9E37_79B9_7F4A_7C15);
            (self.bits, self.left) = (mix(self.after), Self::CHOICES);
        }
        self.bits = self.bits.rotate_left(Self::CHOICE_BITS);
        self.left -= 1;
        let choice = self.bits & 0xFFFF;
        u32::try_from((choice * u64::from(n)) >> Self::CHOICE_BITS).unwrap_or_default()
    }

    /// Whether something happens that happens `n` times in 1000. A choice of zeros says no.
    pub(crate) fn per_mille(&mut self, n: u32) -> bool {
        self.below(1000) >= 1000 - n.min(1000)
    }

    pub(crate) fn one_in(&mut self, n: u32) -> bool {
        n > 0 && self.below(n) == n - 1
    }

    pub(crate) fn index(&mut self, len: usize) -> usize {
        self.below(u32::try_from(len).unwrap_or(u32::MAX)) as usize
    }

    pub(crate) fn of<T: Copy>(&mut self, choices: &[T]) -> Option<T> {
        choices.get(self.index(choices.len())).copied()
    }
}
