//! Values of messages, for tests: random ones, of which the same seed gives the same, and the
//! widest.

use crate::api::Message;

/// Where the parts of a message come from.
pub trait Source {
    /// The bytes of a number or an id.
    fn array<const N: usize>(&mut self) -> [u8; N];
    /// A flag.
    fn flag(&mut self) -> bool;
    /// One of so many, which are not none.
    fn index(&mut self, bound: usize) -> usize;
    /// Whether what may be null is.
    fn is_absent(&mut self) -> bool;
    /// A string.
    fn text(&mut self) -> String;
    /// A string of bytes.
    fn bytes(&mut self) -> Vec<u8>;
    /// An array, element by element.
    fn array_of<T>(&mut self, element: impl FnMut(&mut Self) -> T) -> Vec<T>;
}

/// A stream of pseudo-random numbers (SplitMix64).
#[derive(Debug, Clone)]
pub struct Seed(pub u64);

impl Seed {
    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below the bound, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next_u64() % bound as u64) as usize
    }

    /// True once in so many times.
    pub fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// Random bytes.
    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.next_u64() as u8)
    }
}

impl Source for Seed {
    fn array<const N: usize>(&mut self) -> [u8; N] {
        Seed::array(self)
    }

    fn flag(&mut self) -> bool {
        self.one_in(2)
    }

    fn index(&mut self, bound: usize) -> usize {
        self.below(bound)
    }

    fn is_absent(&mut self) -> bool {
        self.one_in(4)
    }

    /// Mostly short, at times longer than one byte of varint can say.
    fn text(&mut self) -> String {
        const LETTERS: [char; 5] = ['a', 'Z', '-', 'é', '界'];
        let len = if self.one_in(8) { 100 + self.below(100) } else { self.below(8) };
        (0..len).map(|_| LETTERS[self.below(LETTERS.len())]).collect()
    }

    /// At times more than are copied.
    fn bytes(&mut self) -> Vec<u8> {
        let copied = crate::writer::COPY_BELOW;
        let len = if self.one_in(4) { copied + self.below(copied) } else { self.below(64) };
        (0..len).map(|_| self.next_u64() as u8).collect()
    }

    fn array_of<T>(&mut self, mut element: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.below(4)).map(|_| element(self)).collect()
    }
}

/// The most elements in the least bytes: arrays of one depth have many, those around them one,
/// those within none; nothing is null, strings are short.
#[derive(Debug, Clone)]
pub struct Wide {
    /// How many elements.
    pub elements: usize,
    /// Which arrays have them: 0 is the outermost.
    pub depth: usize,
    /// The byte that numbers and ids are made of.
    pub byte: u8,
    /// What strings are.
    pub text: Text,
    inside: usize,
    named: usize,
}

/// What the strings of a [`Wide`] message are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Text {
    /// This one.
    Same(&'static str),
    /// Each another.
    Distinct,
}

impl Wide {
    /// A message with so many elements at that depth.
    #[must_use]
    pub fn new(elements: usize, depth: usize, byte: u8, text: Text) -> Wide {
        Wide { elements, depth, byte, text, inside: 0, named: 0 }
    }
}

impl Source for Wide {
    fn array<const N: usize>(&mut self) -> [u8; N] {
        [self.byte; N]
    }

    fn flag(&mut self) -> bool {
        true
    }

    fn index(&mut self, _: usize) -> usize {
        0
    }

    fn is_absent(&mut self) -> bool {
        false
    }

    fn text(&mut self) -> String {
        self.named += 1;
        match self.text {
            Text::Same(text) => text.to_owned(),
            Text::Distinct => format!("{:x}", self.named),
        }
    }

    fn bytes(&mut self) -> Vec<u8> {
        Vec::new()
    }

    fn array_of<T>(&mut self, mut element: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let elements = match self.inside.cmp(&self.depth) {
            std::cmp::Ordering::Less => 1,
            std::cmp::Ordering::Equal => self.elements,
            std::cmp::Ordering::Greater => 0,
        };
        self.inside += 1;
        let array = (0..elements).map(|_| element(self)).collect();
        self.inside -= 1;
        array
    }
}

/// A message from a source that the version can carry.
pub fn message<M: Message>(source: &mut impl Source, version: i16) -> M {
    M::populate(source, crate::api::version::<M>(version))
}
