//! API keys for tests: in the settings, or in the database by the command line.

use crate::database::TestDatabase;
use crate::test_hub::{TestHub, TestResponse, send_request};
use inspection_hub::access::ApiKeyToken;
use serde_json::json;
use std::process::{Command, Output};

/// A key of the settings, and the table that adds it to them. More lines of the table in `more`.
pub fn settings_key(scopes: &str, more: &str) -> (String, String) {
    let token = ApiKeyToken::generate().expect("random numbers");
    let (id, digest) = (token.id, token.digest());
    let scopes = serde_json::Value::from(scopes.split(' ').collect::<Vec<_>>());
    let table = format!(
        "\n[[api_keys]]\nid = \"{id}\"\nname = \"test\"\nhash = \"sha256:{digest}\"\nscopes = {scopes}\n{more}\n"
    );
    (token.reveal(), table)
}

/// Runs `inspection-hub keys` on a database.
pub async fn keys(database: &TestDatabase, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_inspection-hub"));
    command.arg("keys").args(arguments).args(["--database", &database.address]).current_dir(database.folder.path());
    tokio::task::spawn_blocking(move || command.output().expect("it runs")).await.expect("it ran")
}

/// Creates a key, and returns it with its id.
pub async fn create_key(database: &TestDatabase, arguments: &[&str]) -> (String, String) {
    new_key(&keys(database, &[&["create", "--name", "test"], arguments].concat()).await)
}

/// The key that a command printed, with its id.
pub fn new_key(output: &Output) -> (String, String) {
    assert!(output.status.success(), "{output:?}");
    let printed = String::from_utf8(output.stdout.clone()).expect("text");
    let token = printed.strip_suffix('\n').expect("a line").to_owned();
    let id = token.parse::<ApiKeyToken>().expect("nothing but a key").id.to_string();
    (token, id)
}

/// A query with this key.
pub async fn query_with_key(app: &TestHub, token: &str, query: &str) -> TestResponse {
    send_request(app.client.post(app.url("/graphql")).bearer_auth(token).json(&json!({ "query": query }))).await
}

/// Whether a hub accepts this key now.
pub async fn is_accepted(app: &TestHub, token: &str) -> bool {
    query_with_key(app, token, "{ __typename }").await.status == 200
}
