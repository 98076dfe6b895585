//! The settings of the hub that is measured: five sources, each verified the strongest way that its vendor offers.

use inspection_hub::settings::{SettingFlags, Settings};

/// The settings file.
pub const FILE: &str = r#"
[sources.truepic]
public_url = "https://hub.example/webhooks/truepic"
[[sources.truepic.verify]]
scheme = "signature"
secrets = ["2f1b7c0a94d84e6f"]

[sources.pave]
[[sources.pave.verify]]
scheme = "bearer"
secrets = ["nV7wq2Yb1sJ0xKcR5tGd8uHe3oLf6pMa"]

[sources.hover]
[[sources.hover.verify]]
scheme = "signature"
secrets = ["5d3c9e7a1f6b4820"]

[sources.truto]
[[sources.truto.verify]]
scheme = "signature"
secrets = ["c8a6e4f2b0d91735"]

[sources.record360]
[[sources.record360.verify]]
scheme = "basic"
username = "record360"
secrets = ["yT4zQ9mW2kXv"]
"#;

/// Settings for a hub on this database and any free port.
pub fn settings(database: &str) -> anyhow::Result<Settings> {
    let flags = SettingFlags::default().with("listen", "127.0.0.1:0").with("database", database);
    let (settings, _) =
        Settings::load(&flags, [], &|_| Ok(FILE.to_owned())).map_err(|problems| anyhow::anyhow!("{problems}"))?;
    Ok(settings)
}
