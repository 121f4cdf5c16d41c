//! Snappy as Kafka clients frame it: xerial's stream (a header, then blocks with their lengths), or
//! one bare block that is the whole payload.

use std::io::{self, Read};

use super::{cut, cut_array, invalid};

const MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
/// The stream's version, and the oldest version whose readers understand it.
const VERSIONS: [u8; 8] = [0, 0, 0, 1, 0, 0, 0, 1];
/// Uncompressed bytes a block; snappy-java's default.
const BLOCK_LEN: usize = 32 << 10;
/// No element of the format yields more: a copy of 64 bytes takes 3.
const MAX_EXPANSION: usize = 22;

/// Appends `input` as a xerial stream.
pub(super) fn compress(input: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&VERSIONS);
    let mut encoder = snap::raw::Encoder::new();
    let mut block = vec![0; snap::raw::max_compress_len(BLOCK_LEN.min(input.len()))];
    for chunk in input.chunks(BLOCK_LEN) {
        let len = encoder.compress(chunk, &mut block)?;
        // Little more than BLOCK_LEN.
        out.extend_from_slice(&(len as u32).to_be_bytes());
        out.extend_from_slice(&block[..len]);
    }
    Ok(())
}

/// Reads either framing, a block at a time.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    framing: Framing,
    block: Vec<u8>,
    /// What was handed out of `block`.
    taken: usize,
}

enum Framing {
    Xerial,
    Bare,
}

impl<'a> Reader<'a> {
    pub(super) fn new(payload: &'a [u8]) -> Reader<'a> {
        let xerial = payload.len() >= MAGIC.len() + VERSIONS.len() && payload.starts_with(&MAGIC);
        let framing = if xerial { Framing::Xerial } else { Framing::Bare };
        Reader { rest: payload, framing, block: Vec::new(), taken: 0 }
    }

    fn next_block(&mut self) -> io::Result<()> {
        let compressed = match self.framing {
            Framing::Bare => std::mem::take(&mut self.rest),
            Framing::Xerial => {
                self.skip_headers()?;
                if self.rest.is_empty() {
                    return Ok(());
                }
                let len = u32::from_be_bytes(cut_array(&mut self.rest)?);
                cut(&mut self.rest, len as usize)?
            }
        };
        decompress(compressed, &mut self.block)?;
        self.taken = 0;
        Ok(())
    }

    /// Streams may be concatenated, so a header may stand wherever a block may. Versions are not
    /// looked at, as in snappy-java.
    fn skip_headers(&mut self) -> io::Result<()> {
        while self.rest.starts_with(&MAGIC) {
            cut(&mut self.rest, MAGIC.len() + VERSIONS.len())?;
        }
        Ok(())
    }
}

impl Read for Reader<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.taken == self.block.len() && !self.rest.is_empty() {
            self.next_block()?;
        }
        let len = (&self.block[self.taken..]).read(out)?;
        self.taken += len;
        Ok(len)
    }
}

/// Replaces `block` by the decompressed `compressed`.
fn decompress(compressed: &[u8], block: &mut Vec<u8>) -> io::Result<()> {
    let claimed = snap::raw::decompress_len(compressed)?;
    if claimed > compressed.len().saturating_mul(MAX_EXPANSION) {
        return Err(invalid("snappy block claims more bytes than it can hold"));
    }
    block.resize(claimed, 0);
    snap::raw::Decoder::new().decompress(compressed, block)?;
    Ok(())
}
