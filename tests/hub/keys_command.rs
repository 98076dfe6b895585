//! `inspection-hub keys`: what it prints, and to whom; what it refuses; and that maintenance leaves the keys alone.

use crate::database::TestDatabase;
use crate::test_hub::{TestHub, wait_until};
use crate::test_keys::{create_key, is_accepted, keys, new_key};
use inspection_hub::access::ApiKeyToken;
use std::process::{Command, Output};

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text")
}

fn stderr(output: &Output) -> String {
    text(&output.stderr).to_owned()
}

async fn list(database: &TestDatabase, arguments: &[&str]) -> Vec<Vec<String>> {
    let listed = keys(database, &[&["list"], arguments].concat()).await;
    assert!(listed.status.success() && listed.stderr.is_empty(), "{listed:?}");
    let row = |line: &str| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).map(str::to_owned).collect();
    text(&listed.stdout).lines().map(row).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_printed_once_and_listed_without_its_secret() {
    let database = TestDatabase::new().await;
    let arguments = [
        "create",
        "--name",
        "claims app",
        "--scope",
        "read:personal",
        "--scope",
        "read",
        "--source",
        "pave",
        "--source",
    ];
    let created = keys(&database, &[&arguments[..], &["hover", "--expires", "90d"]].concat()).await;
    let (token, id) = new_key(&created);
    let about = stderr(&created);
    assert!(about.contains(&format!("{id} (claims app): read read:personal; hover, pave; expires 2")), "{about}");
    let secret = token.rsplit_once('_').expect("a secret").1;
    assert!(!about.contains(secret), "{about}");
    let rows = list(&database, &[]).await;
    assert_eq!(rows[0], ["ID", "NAME", "SCOPES", "SOURCES", "CREATED", "EXPIRES", "LAST USED", "REVOKED"]);
    assert_eq!(rows[1][..4], [id.as_str(), "claims app", "read,read:personal", "hover,pave"]);
    assert_eq!((rows.len(), &rows[1][6..]), (2, &["-".to_owned(), "-".to_owned()][..]));

    let rotated = keys(&database, &["rotate", &id]).await;
    let (other, other_id) = new_key(&rotated);
    assert_ne!(other, token);
    assert!(stderr(&rotated).contains(&format!("The API key {id} expires 2")), "{rotated:?}");
    let rows = list(&database, &[]).await;
    assert_eq!(rows[2][..4], [other_id.as_str(), "claims app", "read,read:personal", "hover,pave"]);
    // 90 days are longer than the overlap.
    assert!(rows[1][5] < rows[2][5], "{rows:?}");

    for _ in 0..2 {
        let revoked = keys(&database, &["revoke", &id]).await;
        assert!(
            revoked.status.success() && stderr(&revoked).contains("(claims app) is revoked since 2"),
            "{revoked:?}"
        );
    }
    let ids = |rows: &[Vec<String>]| rows.iter().skip(1).map(|row| row[0].clone()).collect::<Vec<_>>();
    assert_eq!(ids(&list(&database, &[]).await), [other_id.as_str()]);
    let all = list(&database, &["--all"]).await;
    assert_eq!(ids(&all), [id.as_str(), &other_id]);
    assert!(all[1][7].starts_with('2'), "{all:?}");
    let again = keys(&database, &["rotate", &id]).await;
    assert!(!again.status.success() && stderr(&again).contains(&format!("the API key {id} is revoked")), "{again:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_for_the_settings_is_stored_nowhere_else() {
    let database = TestDatabase::new().await;
    let arguments = ["create", "--name", "from \"git\"", "--scope", "read", "--source", "pave", "--expires"];
    let created = keys(&database, &[&arguments[..], &["2999-01-31T00:00:00+01:00", "--print-settings"]].concat()).await;
    let (token, id) = new_key(&created);
    let printed = stderr(&created);
    let (_, table) = printed.split_once("[[api_keys]]").expect("a table");
    let table = format!("[[api_keys]]{}", table.split_once("\n\n").expect("its end").0);
    assert!(table.contains("expires = 2999-01-30T23:00:00Z") && table.contains(&id), "{table}");
    let app = TestHub::with(&table).await;
    assert!(is_accepted(&app, &token).await);
    std::fs::write(app.database.folder.path().join("inspection-hub.toml"), &table).expect("written");
    let rows = list(&app.database, &[]).await;
    assert_eq!(rows[1][..5], [id.as_str(), "from \"git\"", "read", "pave", "in settings"]);
    for command in ["rotate", "revoke"] {
        let refused = keys(&app.database, &[command, &id]).await;
        assert!(!refused.status.success() && stderr(&refused).contains("is in the settings file"), "{refused:?}");
    }
    assert!(is_accepted(&app, &token).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mistakes_are_explained_and_change_nothing() {
    let database = TestDatabase::new().await;
    let (token, id) = create_key(&database, &["--scope", "read"]).await;
    let secret = token.rsplit_once('_').expect("a secret").1;
    let long = "x".repeat(101);
    let create: &[&str] = &["create", "--name", "n", "--scope", "read"];
    for (arguments, expected) in [
        (&["create", "--scope", "read"][..], "--name"),
        (&["create", "--name", "n"], "--scope"),
        (&["create", "--name", "", "--scope", "read"], "a name has 1 to 100 characters"),
        (&["create", "--name", " n", "--scope", "read"], "a name has 1 to 100 characters"),
        (&["create", "--name", "a\nb", "--scope", "read"], "a name has 1 to 100 characters"),
        (&["create", "--name", &long, "--scope", "read"], "a name has 1 to 100 characters"),
        (&["create", "--name", "n", "--scope", "raed"], "did you mean read?"),
        (&["create", "--name", "n", "--scope", ""], "is not a scope"),
        (&["create", "--name", "n", "--scope", "read,operate"], "is not a scope"),
        (&["create", "--name", "n", "--scope", "READ"], "is not a scope"),
        (&[create, &["--source", "pav"]].concat(), "did you mean pave?"),
        (&[create, &["--source", ""]].concat(), "is not a source of the settings"),
        (&[create, &["--expires", "soon"]].concat(), "neither a duration nor a time"),
        (&[create, &["--expires", "0d"]].concat(), "neither a duration nor a time"),
        (&[create, &["--expires=-1d"]].concat(), "neither a duration nor a time"),
        (&[create, &["--expires", "99999999999d"]].concat(), "neither a duration nor a time"),
        (&[create, &["--expires", "2020-01-31T00:00:00Z"]].concat(), "is in the past"),
        (&[create, &["--expires", "2999-01-31T00:00:00"]].concat(), "neither a duration nor a time"),
        (&[create, &["--expires", "2999-01-31"]].concat(), "neither a duration nor a time"),
        (&[create, &["more"]].concat(), "unexpected argument"),
        (&["rotate"], "<ID>"),
        (&["rotate", "x"], "12 hexadecimal digits"),
        (&["rotate", "000000000000"], "there is no API key 000000000000"),
        (&["rotate", &token], "12 hexadecimal digits"),
        (
            &["rotate", &id.to_uppercase(), "--overlap", "1h"],
            if id == id.to_uppercase() { "" } else { "12 hexadecimal" },
        ),
        (&["rotate", &id, "--overlap", "0s"], "not a duration"),
        (&["rotate", &id, "--overlap", "day"], "not a duration"),
        (&["rotate", &id, "--expires", "yesterday"], "neither a duration nor a time"),
        (&["revoke"], "<ID>"),
        (&["revoke", ""], "12 hexadecimal digits"),
        (&["revoke", "000000000000"], "there is no API key 000000000000"),
        (&["revoke", &token], "12 hexadecimal digits"),
        (&["revoke", &id, &id], "unexpected argument"),
        (&["list", "more"], "unexpected argument"),
        (&[], "Usage:"),
        (&["crate"], "create"),
    ] {
        let refused = keys(&database, arguments).await;
        let printed = stderr(&refused);
        assert!(!refused.status.success() && refused.stdout.is_empty(), "{arguments:?}: {refused:?}");
        assert!(printed.contains(expected), "{arguments:?}: {printed}");
        assert!(!printed.contains(secret), "{arguments:?}");
    }
    assert_eq!(list(&database, &["--all"]).await.len(), 2);
    let missing = TestDatabase::file();
    for arguments in [&["list"][..], &["revoke", &id], &["rotate", &id]] {
        let refused = keys(&missing, arguments).await;
        assert!(!refused.status.success() && refused.stdout.is_empty(), "{refused:?}");
        assert!(!missing.is_file(), "a database is not created by {arguments:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_has_examples() {
    for command in ["create", "list", "rotate", "revoke"] {
        let mut help = Command::new(env!("CARGO_BIN_EXE_inspection-hub"));
        let help = help.args(["keys", command, "--help"]).output().expect("it runs");
        let printed = text(&help.stdout);
        assert!(printed.contains(&format!("Examples:\n  inspection-hub keys {command}")), "{printed}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn maintenance_leaves_the_keys_alone() {
    let app = TestHub::start().await;
    app.receive("pave/session-status-change-started.json").await;
    let (token, id) = create_key(&app.database, &["--scope", "read"]).await;
    let (revoked, revoked_id) = create_key(&app.database, &["--scope", "read"]).await;
    assert!(keys(&app.database, &["revoke", &revoked_id]).await.status.success());
    let before = list(&app.database, &["--all"]).await;
    for arguments in [&["verify"][..], &["rebuild", "--full"], &["purge", "--older-than", "1h"], &["migrate"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_inspection-hub"));
        command.args(arguments).args(["--log", "warn", "--database", &app.database.address]);
        let output = command.current_dir(app.database.folder.path()).output().expect("it runs");
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        let after = list(&app.database, &["--all"]).await;
        let without_use = |rows: &[Vec<String>]| {
            let columns = |row: &Vec<String>| [&row[..6], &row[7..]].concat();
            rows.iter().map(columns).collect::<Vec<_>>()
        };
        assert_eq!(without_use(&after), without_use(&before), "{arguments:?}");
    }
    wait_until("the key is accepted", async || is_accepted(&app, &token).await).await;
    let app = app.restart().await;
    assert!(is_accepted(&app, &token).await && !is_accepted(&app, &revoked).await);
    assert_eq!(token.parse::<ApiKeyToken>().expect("a key").id.to_string(), id);
}
