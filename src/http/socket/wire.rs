//! The bytes of a WebSocket. tungstenite reads frames and answers control frames; what we send is put together in one
//! buffer, frame after frame, and goes out with as few writes as there can be.

use super::message::CloseReason;
use std::io::{self, ErrorKind, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tungstenite::error::{CapacityError, Error};
use tungstenite::protocol::frame::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};
use tungstenite::{Message, Utf8Bytes};

/// A socket that is idle most of the time needs no large buffer; tungstenite's own would be 128 KiB.
const READ_BUFFER: usize = 4096;
/// What is kept of the buffer for writing when nothing is left in it.
const WRITE_BUFFER: usize = 4096;
/// The first byte of a whole text frame.
const TEXT: u8 = 0x81;
/// Bytes before a text, at most.
const MAX_FRAME_HEADER: usize = 10;
/// A ping without anything.
const PING: [u8; 2] = [0x89, 0];

/// A WebSocket over a stream, on the server's side.
pub struct Wire<S> {
    stream: S,
    protocol: WebSocketContext,
    limit: usize,
    /// It sends what cannot be understood: nothing more of it is.
    broken: bool,
    out: Vec<u8>,
    /// Bytes of `out` that are written already.
    written: usize,
}

/// What comes from the other side.
#[derive(Debug)]
pub enum Frame {
    Text(Utf8Bytes),
    /// Something that says no more than that it is there.
    Control,
    /// It closes; the answer is in the buffer.
    Close,
    /// It cannot be understood.
    Invalid(CloseReason),
    /// Nothing comes any more.
    Disconnected,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// With a limit of bytes for each message.
    pub fn new(stream: S, limit: usize) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(0)
            .max_message_size(Some(limit))
            .max_frame_size(Some(limit));
        let protocol = WebSocketContext::new(Role::Server, Some(config));
        Wire { stream, protocol, limit, broken: false, out: Vec::new(), written: 0 }
    }

    /// Bytes that wait to be written.
    pub fn pending_bytes(&self) -> usize {
        self.out.len() - self.written
    }

    /// There will be texts of so many bytes together.
    pub fn reserve(&mut self, texts: usize, bytes: usize) {
        self.out.reserve(bytes + texts * MAX_FRAME_HEADER);
    }

    /// Sends a text that stands in several pieces.
    pub fn send(&mut self, pieces: &[&[u8]]) {
        if !self.protocol.can_write() {
            return;
        }
        let length = pieces.iter().map(|piece| piece.len()).sum::<usize>();
        self.out.reserve(length + MAX_FRAME_HEADER);
        self.out.push(TEXT);
        match (u8::try_from(length), u16::try_from(length)) {
            (Ok(short @ 0..=125), _) => self.out.push(short),
            (_, Ok(middle)) => {
                self.out.push(126);
                self.out.extend(middle.to_be_bytes());
            }
            _ => {
                self.out.push(127);
                self.out.extend((length as u64).to_be_bytes());
            }
        }
        for piece in pieces {
            self.out.extend_from_slice(piece);
        }
    }

    /// Asks for a sign of life.
    pub fn ping(&mut self) {
        if self.protocol.can_write() {
            self.out.extend(PING);
        }
    }

    /// Says that no more is sent, and why.
    pub fn close(&mut self, why: &CloseReason) {
        let frame = CloseFrame { code: CloseCode::from(why.code()), reason: why.reason().into() };
        // It goes into the buffer, where nothing can go wrong.
        let _ = self.protocol.close(&mut Buffer(&mut self.out), Some(frame));
    }

    /// The next thing that comes.
    pub fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Frame> {
        let mut bridge = Bridge { stream: &mut self.stream, out: &mut self.out, context };
        if self.broken {
            return bridge.drain();
        }
        let came = match self.protocol.read(&mut bridge) {
            Ok(Message::Text(text)) => Frame::Text(text),
            Ok(Message::Binary(_)) => Frame::Invalid(CloseReason::NotText),
            Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => Frame::Control,
            Ok(Message::Close(_)) => {
                // The answer to it waits within; an error says that all is said now.
                let _ = self.protocol.flush(&mut Buffer(&mut self.out));
                Frame::Close
            }
            Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => return Poll::Pending,
            Err(Error::Capacity(CapacityError::MessageTooLong { .. })) => {
                Frame::Invalid(CloseReason::MessageTooBig(self.limit))
            }
            Err(Error::Utf8(_)) => Frame::Invalid(CloseReason::InvalidUtf8),
            Err(Error::Protocol(tungstenite::error::ProtocolError::ResetWithoutClosingHandshake)) => {
                Frame::Disconnected
            }
            Err(Error::Protocol(_)) => Frame::Invalid(CloseReason::ProtocolError),
            Err(_) => Frame::Disconnected,
        };
        self.broken = matches!(&came, Frame::Invalid(why) if *why != CloseReason::NotText);
        Poll::Ready(came)
    }

    /// Writes what waits; the number of bytes, 0 if none wait.
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

    /// Ends the stream.
    pub fn poll_shutdown(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// How tungstenite sees the stream: what it writes goes into the buffer, in order with what we write.
struct Bridge<'a, 'b, S> {
    stream: &'a mut S,
    out: &'a mut Vec<u8>,
    context: &'a mut Context<'b>,
}

impl<S: AsyncRead + Unpin> Bridge<'_, '_, S> {
    // What comes is read and forgotten: a stream that ends with bytes unread loses those that are on their way.
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

/// The buffer alone, where nothing is to be read.
struct Buffer<'a>(&'a mut Vec<u8>);

impl Read for Buffer<'_> {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(ErrorKind::WouldBlock.into())
    }
}

impl Write for Buffer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
