//! Draws a machine as a Mermaid state diagram (<https://mermaid.js.org/syntax/stateDiagram.html>).

use super::{Machine, Reopens, START};
use std::fmt::Write;

impl Machine {
    /// States have aliases, because the vendors' names contain spaces and punctuation.
    pub fn mermaid(&self) -> String {
        let mut text = String::from("stateDiagram-v2\n");
        for (number, state) in self.states.iter().enumerate() {
            let status = state.status.map(|status| format!(" ({status})")).unwrap_or_default();
            let _ = writeln!(text, "    state \"{}{status}\" as s{number}", state.name);
        }
        for transition in self.transitions {
            let label = match transition.reopens {
                Reopens::Never => "",
                Reopens::Always => " : reopens",
                Reopens::OnRequest => " : reopens after a request",
            };
            let _ = writeln!(text, "    {} --> {}{label}", self.alias(transition.from), self.alias(transition.to));
        }
        for state in self.states.iter().filter(|state| state.terminal) {
            let _ = writeln!(text, "    {} --> [*]", self.alias(state.name));
        }
        text
    }

    fn alias(&self, name: &str) -> String {
        match self.states.iter().position(|state| state.name == name) {
            Some(number) => format!("s{number}"),
            None => START.to_owned(),
        }
    }
}
