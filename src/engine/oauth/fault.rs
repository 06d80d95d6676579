//! What went wrong with a sign-in.

/// A failure with a code of `index.d.ts`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// One of `ErrorCode`.
    pub code: &'static str,
    /// The claim, the metadata member, the option or the OAuth error code concerned; may be empty.
    pub detail: String,
    /// HTTP status of the answer, if there was one.
    pub status: Option<u16>,
}

impl Fault {
    /// Without a status.
    #[inline(never)]
    pub fn new(code: &'static str, detail: &str) -> Self {
        Self { code, detail: detail.into(), status: None }
    }
}
