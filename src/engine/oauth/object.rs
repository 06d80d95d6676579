//! JSON objects, wherever they are kept: the shell's are JavaScript's.

use crate::engine::oauth::response::Member;

/// A JSON object whose members can be asked for.
pub trait Object {
    /// A member's value.
    fn get(&self, name: &str) -> Member;

    /// A member that is a string.
    fn text(&self, name: &str) -> Option<String> {
        match self.get(name) {
            Member::Text(text) => Some(text.expose().into()),
            _ => None,
        }
    }

    /// A member that is a number.
    fn number(&self, name: &str) -> Option<f64> {
        match self.get(name) {
            Member::Number(number) => Some(number),
            _ => None,
        }
    }

    /// Whether a member is `true`.
    fn flag(&self, name: &str) -> bool {
        self.get(name) == Member::True
    }

    /// The strings of a member that is a list, or the string it is itself.
    fn texts(&self, name: &str) -> Vec<String> {
        match self.get(name) {
            Member::Text(text) => vec![text.expose().into()],
            Member::List(list) => list,
            _ => Vec::new(),
        }
    }

    /// Whether a member is this string.
    fn is(&self, name: &str, text: &str) -> bool {
        matches!(self.get(name), Member::Text(member) if member.expose() == text)
    }

    /// Whether there is a member of this name.
    fn has(&self, name: &str) -> bool {
        self.get(name) != Member::Absent
    }
}
