//! What a principal sees: what it does not include does not exist for it.

use super::Scopes;
use entity::Scope;
use std::sync::Arc;

/// Scopes, and the sources that they are limited to. Two principals with the same view receive the same responses, so it is part
/// of every key under which executions and responses are shared.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct View {
    scopes: Scopes,
    /// In alphabetical order; `None` for all sources.
    sources: Option<Arc<[String]>>,
}

impl View {
    /// `sources`: `None` for all.
    pub fn new(scopes: Scopes, sources: Option<Vec<String>>) -> View {
        let sources = sources.map(|mut sources| {
            sources.sort_unstable();
            sources.dedup();
            sources.into()
        });
        View { scopes, sources }
    }

    /// Everything: the view of the hub itself.
    pub const fn everything() -> View {
        View { scopes: Scopes::ALL, sources: None }
    }

    pub fn scopes(&self) -> Scopes {
        self.scopes
    }

    pub fn has(&self, scope: Scope) -> bool {
        self.scopes.contains(scope)
    }

    /// The sources it is limited to, in alphabetical order; `None` for all.
    pub fn sources(&self) -> Option<&[String]> {
        self.sources.as_deref()
    }

    pub fn includes_source(&self, source: &str) -> bool {
        self.sources.as_ref().is_none_or(|sources| sources.binary_search_by(|one| one.as_str().cmp(source)).is_ok())
    }

    /// Whether it shows nothing that the other does not show.
    pub fn is_within(&self, other: &View) -> bool {
        let sources_are_within = match (&self.sources, &other.sources) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(own), Some(_)) => own.iter().all(|source| other.includes_source(source)),
        };
        self.scopes.is_within(other.scopes) && sources_are_within
    }

    /// The sources of a filter that are in the view: `None` if neither limits them.
    pub fn limit_sources(&self, wanted: Option<&[String]>) -> Option<Vec<String>> {
        match (wanted, &self.sources) {
            (None, None) => None,
            (None, Some(sources)) => Some(sources.to_vec()),
            (Some(wanted), _) => Some(wanted.iter().filter(|source| self.includes_source(source)).cloned().collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(sources: Option<&[&str]>) -> View {
        let sources = sources.map(|sources| sources.iter().map(|source| (*source).to_owned()).collect());
        View::new(Scopes::ALL, sources)
    }

    #[test]
    fn only_its_sources_are_included() {
        let view = of(Some(&["roof", "lot", "roof"]));
        assert_eq!(view.sources(), Some(&["lot".to_owned(), "roof".to_owned()][..]));
        for (source, included) in [("lot", true), ("roof", true), ("", false), ("lo", false), ("lots", false)] {
            assert_eq!(view.includes_source(source), included, "{source}");
            assert!(of(None).includes_source(source) && !of(Some(&[])).includes_source(source));
        }
        assert_eq!(view, of(Some(&["lot", "roof"])), "the order does not matter");
    }

    #[test]
    fn a_filter_is_limited_to_the_view() {
        let wanted = ["lot".to_owned(), "other".to_owned()];
        assert_eq!(of(None).limit_sources(None), None);
        assert_eq!(of(None).limit_sources(Some(&wanted)), Some(wanted.to_vec()));
        assert_eq!(of(Some(&["lot"])).limit_sources(None), Some(vec!["lot".to_owned()]));
        assert_eq!(of(Some(&["lot"])).limit_sources(Some(&wanted)), Some(vec!["lot".to_owned()]));
        assert_eq!(of(Some(&["roof"])).limit_sources(Some(&wanted)), Some(Vec::new()));
    }

    #[test]
    fn a_view_is_within_another_if_that_has_all_scopes_and_sources() {
        let views = [of(Some(&[])), of(Some(&["lot"])), of(Some(&["lot", "roof"])), of(None)];
        for (place, view) in views.iter().enumerate() {
            for (other_place, other) in views.iter().enumerate() {
                assert_eq!(view.is_within(other), place <= other_place, "{view:?} {other:?}");
            }
            let reader = View::new(Scopes::ALL.without(Scope::Admin), view.sources().map(<[String]>::to_vec));
            assert!(reader.is_within(view) && !view.is_within(&reader));
        }
    }
}
