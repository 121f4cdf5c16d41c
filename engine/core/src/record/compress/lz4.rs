//! LZ4 frames, read and refused as Kafka's `Lz4BlockInputStream` does, because what the broker lets
//! in every Java consumer must be able to read: one frame of independent blocks; no dictionary. The
//! header's and the blocks' checksums are verified, content size and content checksum are skipped,
//! and nothing after the end mark is looked at.
//!
//! ```text
//! magic u32 | flags u8 | block size u8 | [content size u64] | header checksum u8
//! { size u32, top bit: stored as is | bytes | [xxh32 u32] }* | end mark u32 = 0
//! ```
//!
//! Integers are little-endian.

use std::io::{self, Read, Write};

use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
use twox_hash::XxHash32;

use super::{cut, cut_array, invalid};

const MAGIC: u32 = 0x184d_2204;
const VERSION_MASK: u8 = 0b1100_0000;
const VERSION: u8 = 0b0100_0000;
const INDEPENDENT_BLOCKS: u8 = 0b0010_0000;
const BLOCK_CHECKSUMS: u8 = 0b0001_0000;
const CONTENT_SIZE: u8 = 0b0000_1000;
/// A reserved bit and the dictionary id.
const FLAGS_REFUSED: u8 = 0b0000_0011;
const BLOCK_SIZE_REFUSED: u8 = 0b1000_1111;
/// In a block's size: the bytes are not compressed.
const STORED: u32 = 1 << 31;
/// No byte of a block yields more: it lengthens a match by 255.
const MAX_EXPANSION: usize = 255;

/// Appends `input` as one frame like Kafka's: independent blocks of 64 KiB, no checksums but the
/// header's.
pub(super) fn compress(input: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    let frame = FrameInfo::new().block_mode(BlockMode::Independent).block_size(BlockSize::Max64KB);
    let mut encoder = FrameEncoder::with_frame_info(frame, out);
    encoder.write_all(input)?;
    encoder.finish()?;
    Ok(())
}

/// Reads one frame, a block at a time.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    block_len_max: usize,
    checksums: BlockChecksums,
    block: Block<'a>,
    /// Where compressed blocks are expanded to.
    expanded: Vec<u8>,
}

enum BlockChecksums {
    Present,
    Absent,
}

/// The block at hand, less what was handed out of it.
enum Block<'a> {
    Stored(&'a [u8]),
    Expanded { taken: usize, len: usize },
    EndMark,
}

impl<'a> Reader<'a> {
    pub(super) fn new(payload: &'a [u8]) -> io::Result<Reader<'a>> {
        let mut rest = payload;
        if u32::from_le_bytes(cut_array(&mut rest)?) != MAGIC {
            return Err(invalid("not an LZ4 frame"));
        }
        let descriptor = rest;
        let [flags, block_size] = cut_array(&mut rest)?;
        if flags & VERSION_MASK != VERSION || flags & FLAGS_REFUSED != 0 {
            return Err(invalid("unsupported LZ4 frame flags"));
        }
        if flags & INDEPENDENT_BLOCKS == 0 {
            return Err(invalid("LZ4 blocks that depend on each other are not supported"));
        }
        if block_size & BLOCK_SIZE_REFUSED != 0 || block_size >> 4 < 4 {
            return Err(invalid("unsupported LZ4 block size"));
        }
        if flags & CONTENT_SIZE != 0 {
            cut(&mut rest, 8)?;
        }
        let descriptor = &descriptor[..descriptor.len() - rest.len()];
        let [checksum] = cut_array(&mut rest)?;
        if checksum != (XxHash32::oneshot(0, descriptor) >> 8) as u8 {
            return Err(invalid("LZ4 frame header does not match its checksum"));
        }
        Ok(Reader {
            rest,
            block_len_max: 1 << (8 + 2 * (block_size >> 4)),
            checksums: match flags & BLOCK_CHECKSUMS {
                0 => BlockChecksums::Absent,
                _ => BlockChecksums::Present,
            },
            block: Block::Stored(&[]),
            expanded: Vec::new(),
        })
    }

    fn next_block(&mut self) -> io::Result<Block<'a>> {
        let size = u32::from_le_bytes(cut_array(&mut self.rest)?);
        let len = (size & !STORED) as usize;
        if len == 0 {
            return Ok(Block::EndMark);
        }
        if len > self.block_len_max {
            return Err(invalid("LZ4 block exceeds the frame's block size"));
        }
        let bytes = cut(&mut self.rest, len)?;
        if let BlockChecksums::Present = self.checksums {
            let stored = u32::from_le_bytes(cut_array(&mut self.rest)?);
            if stored != XxHash32::oneshot(0, bytes) {
                return Err(invalid("LZ4 block does not match its checksum"));
            }
        }
        if size & STORED != 0 {
            return Ok(Block::Stored(bytes));
        }
        let most = self.block_len_max.min(len * MAX_EXPANSION);
        if self.expanded.len() < most {
            self.expanded.resize(most, 0);
        }
        let len = lz4_flex::block::decompress_into(bytes, &mut self.expanded[..most])
            .map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
        Ok(Block::Expanded { taken: 0, len })
    }
}

impl Read for Reader<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let len = match &mut self.block {
                Block::EndMark => return Ok(0),
                Block::Stored(bytes) => bytes.read(out)?,
                Block::Expanded { taken, len } => {
                    let read = (&self.expanded[*taken..*len]).read(out)?;
                    *taken += read;
                    read
                }
            };
            if len > 0 || out.is_empty() {
                return Ok(len);
            }
            self.block = self.next_block()?;
        }
    }
}
