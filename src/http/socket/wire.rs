//! The frames of a WebSocket. tungstenite parses frames and replies to control frames. Outgoing frames are appended to one
//! buffer, and sent with as few writes as possible.

use super::message::CloseReason;
use std::io::{self, ErrorKind, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tungstenite::error::{CapacityError, Error, ProtocolError};
use tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tungstenite::protocol::frame::{CloseFrame, FrameHeader};
use tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};
use tungstenite::{Message, Utf8Bytes};

/// A socket that is idle most of the time needs no large buffer; tungstenite's own would be 128 KiB.
const READ_BUFFER: usize = 4096;
/// A larger buffer is released when it is empty.
const WRITE_BUFFER: usize = 4096;
/// The largest header of a frame.
const MAX_FRAME_HEADER: usize = 10;
/// A ping without a payload.
const PING: [u8; 2] = [0x89, 0];

/// The server's side of a WebSocket.
pub struct Wire<S> {
    stream: S,
    protocol: WebSocketContext,
    limit: usize,
    /// The client sent an invalid frame: nothing more is parsed.
    broken: bool,
    out: Vec<u8>,
    /// Bytes of `out` that are written.
    written: usize,
}

/// What arrives from the client.
#[derive(Debug)]
pub enum Frame {
    Text(Utf8Bytes),
    /// A ping or a pong.
    Control,
    /// The client closes; the reply is in the buffer.
    Close,
    Invalid(CloseReason),
    /// Nothing more can be read.
    Disconnected,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// `limit` is in bytes of a message.
    pub fn new(stream: S, limit: usize) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(0)
            .max_message_size(Some(limit))
            .max_frame_size(Some(limit));
        let protocol = WebSocketContext::new(Role::Server, Some(config));
        Wire { stream, protocol, limit, broken: false, out: Vec::new(), written: 0 }
    }

    /// Bytes that are not written yet.
    pub fn pending_bytes(&self) -> usize {
        self.out.len() - self.written
    }

    /// Reserves room for texts, `bytes` together.
    pub fn reserve(&mut self, count: usize, bytes: usize) {
        self.out.reserve(bytes + count * MAX_FRAME_HEADER);
    }

    /// Sends a text that consists of several pieces.
    pub fn send(&mut self, pieces: &[&[u8]]) {
        if !self.protocol.can_write() {
            return;
        }
        let length = pieces.iter().map(|piece| piece.len()).sum::<usize>();
        self.out.reserve(length + MAX_FRAME_HEADER);
        let header = FrameHeader { opcode: OpCode::Data(Data::Text), ..FrameHeader::default() };
        // Writing to the buffer cannot fail.
        let _ = header.format(length as u64, &mut self.out);
        for piece in pieces {
            self.out.extend_from_slice(piece);
        }
    }

    pub fn ping(&mut self) {
        if self.protocol.can_write() {
            self.out.extend(PING);
        }
    }

    /// Sends a close frame; nothing is sent after it.
    pub fn close(&mut self, why: &CloseReason) {
        let frame = CloseFrame { code: CloseCode::from(why.code), reason: why.reason.as_ref().into() };
        // Nothing is read, so nothing needs to be woken. Writing to the buffer cannot fail.
        let context = &mut Context::from_waker(Waker::noop());
        let _ = self.protocol.close(&mut Bridge { stream: &mut self.stream, out: &mut self.out, context }, Some(frame));
    }

    pub fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Frame> {
        let mut bridge = Bridge { stream: &mut self.stream, out: &mut self.out, context };
        if self.broken {
            return bridge.drain();
        }
        let frame = match self.protocol.read(&mut bridge) {
            Ok(Message::Text(text)) => Frame::Text(text),
            Ok(Message::Binary(_)) => Frame::Invalid(CloseReason::NOT_TEXT),
            Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => Frame::Control,
            Ok(Message::Close(_)) => {
                // tungstenite holds the reply; its error only says that the connection is closed now.
                let _ = self.protocol.flush(&mut bridge);
                Frame::Close
            }
            Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => return Poll::Pending,
            Err(Error::Capacity(CapacityError::MessageTooLong { .. })) => {
                Frame::Invalid(CloseReason::message_too_big(self.limit))
            }
            Err(Error::Utf8(_)) => Frame::Invalid(CloseReason::INVALID_UTF8),
            Err(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => Frame::Disconnected,
            Err(Error::Protocol(_)) => Frame::Invalid(CloseReason::PROTOCOL_ERROR),
            Err(_) => Frame::Disconnected,
        };
        self.broken = matches!(&frame, Frame::Invalid(why) if *why != CloseReason::NOT_TEXT);
        Poll::Ready(frame)
    }

    /// Writes pending bytes. Returns how many; 0 if there are none.
    pub fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Some(rest) = self.out.get(self.written..).filter(|rest| !rest.is_empty()) else {
            return Poll::Ready(Ok(0));
        };
        let written = ready!(Pin::new(&mut self.stream).poll_write(context, rest))?;
        if written == 0 {
            return Poll::Ready(Err(ErrorKind::WriteZero.into()));
        }
        self.written += written;
        if self.written == self.out.len() {
            self.written = 0;
            self.out.clear();
            if self.out.capacity() > WRITE_BUFFER {
                self.out = Vec::new();
            }
        }
        Poll::Ready(Ok(written))
    }

    pub fn poll_shutdown(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// The stream for tungstenite: it reads from the socket and writes into the buffer, in order with other frames.
struct Bridge<'a, 'b, S> {
    stream: &'a mut S,
    out: &'a mut Vec<u8>,
    context: &'a mut Context<'b>,
}

impl<S: AsyncRead + Unpin> Bridge<'_, '_, S> {
    // Reads and discards: closing a stream with unread bytes would lose bytes that are being sent.
    fn drain(&mut self) -> Poll<Frame> {
        let mut bytes = [0; 1024];
        loop {
            match self.read(&mut bytes) {
                Ok(1..) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Poll::Pending,
                _ => return Poll::Ready(Frame::Disconnected),
            }
        }
    }
}

impl<S: AsyncRead + Unpin> Read for Bridge<'_, '_, S> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut into = ReadBuf::new(into);
        match Pin::new(&mut *self.stream).poll_read(self.context, &mut into) {
            Poll::Ready(read) => read.map(|()| into.filled().len()),
            Poll::Pending => Err(ErrorKind::WouldBlock.into()),
        }
    }
}

impl<S> Write for Bridge<'_, '_, S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
