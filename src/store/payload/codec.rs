//! Compresses and decompresses one part of a payload. Each thread keeps its contexts: to create one takes longer than to compress
//! a webhook.

use super::PayloadError;
use super::dictionary::VendorDictionary;
use std::cell::RefCell;
use zstd_safe::{CCtx, CParameter, DCtx, DDict, SafeResult, get_error_name};

/// Parts above this size get a context of their own: a context keeps the memory of the largest part that it was used for.
const MAX_PART_OF_KEPT_CONTEXT: usize = 256 << 10;
/// A block takes at least this many bytes, and contains at most that many (RFC 8878, section 3.1.1.2).
const MIN_BLOCK_BYTES: usize = 4;
const MAX_BLOCK_CONTENT: usize = 128 << 10;

pub const WRONG_SIZE: &str = "its size is wrong";
const NO_MEMORY: &str = "there is no memory to decompress it";

thread_local! {
    static COMPRESSOR: RefCell<Option<CCtx<'static>>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<DCtx<'static>>> = const { RefCell::new(None) };
}

/// A frame with the size and a checksum of its content. None if there is no memory: then the part is stored as it is.
pub fn compress(part: &[u8], dictionary: &'static VendorDictionary) -> Option<Vec<u8>> {
    let compressed = if part.len() > MAX_PART_OF_KEPT_CONTEXT {
        compress_in(&mut new_compressor()?, part, dictionary)
    } else {
        COMPRESSOR.with_borrow_mut(|kept| {
            let context = match kept {
                Some(context) => context,
                None => kept.insert(new_compressor()?),
            };
            let compressed = compress_in(context, part, dictionary);
            if compressed.is_none() {
                // It may be in the middle of a frame.
                *kept = None;
            }
            compressed
        })
    };
    if compressed.is_none() {
        tracing::warn!(bytes = part.len(), "a payload could not be compressed; it is stored uncompressed");
    }
    compressed
}

fn new_compressor() -> Option<CCtx<'static>> {
    let mut context = CCtx::try_create()?;
    context.set_parameter(CParameter::ChecksumFlag(true)).ok()?;
    // The row names the dictionary.
    context.set_parameter(CParameter::DictIdFlag(false)).ok()?;
    Some(context)
}

fn compress_in(context: &mut CCtx<'static>, part: &[u8], dictionary: &'static VendorDictionary) -> Option<Vec<u8>> {
    let mut frame = Vec::with_capacity(zstd_safe::compress_bound(part.len()));
    context.ref_cdict(&dictionary.encoder).ok()?;
    context.compress2(&mut frame, part).ok()?;
    frame.shrink_to_fit();
    Some(frame)
}

/// The content of a frame. `is_possible` checks the size that the frame declares, before anything of that size is allocated.
pub fn decompress(
    part: &'static str,
    frame: &[u8],
    dictionary: &DDict<'static>,
    is_possible: impl Fn(usize) -> bool,
) -> Result<Vec<u8>, PayloadError> {
    let damaged = |reason| PayloadError::Damaged { part, reason };
    let declared = zstd_safe::get_frame_content_size(frame).map_err(|_| damaged("no zstd frame"))?;
    let size = declared.and_then(|size| usize::try_from(size).ok());
    let size =
        size.filter(|size| *size <= (frame.len() / MIN_BLOCK_BYTES + 1) * MAX_BLOCK_CONTENT && is_possible(*size));
    let mut content = Vec::new();
    content.try_reserve_exact(size.ok_or_else(|| damaged(WRONG_SIZE))?).map_err(|_| damaged(NO_MEMORY))?;
    DECOMPRESSOR.with_borrow_mut(|kept| {
        let context = match kept {
            Some(context) => context,
            None => kept.insert(DCtx::try_create().ok_or_else(|| damaged(NO_MEMORY))?),
        };
        let result: SafeResult = context.decompress_using_ddict(&mut content, frame, dictionary);
        result.map_err(|code| damaged(get_error_name(code)))
    })?;
    if size == Some(content.len()) { Ok(content) } else { Err(damaged(WRONG_SIZE)) }
}
