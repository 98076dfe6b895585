//! What stands around each answer.

use crate::graphql::Cursor;
use crate::live::Payloads;
use bytes::{BufMut, Bytes, BytesMut};

/// How answers follow each other in one body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Server-sent events, each operation with a stream of its own
    /// (<https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md>, "distinct connections mode"). Each event's
    /// `id` is the cursor of the change it is about.
    Events,
    /// Parts of a multipart body
    /// (<https://www.apollographql.com/docs/graphos/routing/operations/subscriptions/multipart-protocol>).
    Parts,
}

/// Nothing but a sign of life.
pub const COMMENT: &[u8] = b":\n\n";
/// Comes before a part. It is sent right after the one before, since a reader takes a part as whole only then.
const DELIMITER: &[u8] = b"\r\n--graphql";
const PART: &[u8] = b"\r\nContent-Type: application/json\r\n\r\n";

impl Format {
    pub fn content_type(self) -> &'static str {
        match self {
            Format::Events => "text/event-stream; charset=utf-8",
            Format::Parts => "multipart/mixed; boundary=\"graphql\"; subscriptionSpec=1.0",
        }
    }

    pub fn begin(self) -> Bytes {
        Bytes::from_static(match self {
            Format::Events => COMMENT,
            Format::Parts => DELIMITER,
        })
    }

    /// Answers, which are JSON in one line each.
    pub fn told(self, payloads: &Payloads, generation: i64) -> Bytes {
        let (texts, bytes) = payloads.size();
        let mut frames = BytesMut::with_capacity(bytes + texts * 96);
        for entry in payloads.entries() {
            match self {
                Format::Events => {
                    frames.put_slice(b"event: next\n");
                    if entry.position > 0 {
                        let cursor = Cursor::Change { position: entry.position, generation }.encode();
                        frames.put_slice(b"id: ");
                        frames.put_slice(cursor.as_bytes());
                        frames.put_slice(b"\n");
                    }
                    put(&mut frames, &[b"data: ", &entry.payload, b"\n\n"]);
                }
                Format::Parts => put(&mut frames, &[PART, b"{\"payload\":", &entry.payload, b"}", DELIMITER]),
            }
        }
        frames.freeze()
    }

    /// It ends with these errors: a JSON array.
    pub fn failed(self, errors: &[u8]) -> Bytes {
        match self {
            Format::Events => joined(&[b"event: next\ndata: {\"errors\":", errors, b"}\n\n", COMPLETE]),
            Format::Parts => joined(&[PART, b"{\"payload\":null,\"errors\":", errors, b"}", DELIMITER, b"--\r\n"]),
        }
    }

    /// It has ended by itself.
    pub fn complete(self) -> Bytes {
        Bytes::from_static(match self {
            Format::Events => COMPLETE,
            Format::Parts => b"--\r\n",
        })
    }

    pub fn beat(self) -> Bytes {
        match self {
            Format::Events => Bytes::from_static(COMMENT),
            Format::Parts => joined(&[PART, b"{}", DELIMITER]),
        }
    }
}

const COMPLETE: &[u8] = b"event: complete\ndata:\n\n";

/// These pieces as one.
pub fn joined(pieces: &[&[u8]]) -> Bytes {
    pieces.concat().into()
}

fn put(frames: &mut BytesMut, pieces: &[&[u8]]) {
    pieces.iter().for_each(|piece| frames.put_slice(piece));
}
