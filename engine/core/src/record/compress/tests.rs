//! Framings that differ between clients, and streams that are damaged or lie.

use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
use proptest::prelude::*;
use twox_hash::XxHash32;

use super::*;

const COMPRESSED: [Codec; 4] = [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];

fn written(codec: Codec, input: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    compress(codec, input, &mut out).unwrap();
    out
}

fn read(codec: Codec, payload: &[u8]) -> Result<Vec<u8>, DecompressError> {
    Decoder::new(codec, payload, MAX_DECOMPRESSED)?.read_to_end()
}

/// Why a stream is refused.
fn refusal(codec: Codec, payload: &[u8]) -> String {
    match read(codec, payload) {
        Err(DecompressError::Corrupt { reason, .. }) => reason,
        other => panic!("{other:?}"),
    }
}

/// Longer than any codec's block; every third block does not compress.
fn long() -> Vec<u8> {
    let mut state = 1u32;
    (0..300_000u32)
        .map(|at| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            if (at >> 15).is_multiple_of(3) { (state >> 24) as u8 } else { (at >> 9) as u8 }
        })
        .collect()
}

#[test]
fn codecs_have_the_ids_and_names_of_kafka() {
    let names = ["none", "gzip", "snappy", "lz4", "zstd"];
    for (id, (codec, name)) in Codec::ALL.into_iter().zip(names).enumerate() {
        assert_eq!((codec.id(), codec.name()), (id as u8, name));
        assert_eq!(Codec::from_id(id as u8), Ok(codec));
    }
    for id in 5..8 {
        assert_eq!(Codec::from_id(id), Err(UnknownCodec(id)));
    }
}

#[test]
fn what_is_written_is_read() {
    for codec in Codec::ALL {
        for input in [Vec::new(), vec![1], vec![0; 1 << 16], vec![0; 1 << 20], long()] {
            assert!(read(codec, &written(codec, &input)) == Ok(input), "{codec:?}");
        }
    }
}

#[test]
fn no_stream_may_end_early() {
    let input = b"some records, some records, some more records";
    for codec in COMPRESSED {
        let whole = written(codec, input);
        for len in 1..whole.len() {
            let cut = read(codec, &whole[..len]);
            // A xerial stream has no end mark: it may end between its header and a block.
            let may_end = codec == Codec::Snappy && len == 16;
            assert_eq!(cut.is_ok(), may_end, "{codec:?} {len}: {cut:?}");
        }
    }
}

#[test]
fn streams_end_to_end_are_read_as_one_unless_java_would_stop() {
    let two = |codec| [&b"one "[..], b"", b"two"].map(|part| written(codec, part)).concat();
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Zstd] {
        assert_eq!(read(codec, &two(codec)), Ok(b"one two".to_vec()), "{codec:?}");
    }
    assert_eq!(read(Codec::Lz4, &two(Codec::Lz4)), Ok(b"one ".to_vec()));
}

#[test]
fn the_limit_holds_to_the_byte() {
    for codec in Codec::ALL {
        let payload = written(codec, &[9; 100_000]);
        let upto = |limit| Decoder::new(codec, &payload, limit).unwrap().read_to_end();
        assert_eq!(upto(100_000).unwrap().len(), 100_000, "{codec:?}");
        assert_eq!(upto(99_999), Err(DecompressError::TooLarge { limit: 99_999 }), "{codec:?}");
    }
}

#[test]
fn snappy_framings() {
    let bare = snap::raw::Encoder::new().compress_vec(b"hello hello hello").unwrap();
    assert_eq!(read(Codec::Snappy, &bare), Ok(b"hello hello hello".to_vec()));

    let mut framed = written(Codec::Snappy, b"hello hello hello");
    framed[8..16].fill(0);
    assert_eq!(read(Codec::Snappy, &framed), Ok(b"hello hello hello".to_vec()), "any version");
}

#[test]
fn a_snappy_block_may_not_claim_what_it_cannot_hold() {
    let claim = [0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0];
    assert!(refusal(Codec::Snappy, &claim).contains("claims more"));
    let dense = snap::raw::Encoder::new().compress_vec(&vec![0; 4 << 20]).unwrap();
    assert!(dense.len() * 21 < 4 << 20, "close to the bound");
    assert_eq!(read(Codec::Snappy, &dense).unwrap().len(), 4 << 20);
}

/// A frame with these flags and block size, whose header checksum is right.
fn lz4_frame(flags: u8, block_size: u8, more: &[u8], blocks: &[u8]) -> Vec<u8> {
    let descriptor = [&[flags, block_size], more].concat();
    let checksum = (XxHash32::oneshot(0, &descriptor) >> 8) as u8;
    [&[0x04, 0x22, 0x4d, 0x18], descriptor.as_slice(), &[checksum], blocks].concat()
}

#[test]
fn lz4_frames_that_java_reads() {
    let stored = b"\x03\0\0\x80abc\0\0\0\0";
    let table: [(&str, Vec<u8>); 6] = [
        ("plain", lz4_frame(0x60, 0x40, &[], stored)),
        ("largest blocks", lz4_frame(0x60, 0x70, &[], stored)),
        ("content size, even a wrong one", lz4_frame(0x68, 0x40, &[9; 8], stored)),
        ("content checksum, not looked at", lz4_frame(0x64, 0x40, &[], stored)),
        ("bytes after the end", lz4_frame(0x60, 0x40, &[], b"\x03\0\0\x80abc\0\0\0\0junk")),
        ("empty stored block is an end", lz4_frame(0x60, 0x40, &[], b"\x03\0\0\x80abc\0\0\0\x80x")),
    ];
    for (name, frame) in table {
        assert_eq!(read(Codec::Lz4, &frame), Ok(b"abc".to_vec()), "{name}");
    }
    for block_size in [BlockSize::Max64KB, BlockSize::Max256KB, BlockSize::Max4MB] {
        let frame = FrameInfo::new()
            .block_mode(BlockMode::Independent)
            .block_size(block_size)
            .block_checksums(true)
            .content_checksum(true)
            .content_size(Some(300_000));
        let mut encoder = FrameEncoder::with_frame_info(frame, Vec::new());
        encoder.write_all(&long()).unwrap();
        assert!(read(Codec::Lz4, &encoder.finish().unwrap()) == Ok(long()));
    }
}

#[test]
fn lz4_frames_that_java_refuses() {
    let stored = b"\x03\0\0\x80abc\0\0\0\0";
    let mut wrong_checksum = lz4_frame(0x60, 0x40, &[], stored);
    wrong_checksum[6] ^= 1;
    let table: [(Vec<u8>, &str); 13] = [
        (Vec::new(), "end of file"),
        (vec![0x02, 0x21, 0x4c, 0x18, 3, 0, 0, 0], "not an LZ4 frame"),
        (lz4_frame(0x40, 0x40, &[], stored), "depend on each other"),
        (lz4_frame(0x61, 0x40, &[0; 4], stored), "flags"),
        (lz4_frame(0x62, 0x40, &[], stored), "flags"),
        (lz4_frame(0x20, 0x40, &[], stored), "flags"),
        (lz4_frame(0x60, 0x30, &[], stored), "block size"),
        (lz4_frame(0x60, 0xc0, &[], stored), "block size"),
        (lz4_frame(0x60, 0x41, &[], stored), "block size"),
        (wrong_checksum, "does not match its checksum"),
        (lz4_frame(0x70, 0x40, &[], b"\x03\0\0\x80abc\x01\0\0\0"), "does not match its checksum"),
        (lz4_frame(0x60, 0x40, &[], b"\x01\0\x01\x80"), "exceeds the frame's block size"),
        (lz4_frame(0x60, 0x40, &[], b"\x03\0\0\x80abc"), "end of file"),
    ];
    for (frame, reason) in table {
        let found = refusal(Codec::Lz4, &frame);
        assert!(found.contains(reason), "{found}, not {reason}");
    }
}

#[test]
fn an_lz4_block_may_not_exceed_the_frames_block_size_once_expanded() {
    let block = lz4_flex::block::compress(&vec![0; (64 << 10) + 1]);
    let blocks = [&(block.len() as u32).to_le_bytes()[..], &block, &[0; 4]].concat();
    refusal(Codec::Lz4, &lz4_frame(0x60, 0x40, &[], &blocks));
    let expanded = read(Codec::Lz4, &lz4_frame(0x60, 0x50, &[], &blocks));
    assert_eq!(expanded.unwrap().len(), (64 << 10) + 1);
}

#[test]
fn zstd_windows_up_to_128_mib() {
    // Magic, no content size, window 2^(10 + n), one last block stored as it is.
    let frame = |n: u8| [b"\x28\xb5\x2f\xfd\0", &[n << 3][..], b"\x29\0\0hello"].concat();
    assert_eq!(read(Codec::Zstd, &frame(17)), Ok(b"hello".to_vec()));
    assert!(refusal(Codec::Zstd, &frame(18)).contains("memory"));
}

proptest! {
    #[test]
    fn damage_is_an_error_or_other_bytes(
        codec in proptest::sample::select(COMPRESSED.to_vec()),
        at: proptest::sample::Index,
        bit in 0u8..8,
        tail in 0usize..40,
    ) {
        let mut payload = written(codec, &long()[30_000..70_000]);
        let at = at.index(payload.len());
        payload[at] ^= 1 << bit;
        payload.truncate(payload.len() - tail);
        let limit = 1 << 20;
        if let Ok(bytes) = Decoder::new(codec, &payload, limit).and_then(Decoder::read_to_end) {
            prop_assert!(bytes.len() <= 1 << 20);
        }
    }
}
