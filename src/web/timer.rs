//! One timer, in slices.

use std::cell::RefCell;

use gloo_timers::callback::Timeout;

/// Browsers fire a delay above 2^31 - 1 ms at once, and a timer that slept with its machine fires late: no slice is
/// longer than this, and the clocks are read anew at its end.
const SLICE_MS: u64 = 60_000;

#[derive(Debug, Default)]
pub(super) struct Timer(RefCell<Option<Timeout>>);

impl Timer {
    /// Calls back once, in `ms` or in one slice, whichever is sooner, instead of what was armed before.
    pub(super) fn arm(&self, ms: u64, callback: impl FnOnce() + 'static) {
        let ms = u32::try_from(ms.min(SLICE_MS)).unwrap_or_default();
        *self.0.borrow_mut() = Some(Timeout::new(ms, callback));
    }

    /// Clears the timer and frees its callback.
    pub(super) fn disarm(&self) {
        self.0.borrow_mut().take();
    }
}
