//! Writes rows of the second database in the text format of PostgreSQL's `COPY` (<https://www.postgresql.org/docs/current/sql-copy.html>).

use crate::store::StoreError;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use std::io::Write;
use tokio::sync::mpsc::Sender;
use uuid::Uuid;

/// The size at which a chunk is sent.
const CHUNK_BYTES: usize = 256 * 1024;

/// Some complete rows.
#[derive(Debug, Default)]
pub struct CopyChunk {
    pub text: Vec<u8>,
    pub rows: u64,
}

/// Sends all rows of a query in chunks until the receiver is dropped. Blocks.
pub fn send_copy_text(path: &str, query: &str, to: &Sender<CopyChunk>) -> Result<(), StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    let mut statement = connection.prepare(query)?;
    let columns = statement.column_count();
    let mut rows = statement.query([])?;
    let mut chunk = CopyChunk::default();
    while let Some(row) = rows.next()? {
        for column in 0..columns {
            if column > 0 {
                chunk.text.push(b'\t');
            }
            write_value(row.get_ref(column)?, &mut chunk.text);
        }
        chunk.text.push(b'\n');
        chunk.rows += 1;
        if chunk.text.len() >= CHUNK_BYTES && to.blocking_send(std::mem::take(&mut chunk)).is_err() {
            return Ok(());
        }
    }
    if chunk.rows > 0 {
        let _ = to.blocking_send(chunk);
    }
    Ok(())
}

// Blobs of 16 bytes are UUIDs. Booleans are 0 and 1.
fn write_value(value: ValueRef<'_>, out: &mut Vec<u8>) {
    match value {
        ValueRef::Null => out.extend_from_slice(b"\\N"),
        ValueRef::Integer(number) => _ = write!(out, "{number}"),
        ValueRef::Real(number) => _ = write!(out, "{number}"),
        ValueRef::Text(text) => escape(text, out),
        ValueRef::Blob(bytes) => match Uuid::from_slice(bytes) {
            Ok(id) => out.extend_from_slice(id.hyphenated().encode_lower(&mut Uuid::encode_buffer()).as_bytes()),
            Err(_) => out.extend_from_slice(hex::encode(bytes).as_bytes()),
        },
    }
}

fn escape(mut text: &[u8], out: &mut Vec<u8>) {
    while let Some(at) = text.iter().position(|byte| matches!(byte, b'\\' | b'\n' | b'\r' | b'\t')) {
        let (plain, rest) = text.split_at(at);
        out.extend_from_slice(plain);
        let Some((special, rest)) = rest.split_first() else { return };
        let word: &[u8] = match special {
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            _ => b"\\\\",
        };
        out.extend_from_slice(word);
        text = rest;
    }
    out.extend_from_slice(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_written_as_copy_reads_them() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("rows.db");
        let db = Connection::open(&path).expect("a database");
        db.execute_batch(
            "CREATE TABLE t (a, b, c); INSERT INTO t VALUES (1, NULL, char(9, 92, 10, 13, 120)), \
             (-2, x'00112233445566778899aabbccddeeff', '')",
        )
        .expect("rows");
        let (send, mut chunks) = tokio::sync::mpsc::channel(1);
        send_copy_text(path.to_str().expect("a path"), "SELECT a, b, c FROM t", &send).expect("written");
        let chunk = chunks.try_recv().expect("a chunk");
        let text = b"1\t\\N\t\\t\\\\\\n\\rx\n-2\t00112233-4455-6677-8899-aabbccddeeff\t\n".as_slice();
        assert_eq!((chunk.rows, chunk.text.as_slice()), (2, text));
    }
}
