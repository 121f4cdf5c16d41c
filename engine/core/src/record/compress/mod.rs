//! The codecs of record batches, in the framings that Kafka clients write and read.
//!
//! A batch's records are compressed as one stream: a gzip file, snappy either in xerial's framing
//! (Java) or as one bare block (librdkafka, Go), one LZ4 frame, or zstd frames. Writing frames
//! as Kafka's Java client does; reading accepts the framings of all.
//!
//! Reading is a stream under a cap on the bytes that come out, because a client chooses how far its
//! bytes expand. What a [`Decoder`] itself holds is bounded apart from the cap:
//!
//! | codec | at most |
//! |---|---|
//! | gzip | 32 KiB window and tables |
//! | snappy | the block at hand: 22 times its compressed size |
//! | LZ4 | the block at hand: 4 MiB or 255 times its compressed size |
//! | zstd | the window its frame asks for, 128 MiB at most, touched only as far as bytes come out |

mod lz4;
mod snappy;

use std::fmt;
use std::io::{self, Read, Write};

/// How the records of a batch are compressed. The number is the one in the attributes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Codec {
    /// Not at all.
    #[default]
    None = 0,
    /// RFC 1952.
    Gzip = 1,
    /// Snappy blocks, in xerial's framing or bare.
    Snappy = 2,
    /// One LZ4 frame of independent blocks.
    Lz4 = 3,
    /// RFC 8878. Only for clients that speak Produce 7 and Fetch 10, or later.
    Zstd = 4,
}

impl Codec {
    /// Every codec, in the order of their ids.
    pub const ALL: [Codec; 5] = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];

    /// The codec with this id.
    ///
    /// # Errors
    /// [`UnknownCodec`] for any id above 4.
    pub fn from_id(id: u8) -> Result<Codec, UnknownCodec> {
        Codec::ALL.get(usize::from(id)).copied().ok_or(UnknownCodec(id))
    }

    /// The codec's number in batch attributes.
    #[must_use]
    pub fn id(self) -> u8 {
        self as u8
    }

    /// Kafka's name, as in `compression.type`.
    #[must_use]
    pub fn name(self) -> &'static str {
        ["none", "gzip", "snappy", "lz4", "zstd"][self as usize]
    }
}

/// A codec id that names no codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownCodec(pub u8);

impl fmt::Display for UnknownCodec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "compression codec {} does not exist", self.0)
    }
}

impl std::error::Error for UnknownCodec {}

/// zlib's default, as in Kafka.
const GZIP_LEVEL: u32 = 6;
/// zstd's default, as in Kafka.
const ZSTD_LEVEL: i32 = 3;
/// The largest window a zstd frame may ask for, as a power of two: zstd's own limit, and what the
/// highest level of a Java producer asks for.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;

/// Appends `input`, compressed at the codec's default level, to `out`.
pub(super) fn compress(codec: Codec, input: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    match codec {
        Codec::None => out.extend_from_slice(input),
        Codec::Gzip => {
            let level = flate2::Compression::new(GZIP_LEVEL);
            let mut encoder = flate2::write::GzEncoder::new(out, level);
            encoder.write_all(input)?;
            encoder.finish()?;
        }
        Codec::Snappy => snappy::compress(input, out)?,
        Codec::Lz4 => lz4::compress(input, out)?,
        Codec::Zstd => out.extend_from_slice(&zstd::bulk::compress(input, ZSTD_LEVEL)?),
    }
    Ok(())
}

/// The most bytes one batch may expand to, unless the caller says otherwise: above anything a
/// producer's own buffers allow, and below what would keep a core busy for a second.
pub const MAX_DECOMPRESSED: u64 = 256 << 20;

/// How much [`Decoder::read_to_end`] asks for at a time.
const CHUNK_LEN: usize = 32 << 10;

/// The records of one batch as a stream of decompressed bytes, under a cap.
pub struct Decoder<'a> {
    codec: Codec,
    stream: Stream<'a>,
    limit: u64,
    left: u64,
}

enum Stream<'a> {
    None(&'a [u8]),
    Gzip(Box<flate2::bufread::MultiGzDecoder<&'a [u8]>>),
    Snappy(snappy::Reader<'a>),
    Lz4(lz4::Reader<'a>),
    Zstd(zstd::stream::read::Decoder<'static, &'a [u8]>),
}

impl<'a> Decoder<'a> {
    /// Starts on `payload`, the bytes after a batch's header. At most `limit` bytes come out.
    ///
    /// # Errors
    /// [`DecompressError::Corrupt`] when the stream's own header is wrong.
    pub fn new(
        codec: Codec,
        payload: &'a [u8],
        limit: u64,
    ) -> Result<Decoder<'a>, DecompressError> {
        let stream =
            Stream::open(codec, payload).map_err(|e| DecompressError::corrupt(codec, &e))?;
        Ok(Decoder { codec, stream, limit, left: limit })
    }

    /// Reads some bytes into `out`, which is not empty; 0 at the end of the stream, once what the
    /// codec keeps there has been checked.
    ///
    /// # Errors
    /// Those of the codec, and [`DecompressError::TooLarge`] once more than the limit came out.
    pub fn read(&mut self, out: &mut [u8]) -> Result<usize, DecompressError> {
        let read = match &mut self.stream {
            Stream::None(rest) => rest.read(out),
            Stream::Gzip(stream) => stream.read(out),
            Stream::Snappy(stream) => stream.read(out),
            Stream::Lz4(stream) => stream.read(out),
            Stream::Zstd(stream) => stream.read(out),
        };
        let len = read.map_err(|e| DecompressError::corrupt(self.codec, &e))?;
        match self.left.checked_sub(len as u64) {
            Some(left) => self.left = left,
            None => return Err(DecompressError::TooLarge { limit: self.limit }),
        }
        Ok(len)
    }

    /// Reads all that is left.
    ///
    /// # Errors
    /// As [`Decoder::read`].
    pub fn read_to_end(mut self) -> Result<Vec<u8>, DecompressError> {
        let mut out = Vec::new();
        loop {
            let end = out.len();
            out.resize(end + CHUNK_LEN, 0);
            let len = self.read(&mut out[end..])?;
            out.truncate(end + len);
            if len == 0 {
                return Ok(out);
            }
        }
    }
}

impl<'a> Stream<'a> {
    fn open(codec: Codec, payload: &'a [u8]) -> io::Result<Stream<'a>> {
        Ok(match codec {
            Codec::None => Stream::None(payload),
            Codec::Gzip => Stream::Gzip(Box::new(flate2::bufread::MultiGzDecoder::new(payload))),
            Codec::Snappy => Stream::Snappy(snappy::Reader::new(payload)),
            Codec::Lz4 => Stream::Lz4(lz4::Reader::new(payload)?),
            Codec::Zstd => {
                let mut stream = zstd::stream::read::Decoder::with_buffer(payload)?;
                stream.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
                Stream::Zstd(stream)
            }
        })
    }
}

/// Why a batch's records cannot be decompressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DecompressError {
    /// The bytes are not a whole stream of that codec.
    Corrupt {
        /// The codec that the batch names.
        codec: Codec,
        /// What its decoder said.
        reason: String,
    },
    /// More came out than the limit allows.
    TooLarge {
        /// The most bytes that may come out.
        limit: u64,
    },
}

impl DecompressError {
    fn corrupt(codec: Codec, reason: &io::Error) -> DecompressError {
        DecompressError::Corrupt { codec, reason: reason.to_string() }
    }
}

impl fmt::Display for DecompressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DecompressError::Corrupt { codec, reason } => {
                write!(f, "records are not valid {}: {reason}", codec.name())
            }
            DecompressError::TooLarge { limit } => {
                write!(f, "records decompress to more than {limit} bytes")
            }
        }
    }
}

impl std::error::Error for DecompressError {}

/// The error of a stream whose bytes are wrong.
fn invalid(reason: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

/// Cuts `len` bytes off the front of `rest`.
fn cut<'a>(rest: &mut &'a [u8], len: usize) -> io::Result<&'a [u8]> {
    rest.split_off(..len).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

/// Cuts a fixed number of bytes off the front of `rest`.
fn cut_array<const N: usize>(rest: &mut &[u8]) -> io::Result<[u8; N]> {
    let (array, tail) = rest.split_first_chunk::<N>().ok_or(io::ErrorKind::UnexpectedEof)?;
    *rest = tail;
    Ok(*array)
}

#[cfg(test)]
mod tests;
