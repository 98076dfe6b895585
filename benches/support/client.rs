//! One HTTP/1.1 connection that is kept open, with one request in flight. It parses as little of a response as
//! possible, because it runs on the cores that it measures.

use anyhow::{Context, ensure};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub struct Connection {
    stream: TcpStream,
    answer: Vec<u8>,
}

/// The head of a response.
struct Head {
    status: u16,
    /// Where the body begins and ends.
    body: usize,
    end: usize,
}

impl Connection {
    pub async fn open(address: SocketAddr) -> anyhow::Result<Connection> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Connection { stream, answer: Vec::with_capacity(4096) })
    }

    /// Sends a request and reads the whole response; its body.
    ///
    /// # Errors
    /// Also if the status is not 200.
    pub async fn ask(&mut self, request: &[u8]) -> anyhow::Result<&[u8]> {
        let (status, body) = self.exchange(request).await?;
        ensure!(status == 200, "an answer other than 200: {status}\n{}", String::from_utf8_lossy(body));
        Ok(body)
    }

    /// The same for any status: the status and the body.
    pub async fn exchange(&mut self, request: &[u8]) -> anyhow::Result<(u16, &[u8])> {
        self.stream.write_all(request).await?;
        self.answer.clear();
        let head = loop {
            let read = self.stream.read_buf(&mut self.answer).await?;
            ensure!(read > 0, "the connection was closed instead of an answer");
            match Head::of(&self.answer)? {
                Some(head) if self.answer.len() >= head.end => break head,
                _ => {}
            }
        };
        Ok((head.status, &self.answer[head.body..head.end]))
    }

    /// `GET` this path.
    pub async fn get(&mut self, path: &str) -> anyhow::Result<&[u8]> {
        self.ask(format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").as_bytes()).await
    }
}

impl Head {
    /// `None` while it is incomplete.
    fn of(answer: &[u8]) -> anyhow::Result<Option<Head>> {
        let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
        let head = std::str::from_utf8(&answer[..end])?;
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).context("an answer without a status")?;
        let length = lines.find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim())
        });
        let length: usize = length.context("an answer without a length")?.parse()?;
        Ok(Some(Head { status: status.parse()?, body: end + 4, end: end + 4 + length }))
    }
}
