use super::*;
use crate::database::TestDatabase;
use crate::store::connect::DatabaseAddress;
use crate::store::{Database, OpenMode};
use sea_orm::{ConnectionTrait, Statement};

// It takes 100 ms and more to compile a statement, and statements here are short.
#[test]
fn no_connection_compiles_its_statements() {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let database = runtime.block_on(TestDatabase::new());
    let db = runtime.block_on(Database::open(&database.address, OpenMode::Migrate)).expect("a database");
    let DatabaseAddress::Postgres(options) = &db.address else {
        return crate::skip::skip("needs PostgreSQL: SQLite compiles nothing");
    };
    let mut writer = PostgresWriteConnection::open(options, db.pool_settings).expect("a connection");
    writer.begin(None).expect("begun");
    let show = "SHOW jit";
    let of_writer: String = writer
        .with_connection(async |connection| sqlx::query_scalar(show).fetch_one(connection).await)
        .expect("a setting");
    let [of_readers, of_write_pool] =
        runtime.block_on(async { [setting(&db.read_pool, show).await, setting(&db.write_pool, show).await] });
    assert_eq!([of_writer, of_readers, of_write_pool], ["off", "off", "off"]);
}

async fn setting(pool: &impl ConnectionTrait, show: &str) -> String {
    let row = pool.query_one_raw(Statement::from_string(pool.get_database_backend(), show)).await;
    row.expect("a response").expect("a row").try_get_by_index(0).expect("a setting")
}
