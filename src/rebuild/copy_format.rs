//! Rows of the second database as PostgreSQL's `COPY` reads and prints them (<https://www.postgresql.org/docs/current/sql-copy.html>).

use crate::store::StoreError;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use std::io::Write;
use tokio::sync::mpsc::Sender;
use uuid::Uuid;

/// How long a part becomes, in bytes.
const CHUNK_BYTES: usize = 256 * 1024;

/// Some whole rows.
#[derive(Debug, Default)]
pub struct CopyChunk {
    pub text: Vec<u8>,
    pub rows: u64,
}

/// Sends all rows that a query answers, part by part, as long as somebody takes them. It blocks meanwhile.
///
/// # Errors
/// If the file cannot be read.
pub fn send_copy_text(path: &str, query: &str, to: &Sender<CopyChunk>) -> Result<(), StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    let mut statement = connection.prepare(query)?;
    let columns = statement.column_count();
    let mut rows = statement.query([])?;
    let mut part = CopyChunk::default();
    while let Some(row) = rows.next()? {
        for column in 0..columns {
            if column > 0 {
                part.text.push(b'\t');
            }
            write_value(row.get_ref(column)?, &mut part.text);
        }
        part.text.push(b'\n');
        part.rows += 1;
        if part.text.len() >= CHUNK_BYTES && to.blocking_send(std::mem::take(&mut part)).is_err() {
            return Ok(());
        }
    }
    if part.rows > 0 {
        let _ = to.blocking_send(part);
    }
    Ok(())
}

// Bytes are UUIDs only. Yes and no are 1 and 0.
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
    fn rows_are_printed_as_copy_reads_them() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("rows.db");
        let db = Connection::open(&path).expect("a database");
        db.execute_batch(
            "CREATE TABLE t (a, b, c); INSERT INTO t VALUES (1, NULL, char(9, 92, 10, 13, 120)), \
             (-2, x'00112233445566778899aabbccddeeff', '')",
        )
        .expect("rows");
        let (send, mut parts) = tokio::sync::mpsc::channel(1);
        send_copy_text(path.to_str().expect("a path"), "SELECT a, b, c FROM t", &send).expect("printed");
        let part = parts.try_recv().expect("a part");
        let text = b"1\t\\N\t\\t\\\\\\n\\rx\n-2\t00112233-4455-6677-8899-aabbccddeeff\t\n".as_slice();
        assert_eq!((part.rows, part.text.as_slice()), (2, text));
    }
}
