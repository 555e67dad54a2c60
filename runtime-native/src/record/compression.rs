//! A batch's records, compressed as Kafka compresses them: all of them together, behind a header that isn't.
//!
//! | codec | how it stands in the batch |
//! |---|---|
//! | gzip | one gzip member |
//! | snappy | the framing of snappy-java: a head of 16 bytes, then blocks with their length before them |
//! | lz4 | the LZ4 frame format, with independent blocks |
//! | zstd | one Zstandard frame |
//!
//! What is read never takes more memory than [`MAX_UNPACKED_BYTES`], whatever it says of itself; what would unpack to
//! more is not compressed in the first place.

use std::io::{self, Read, Write};

use flate2::{read::MultiGzDecoder, write::GzEncoder};
use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};
use takhin_core::Compression;

use super::header::{BatchError, BatchHeader, HEADER_BYTES, write_unpacked};

/// What the records of a compressed batch take at most once they are unpacked.
pub const MAX_UNPACKED_BYTES: usize = 64 << 20;

/// What snappy-java writes first: a magic number, its version, and the oldest version that can read it.
const SNAPPY_HEAD: [u8; 16] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1];
/// How much of the records goes into one block of snappy.
const SNAPPY_BLOCK_BYTES: usize = 32 << 10;

/// The number that stands for a codec in a batch's attributes.
pub(super) fn number(compression: Compression) -> i16 {
    match compression {
        Compression::None => 0,
        Compression::Gzip => 1,
        Compression::Snappy => 2,
        Compression::Lz4 => 3,
        Compression::Zstd => 4,
    }
}

fn codec(number: i16) -> Option<Compression> {
    let all = [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];
    all.into_iter().nth(usize::try_from(number).ok()?)
}

/// Appends to `out` what `records` are compressed to.
pub(super) fn compress(compression: Compression, records: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    match compression {
        Compression::None => out.extend_from_slice(records),
        Compression::Gzip => {
            let mut encoder = GzEncoder::new(out, flate2::Compression::default());
            encoder.write_all(records)?;
            encoder.finish()?;
        }
        Compression::Snappy => {
            out.extend_from_slice(&SNAPPY_HEAD);
            let mut encoder = snap::raw::Encoder::new();
            for block in records.chunks(SNAPPY_BLOCK_BYTES) {
                let packed = encoder.compress_vec(block)?;
                let length = u32::try_from(packed.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
                out.extend_from_slice(&length.to_be_bytes());
                out.extend_from_slice(&packed);
            }
        }
        Compression::Lz4 => {
            let info = FrameInfo::new().block_mode(BlockMode::Independent).block_size(BlockSize::Max64KB);
            let mut encoder = FrameEncoder::with_frame_info(info, out);
            encoder.write_all(records)?;
            encoder.finish().map_err(io::Error::other)?;
        }
        Compression::Zstd => zstd::stream::copy_encode(records, out, zstd::DEFAULT_COMPRESSION_LEVEL)?,
    }
    Ok(())
}

/// Appends `records` to `out`, compressed by the codec of this number if that makes them smaller. The number of the one
/// that they are compressed with then.
pub(super) fn append_packed(number: i16, records: &[u8], out: &mut Vec<u8>) -> i16 {
    let start = out.len();
    let wished = codec(number).filter(|codec| *codec != Compression::None && records.len() <= MAX_UNPACKED_BYTES);
    // Into memory it can't fail; if it did, the records would be stored as they are.
    let done = wished.is_some_and(|codec| compress(codec, records, out).is_ok());
    if done && out.len() - start < records.len() {
        return number;
    }
    out.truncate(start);
    out.extend_from_slice(records);
    0
}

/// Appends to `out` the same batch as `batch`, whose header is `header`, with its records as they were before they
/// were compressed. Its checksum is not made anew.
///
/// # Errors
/// [`BatchError::Compressed`] if there is no such codec, [`BatchError::Unpackable`] if the bytes don't unpack, or to too
/// much. What was appended then is to be thrown away.
pub fn unpack(batch: &[u8], header: &BatchHeader, out: &mut Vec<u8>) -> Result<(), BatchError> {
    let truncated = BatchError::Truncated { needed: header.bytes, have: batch.len() };
    let packed = batch.get(HEADER_BYTES..header.bytes).ok_or(truncated)?;
    let compression = codec(header.compression()).ok_or(BatchError::Compressed(header.compression()))?;
    let start = out.len();
    out.extend_from_slice(&batch[..HEADER_BYTES]);
    decompress(compression, packed, out).map_err(|_| BatchError::Unpackable(header.compression()))?;
    write_unpacked(&mut out[start..]);
    Ok(())
}

fn decompress(compression: Compression, packed: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    match compression {
        Compression::None => append_bounded(packed, out),
        Compression::Gzip => append_bounded(MultiGzDecoder::new(packed), out),
        Compression::Snappy => unpack_snappy(packed, out),
        Compression::Lz4 => append_bounded(FrameDecoder::new(packed), out),
        Compression::Zstd => append_bounded(zstd::stream::read::Decoder::with_buffer(packed)?, out),
    }
}

/// Reads to the end, unless that is too far away.
fn append_bounded(reader: impl Read, out: &mut Vec<u8>) -> io::Result<()> {
    let start = out.len();
    reader.take(MAX_UNPACKED_BYTES as u64 + 1).read_to_end(out)?;
    if out.len() - start > MAX_UNPACKED_BYTES { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(()) }
}

/// Some producers leave the framing out, and then it is one block.
fn unpack_snappy(packed: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    let start = out.len();
    let Some(mut blocks) = packed.strip_prefix(&SNAPPY_HEAD[..8]).and_then(|versions| versions.get(8..)) else {
        return unpack_snappy_block(packed, out, start);
    };
    while !blocks.is_empty() {
        let (length, rest) = blocks.split_first_chunk().ok_or(io::ErrorKind::UnexpectedEof)?;
        let length = u32::from_be_bytes(*length) as usize;
        let (block, rest) = rest.split_at_checked(length).ok_or(io::ErrorKind::UnexpectedEof)?;
        unpack_snappy_block(block, out, start)?;
        blocks = rest;
    }
    Ok(())
}

fn unpack_snappy_block(block: &[u8], out: &mut Vec<u8>, start: usize) -> io::Result<()> {
    let at = out.len();
    let length = snap::raw::decompress_len(block)?;
    if (at - start).saturating_add(length) > MAX_UNPACKED_BYTES {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    out.resize(at + length, 0);
    let written = snap::raw::Decoder::new().decompress(block, &mut out[at..])?;
    out.truncate(at + written);
    Ok(())
}
