//! What the groups of a person allow together.

use super::{Scopes, View};
use std::collections::BTreeMap;

impl View {
    /// What all of these allow together. A view has one list of sources for all its scopes. So where two of them allow different
    /// scopes for different sources, the result has all those sources and only the scopes that each of them has: never more for a
    /// source than was granted for it.
    pub fn combined<'a>(views: impl IntoIterator<Item = &'a View>) -> View {
        let (mut of_all, mut has_all) = (Scopes::NONE, false);
        let mut limited: Vec<&View> = Vec::new();
        for view in views {
            match view.sources() {
                None => (of_all, has_all) = (of_all.union(view.scopes()), true),
                Some(_) => limited.push(view),
            }
        }
        if has_all {
            return View::new(of_all, None);
        }
        let mut by_source: BTreeMap<&str, Scopes> = BTreeMap::new();
        for view in limited {
            for source in view.sources().unwrap_or_default() {
                let scopes = by_source.entry(source).or_default();
                *scopes = scopes.union(view.scopes());
            }
        }
        let scopes = by_source.values().copied().reduce(Scopes::intersection).unwrap_or_default();
        View::new(scopes, Some(by_source.into_keys().map(str::to_owned).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SOURCES: [&str; 3] = ["lot", "roof", "yard"];

    fn view(scopes: &str, sources: Option<&[&str]>) -> View {
        let sources = sources.map(|sources| sources.iter().map(|source| (*source).to_owned()).collect());
        View::new(scopes.parse().expect("scopes"), sources)
    }

    #[test]
    fn groups_add_up() {
        for (views, expected) in [
            (vec![], view("", Some(&[]))),
            (vec![view("read", None)], view("read", None)),
            (vec![view("read", None), view("operate", None)], view("read operate", None)),
            (vec![view("read", Some(&["lot"])), view("read", Some(&["yard"]))], view("read", Some(&["lot", "yard"]))),
            (vec![view("read", Some(&["lot"])), view("operate", Some(&["lot"]))], view("read operate", Some(&["lot"]))),
            // To operate one source does not allow it for the other.
            (
                vec![view("read operate", Some(&["lot"])), view("read", Some(&["yard"]))],
                view("read", Some(&["lot", "yard"])),
            ),
            (vec![view("read", None), view("operate", Some(&["lot"]))], view("read", None)),
        ] {
            assert_eq!(View::combined(&views), expected, "{views:?}");
        }
    }

    fn any_view() -> impl Strategy<Value = View> {
        let sources = proptest::option::of(proptest::sample::subsequence(&SOURCES[..], 0..=3));
        (proptest::sample::subsequence(entity::Scope::ALL, 0..=6), sources).prop_map(|(scopes, sources)| {
            let sources = sources.map(|sources| sources.into_iter().map(str::to_owned).collect());
            View::new(scopes.into_iter().collect(), sources)
        })
    }

    proptest! {
        #[test]
        fn together_they_never_allow_more_than_one_by_one(views in proptest::collection::vec(any_view(), 0..5)) {
            let together = View::combined(&views);
            for source in SOURCES.into_iter().chain(["another"]) {
                for scope in together.scopes().iter().filter(|_| together.includes_source(source)) {
                    let granted = views.iter().any(|view| view.has(scope) && view.includes_source(source));
                    prop_assert!(granted, "{scope:?} of {source}: {together:?}");
                }
            }
        }
    }
}
