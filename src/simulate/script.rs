//! A vendor's scenario as data: the steps of a script, and which fields of the samples a script fills in.
//! [`Scenario`] interprets both.

use super::scenario::Scenario;

pub const MINUTE: i64 = 60;
pub const HOUR: i64 = 60 * MINUTE;

/// What a vendor reports about one thing, from its beginning to its end.
#[derive(Debug)]
pub struct VendorScenario {
    pub vendor: &'static str,
    /// The share of this vendor's scenarios among all that begin.
    pub weight: u32,
    pub script: &'static [ScriptStep],
    /// Groups of rules, each for the samples whose name begins with this prefix. A field is filled in by the first rule
    /// that names it.
    pub fields: &'static [(&'static str, &'static [FieldRule])],
}

/// A field of a sample, and the template of its new value.
///
/// The field is a JSON pointer (RFC 6901); `*` matches each entry of a list or an object. Samples without the field, or
/// with null in it, stay as they are. A new value has the type and the format of the old one; a list is cut to the given
/// length.
///
/// A template contains variables in braces, which the script sets. Without being set, `{id}` is the scenario's number, `{now}`
/// the moment of sending, `{*}` the last index matched by `*`, and `{new}`, `{uuid}` and `{letters}` are new ids; `{last}` is the
/// newest of them.
pub type FieldRule = (&'static str, &'static str);

/// One step of a script. Times are in seconds, probabilities in percent.
#[derive(Clone, Copy, Debug)]
pub enum ScriptStep {
    Wait(i64, i64),
    /// Sends a sample, by its name in the vendor's folder. Without an extension it is JSON.
    Send(&'static str),
    After(i64, i64, &'static str),
    /// Sets a variable to the value of a template.
    Set(&'static str, &'static str),
    /// Sets a variable to this moment plus this many seconds.
    Time(&'static str, i64),
    /// Sets a variable to a whole number within these bounds.
    Number(&'static str, i64, i64),
    /// Sets a variable to one of these texts.
    OneOf(&'static str, &'static [&'static str]),
    /// Sets several variables to the values of one of these rows.
    RowOf(&'static [&'static str], &'static [&'static [&'static str]]),
    /// Runs the first steps with this probability, else the second ones.
    Either(u32, &'static [ScriptStep], &'static [ScriptStep]),
    IfSet(&'static str, &'static [ScriptStep]),
    /// Runs the steps this many times; `{round}` counts from 1.
    Repeat(i64, i64, &'static [ScriptStep]),
    /// Runs the steps for the rows within these bounds. Variables that these steps set also exist as `name.row`.
    Each(&'static [&'static str], &'static [&'static [&'static str]], i64, i64, &'static [ScriptStep]),
    Run(&'static [ScriptStep]),
    /// For what no other step expresses.
    Call(fn(&mut Scenario)),
    End,
}

pub const fn chance(percent: u32, steps: &'static [ScriptStep]) -> ScriptStep {
    ScriptStep::Either(percent, steps, &[])
}
