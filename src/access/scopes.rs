//! Sets of scopes, and their names in settings and tokens.

use entity::Scope;
use std::str::FromStr;

/// What a credential allows.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Scopes(u8);

/// A name that is not a scope's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a scope; the scopes are {known}", known = Scopes::ALL)]
pub struct UnknownScope(String);

impl Scopes {
    pub const NONE: Scopes = Scopes(0);
    pub const ALL: Scopes = {
        let (mut all, mut index) = (0, 0);
        while index < Scope::ALL.len() {
            all |= bit(Scope::ALL[index]);
            index += 1;
        }
        Scopes(all)
    };

    pub const fn contains(self, scope: Scope) -> bool {
        self.0 & bit(scope) != 0
    }

    /// Whether it has no scope that the other lacks.
    pub const fn is_within(self, other: Scopes) -> bool {
        self.0 & !other.0 == 0
    }

    pub const fn union(self, other: Scopes) -> Scopes {
        Scopes(self.0 | other.0)
    }

    pub const fn intersection(self, other: Scopes) -> Scopes {
        Scopes(self.0 & other.0)
    }

    pub const fn without(self, scope: Scope) -> Scopes {
        Scopes(self.0 & !bit(scope))
    }

    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.iter().copied().filter(move |scope| self.contains(*scope))
    }
}

const fn bit(scope: Scope) -> u8 {
    1 << scope as u8
}

/// The name of a scope in settings and tokens, e.g. `read:personal`.
pub const fn scope_name(scope: Scope) -> &'static str {
    match scope {
        Scope::Read => "read",
        Scope::ReadPersonal => "read:personal",
        Scope::Operate => "operate",
        Scope::Erase => "erase",
        Scope::Admin => "admin",
        Scope::Metrics => "metrics",
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<T: IntoIterator<Item = Scope>>(scopes: T) -> Scopes {
        Scopes(scopes.into_iter().fold(0, |all, scope| all | bit(scope)))
    }
}

/// Names of scopes, separated by spaces or commas (RFC 6749, section 3.3, has spaces).
impl FromStr for Scopes {
    type Err = UnknownScope;

    fn from_str(names: &str) -> Result<Scopes, UnknownScope> {
        let names = names.split([' ', ',']).filter(|name| !name.is_empty());
        let scope = |name: &str| {
            let known = Scope::ALL.iter().copied().find(|scope| scope_name(*scope) == name);
            known.ok_or_else(|| UnknownScope(name.chars().take(64).collect()))
        };
        names.map(scope).collect()
    }
}

/// The names, separated by spaces.
impl std::fmt::Display for Scopes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.iter().map(scope_name).collect::<Vec<_>>().join(" "))
    }
}

impl std::fmt::Debug for Scopes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_scopes_and_back() {
        for (names, printed) in [
            ("", ""),
            ("read", "read"),
            ("operate read:personal,read", "read read:personal operate"),
            ("read, read", "read"),
            ("read read:personal operate erase admin metrics", "read read:personal operate erase admin metrics"),
        ] {
            assert_eq!(names.parse::<Scopes>().map(|scopes| scopes.to_string()), Ok(printed.to_owned()), "{names}");
        }
        assert_eq!(Scopes::ALL.to_string().parse(), Ok(Scopes::ALL));
    }

    #[test]
    fn an_unknown_scope_is_named_with_those_that_there_are() {
        let error = "read READ".parse::<Scopes>().expect_err("unknown").to_string();
        assert_eq!(error, "`READ` is not a scope; the scopes are read read:personal operate erase admin metrics");
    }

    #[test]
    fn a_set_is_within_those_that_have_all_its_scopes() {
        let (read, both): (Scopes, Scopes) = ([Scope::Read].into_iter().collect(), Scopes::ALL.without(Scope::Admin));
        assert!(read.is_within(both) && read.is_within(read) && Scopes::NONE.is_within(read));
        assert!(!both.is_within(read) && !Scopes::ALL.is_within(both));
        assert!(both.contains(Scope::Read) && !both.contains(Scope::Admin));
    }
}
