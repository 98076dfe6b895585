//! The framing of each response.

use crate::graphql::Cursor;
use crate::live::{BatchEntry, Payloads};
use bytes::{BufMut, Bytes, BytesMut};

/// How responses follow each other in one body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamFormat {
    /// Server-sent events, a stream for each operation
    /// (<https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md>, "distinct connections mode"). Each event's
    /// `id` is the cursor of the change it is about.
    EventStream,
    /// Parts of a multipart body
    /// (<https://www.apollographql.com/docs/graphos/routing/operations/subscriptions/multipart-protocol>).
    Multipart,
}

/// Ignored by clients.
const COMMENT: &[u8] = b":\n\n";
/// Begins a part. It is sent right after the part before, because a client knows only then that that part is complete.
const DELIMITER: &[u8] = b"\r\n--graphql";
const PART_HEADER: &[u8] = b"\r\nContent-Type: application/json\r\n\r\n";

impl StreamFormat {
    pub fn content_type(self) -> &'static str {
        match self {
            StreamFormat::EventStream => "text/event-stream; charset=utf-8",
            StreamFormat::Multipart => "multipart/mixed; boundary=\"graphql\"; subscriptionSpec=1.0",
        }
    }

    pub fn preamble(self) -> Bytes {
        Bytes::from_static(match self {
            StreamFormat::EventStream => COMMENT,
            StreamFormat::Multipart => DELIMITER,
        })
    }

    /// Responses, each JSON in one line.
    pub fn next(self, payloads: &Payloads, generation: i64) -> Bytes {
        let (count, bytes) = payloads.count_and_bytes();
        let mut frames = BytesMut::with_capacity(bytes + count * 96);
        let mut put = |pieces: &[&[u8]]| pieces.iter().for_each(|piece| frames.put_slice(piece));
        for BatchEntry { position, payload } in payloads.entries() {
            match self {
                StreamFormat::EventStream if *position > 0 => {
                    let cursor = Cursor::Change { position: *position, generation }.encode();
                    put(&[b"event: next\nid: ", cursor.as_bytes(), b"\ndata: ", payload, b"\n\n"]);
                }
                StreamFormat::EventStream => put(&[b"event: next\ndata: ", payload, b"\n\n"]),
                StreamFormat::Multipart => put(&[PART_HEADER, b"{\"payload\":", payload, b"}", DELIMITER]),
            }
        }
        frames.freeze()
    }

    /// The operation ends with these errors: a JSON array.
    pub fn error(self, errors: &[u8]) -> Bytes {
        match self {
            StreamFormat::EventStream => joined(&[b"event: next\ndata: {\"errors\":", errors, b"}\n\n", COMPLETE]),
            StreamFormat::Multipart => {
                joined(&[PART_HEADER, b"{\"payload\":null,\"errors\":", errors, b"}", DELIMITER, b"--\r\n"])
            }
        }
    }

    pub fn complete(self) -> Bytes {
        Bytes::from_static(match self {
            StreamFormat::EventStream => COMPLETE,
            StreamFormat::Multipart => b"--\r\n",
        })
    }

    pub fn keep_alive(self) -> Bytes {
        match self {
            StreamFormat::EventStream => Bytes::from_static(COMMENT),
            StreamFormat::Multipart => joined(&[PART_HEADER, b"{}", DELIMITER]),
        }
    }
}

const COMPLETE: &[u8] = b"event: complete\ndata:\n\n";

pub fn joined(pieces: &[&[u8]]) -> Bytes {
    pieces.concat().into()
}
