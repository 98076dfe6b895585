//! Finds the rows that differ between PostgreSQL and a SQLite file: both write their rows in `COPY`'s text format, in the
//! order of the key, and lines are compared instead of values.

use super::derived_tables::DerivedTable;
use crate::rebuild::copy_format::send_copy_text;
use crate::store::{Database, StoreError};
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use sea_orm::sea_query::ColumnType;
use sea_orm::sqlx::pool::PoolConnection;
use sea_orm::sqlx::{self, AssertSqlSafe, Postgres};
use sea_orm::{ColumnTrait, ConnectionTrait, DatabaseTransaction, DbBackend, IdenStatic, Iterable, Statement};
use std::cmp::Ordering;
use std::pin::Pin;
use tokio::sync::mpsc;

/// Chunks that are read ahead of the comparison.
const CHUNKS_AHEAD: usize = 2;

/// A connection with the snapshot of another one.
#[derive(Debug)]
pub struct SnapshotConnection(PoolConnection<Postgres>);

impl SnapshotConnection {
    /// Opens it (<https://www.postgresql.org/docs/current/sql-set-transaction.html>).
    pub async fn open(db: &Database, at: &DatabaseTransaction) -> Result<SnapshotConnection, StoreError> {
        let exported = Statement::from_string(DbBackend::Postgres, "SELECT pg_export_snapshot() AS snapshot");
        let exported = at.query_one_raw(exported).await?;
        let exported = exported.ok_or_else(|| StoreError::Corrupt("there is no snapshot".into()))?;
        let snapshot: String = exported.try_get("", "snapshot")?;
        // The pool closes with its only connection.
        let mut connection = db.maintenance_connection().await?.get_postgres_connection_pool().acquire().await?;
        let begin = format!("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT '{snapshot}'");
        // The server has generated the snapshot's name.
        sqlx::raw_sql(AssertSqlSafe(begin)).execute(&mut *connection).await?;
        Ok(SnapshotConnection(connection))
    }

    /// The leading keys of the rows whose text differs between PostgreSQL and the file, in order; and the number of rows in
    /// the file.
    pub async fn differing_keys<T: DerivedTable>(&mut self, file: &str) -> Result<(Vec<i64>, u64), StoreError> {
        let key = T::PrimaryKey::iter().map(|column| column.as_str()).collect::<Vec<_>>();
        let others = || {
            T::Column::iter()
                .filter(|column| !T::NOT_DERIVED.contains(&column.as_str()) && !key.contains(&column.as_str()))
        };
        let rows = |columns: Vec<String>| {
            format!("SELECT {}, {} FROM {} ORDER BY {}", key.join(", "), columns.join(", "), T::NAME, key.join(", "))
        };
        let theirs = rows(others().map(|column| column.as_str().to_owned()).collect());
        let ours = rows(others().map(|column| as_sqlite_text(&column)).collect());
        let ours = self.0.copy_out_raw(&format!("COPY ({ours}) TO STDOUT")).await?;
        let mut ours = LineReader::of(ours.map(|part| part.map_err(StoreError::from)));

        let (send, mut chunks) = mpsc::channel(CHUNKS_AHEAD);
        let file = file.to_owned();
        let reader = tokio::task::spawn_blocking(move || send_copy_text(&file, &theirs, &send));
        let chunks = futures_util::stream::poll_fn(move |context| chunks.poll_recv(context));
        let mut theirs = LineReader::of(chunks.map(|chunk| Ok(Bytes::from(chunk.text))));

        let differing = diff_lines(&mut ours, &mut theirs).await?;
        reader.await.map_err(|error| StoreError::task("reading the second database", error))??;
        Ok((differing, theirs.lines_read))
    }
}

// As the SQLite file has it.
fn as_sqlite_text<C: ColumnTrait>(column: &C) -> String {
    match column.def().get_column_type() {
        ColumnType::Boolean => format!("{}::int", column.as_str()),
        _ => column.as_str().to_owned(),
    }
}

async fn diff_lines(ours: &mut LineReader<'_>, theirs: &mut LineReader<'_>) -> Result<Vec<i64>, StoreError> {
    let mut differing = Vec::new();
    let (mut one, mut other) = (ours.next().await?, theirs.next().await?);
    loop {
        let order = match (&one, &other) {
            (None, None) => break,
            (Some(one), Some(other)) if one == other => None,
            (one, other) => {
                let (one, other) =
                    (one.as_ref().map(leading_key).transpose()?, other.as_ref().map(leading_key).transpose()?);
                // A side that has ended sorts last.
                let order = (one.is_none(), one).cmp(&(other.is_none(), other));
                differing.extend(if order.is_gt() { other } else { one });
                Some(order)
            }
        };
        if order != Some(Ordering::Greater) {
            one = ours.next().await?;
        }
        if order != Some(Ordering::Less) {
            other = theirs.next().await?;
        }
    }
    differing.dedup();
    Ok(differing)
}

// The integer that a line begins with.
fn leading_key(line: &Bytes) -> Result<i64, StoreError> {
    let key = line.split(|byte| *byte == b'\t').next().and_then(|key| str::from_utf8(key).ok()?.parse().ok());
    key.ok_or_else(|| StoreError::Corrupt("a row does not begin with an integer".to_owned()))
}

/// Splits a stream of chunks into lines, wherever the chunks end.
struct LineReader<'a> {
    chunks: Pin<Box<dyn Stream<Item = Result<Bytes, StoreError>> + Send + 'a>>,
    buffer: Bytes,
    lines_read: u64,
}

impl<'a> LineReader<'a> {
    fn of(parts: impl Stream<Item = Result<Bytes, StoreError>> + Send + 'a) -> Self {
        LineReader { chunks: Box::pin(parts), buffer: Bytes::new(), lines_read: 0 }
    }

    async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                self.lines_read += 1;
                return Ok(Some(self.buffer.split_to(end + 1)));
            }
            let Some(more) = self.chunks.next().await.transpose()? else { return Ok(None) };
            self.buffer = match self.buffer.is_empty() {
                true => more,
                false => {
                    [std::mem::take(&mut self.buffer), more].iter().flatten().copied().collect::<BytesMut>().freeze()
                }
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn differing(ours: &[&'static str], theirs: &[&'static str]) -> (Vec<i64>, u64) {
        let lines = |parts: &[&'static str]| {
            let parts: Vec<_> = parts.iter().map(|part| Ok(Bytes::from_static(part.as_bytes()))).collect();
            LineReader::of(futures_util::stream::iter(parts))
        };
        let mut theirs = lines(theirs);
        (diff_lines(&mut lines(ours), &mut theirs).await.expect("compared"), theirs.lines_read)
    }

    #[tokio::test]
    async fn chunks_may_end_anywhere_in_a_line() {
        assert_eq!(differing(&["1\ta\n2\tb\n"], &["1\t", "a\n2", "\tb\n"]).await, (vec![], 2));
        assert_eq!(differing(&["1\ta\n2\tb\n3\tc\n"], &["1\ta\n2\tx\n3\tc\n"]).await, (vec![2], 3));
        assert_eq!(differing(&["2\tb\n", "9\tc\n"], &["1\ta\n2\tb\n10\tc\n"]).await, (vec![1, 9, 10], 3));
        assert_eq!(differing(&[], &["-1\ta\n-1\tb\n"]).await, (vec![-1], 2));
        assert_eq!(differing(&["5\ta\n5\tb\n5\tc\n6\td\n"], &["5\tb\n5\tc\n6\td\n"]).await, (vec![5], 3));
    }
}
