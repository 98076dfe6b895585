//! What a trusted proxy says of its users: `[[proxy_grants]]` is what their groups may do.

use super::access_reader::{self, AccessReader};
use super::file::FileValue;
use super::loader::{Loader, Reported};
use super::source::source_names;
use super::table::{PROXY_GRANT_SETTINGS, Settings};
use crate::access::View;

/// What each group may do.
pub fn read_proxy_grants(loader: &mut Loader<'_>, file: &FileValue<'_>) -> Vec<(String, View)> {
    let sources = source_names(file);
    let tables = access_reader::tables(loader, file, "proxy_grants");
    let read = |table: &FileValue<'_>| -> Result<(String, View), Reported> {
        let mut reader = AccessReader { loader, table, sources: &sources };
        reader.report_unknown(PROXY_GRANT_SETTINGS);
        let group = reader.required("group", "write the name of a group, or \"*\" for every user");
        let view = reader.view();
        Ok((group?, view?))
    };
    tables.iter().map(read).filter_map(Result::ok).collect()
}

/// The settings about proxies need each other: alone, they have no effect.
pub fn check_proxy(loader: &mut Loader<'_>, settings: &Settings) {
    let (header, has_grants) = (settings.proxy_user_header.is_some(), !settings.proxy_grants.is_empty());
    for (is_missing, warning) in [
        (!header && has_grants, "[[proxy_grants]] has no effect without proxy_user_header"),
        (
            !header && settings.proxy_groups_header.is_some(),
            "proxy_groups_header has no effect without proxy_user_header",
        ),
        (header && settings.trusted_proxies.is_empty(), "proxy_user_header has no effect without trusted_proxies"),
        (header && !has_grants, "proxy_user_header gives users no rights without [[proxy_grants]]"),
    ] {
        if is_missing {
            loader.warnings.push(warning.to_owned());
        }
    }
}
