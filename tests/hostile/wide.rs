//! The widest requests that so many bytes can say.

use std::marker::PhantomData;

use bytes::Bytes;
use corelog_wire::api::Request;
use corelog_wire::error::EncodeError;
use corelog_wire::header::encode_request;
use corelog_wire::populate::{Text, Wide, message};

/// Elements of the request by which those of so many bytes are told.
const SAMPLE: usize = 64;
/// Arrays lie no deeper within each other.
const DEPTHS: usize = 3;
/// Numbers and ids are 0 or -1.
const BYTES: [u8; 2] = [0, 0xff];

/// Where a request of an API and version has its elements, and of what they are.
pub(crate) struct Shape<R> {
    version: i16,
    depth: usize,
    byte: u8,
    text: Text,
    /// Bytes of a request with one element, and of as many as the sample has more.
    one: usize,
    sample: usize,
    api: PhantomData<R>,
}

/// All shapes; strings are the topic's name, or all different.
pub(crate) fn shapes<R: Request>(
    version: i16,
    topic: &'static str,
) -> Result<Vec<Shape<R>>, EncodeError> {
    let mut shapes = Vec::new();
    let text = [Text::Distinct, Text::Same(topic)];
    for (depth, (byte, text)) in (0..DEPTHS).flat_map(|depth| {
        BYTES.into_iter().flat_map(move |byte| text.map(|text| (depth, (byte, text))))
    }) {
        let mut shape =
            Shape { version, depth, byte, text, one: 0, sample: 0, api: PhantomData::<R> };
        shape.one = shape.encoded(1)?.len();
        shape.sample = shape.encoded(1 + SAMPLE)?.len() - shape.one;
        // None of its arrays lies so deep; then the shallower ones were all.
        if shape.sample > 0 || depth == 0 {
            shapes.push(shape);
        }
    }
    Ok(shapes)
}

impl<R: Request> Shape<R> {
    /// Whether numbers are 0.
    pub(crate) fn is_of_zeros(&self) -> bool {
        self.byte == 0
    }

    /// The request with as many elements as so many bytes can say.
    pub(crate) fn request(&self, size: usize) -> Result<Bytes, EncodeError> {
        self.encoded(size.saturating_sub(self.one) * SAMPLE / self.sample.max(SAMPLE))
    }

    fn encoded(&self, elements: usize) -> Result<Bytes, EncodeError> {
        let mut wide = Wide::new(elements, self.depth, self.byte, self.text);
        let body: R = message(&mut wide, self.version);
        let frame = encode_request(self.version, 1, None, &body)?;
        Ok(frame.into_bytes().unwrap_or_default())
    }
}
