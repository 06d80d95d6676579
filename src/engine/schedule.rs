//! When to refresh: two clocks, lead time, jitter, back-off, `Retry-After`.

use crate::engine::challenge::digits;

/// A reading of both clocks in milliseconds, or a moment named on both.
///
/// The wall clock can be set; the monotonic one may stand still while the machine sleeps. A moment has come when
/// *either* clock says so: too early costs one refresh, too late a refused request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Milliseconds since the Unix epoch.
    pub wall_ms: u64,
    /// Milliseconds since some fixed point, never going back.
    pub mono_ms: u64,
}

impl Moment {
    /// A moment that does not come.
    pub const NEVER: Self = Self { wall_ms: u64::MAX, mono_ms: u64::MAX };

    /// The moment `ms` later.
    #[must_use]
    pub fn plus(self, ms: u64) -> Self {
        Self { wall_ms: self.wall_ms.wrapping_add(ms), mono_ms: self.mono_ms.wrapping_add(ms) }
    }

    /// The moment `ms` earlier.
    #[must_use]
    pub fn minus(self, ms: u64) -> Self {
        Self { wall_ms: self.wall_ms.saturating_sub(ms), mono_ms: self.mono_ms.saturating_sub(ms) }
    }

    /// Whether this moment has come.
    pub fn reached(self, now: Self) -> bool {
        now.wall_ms >= self.wall_ms || now.mono_ms >= self.mono_ms
    }

    /// Milliseconds until it comes, as far as the clocks can tell now.
    pub fn remaining_ms(self, now: Self) -> u64 {
        let wall = self.wall_ms.saturating_sub(now.wall_ms);
        let mono = self.mono_ms.saturating_sub(now.mono_ms);
        wall.min(mono)
    }

    /// Milliseconds gone by since this earlier moment, by the clock that saw more of them.
    pub fn elapsed_ms(self, now: Self) -> u64 {
        let wall = now.wall_ms.saturating_sub(self.wall_ms);
        let mono = now.mono_ms.saturating_sub(self.mono_ms);
        wall.max(mono)
    }

    /// The earlier of two moments, clock by clock.
    #[must_use]
    pub fn earlier(self, other: Self) -> Self {
        Self { wall_ms: self.wall_ms.min(other.wall_ms), mono_ms: self.mono_ms.min(other.mono_ms) }
    }

    /// The later of two moments, clock by clock.
    #[must_use]
    pub fn later(self, other: Self) -> Self {
        Self { wall_ms: self.wall_ms.max(other.wall_ms), mono_ms: self.mono_ms.max(other.mono_ms) }
    }
}

/// Seeded random numbers (SplitMix64) for jitter. Not for secrets.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// The same seed gives the same numbers.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number in `0..=max`.
    pub fn up_to(&mut self, max: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        z.checked_rem(max.saturating_add(1)).unwrap_or(z)
    }
}

/// A token is not sent in the last moments of its life: it would arrive expired, and servers cut `exp` to whole seconds.
const MAX_MARGIN_MS: u64 = 5_000;

/// A refresh sooner than this after the last one is left to the first request that needs it, so that a token of a few
/// seconds does not cost a request every few seconds on an idle page.
const MIN_SCHEDULED_MS: u64 = 5_000;

/// How long before its expiry a token of this lifetime is no longer sent.
pub fn margin_ms(lifetime_ms: u64) -> u64 {
    (lifetime_ms / 10).min(MAX_MARGIN_MS)
}

/// Milliseconds from the sending of the request that brought the token to its planned renewal; `None`: on demand only.
///
/// Lead time is 10 % of the lifetime, at least 30 s, at most a quarter; up to a fifth of the lifetime goes off for
/// jitter, so that clients that signed in together do not come back together.
pub fn refresh_after_ms(lifetime_ms: u64, refresh_in_ms: Option<u64>, rng: &mut Rng) -> Option<u64> {
    let lead = (lifetime_ms / 10).max(30_000).min(lifetime_ms / 4);
    let latest = lifetime_ms.saturating_sub(lead);
    let jitter = rng.up_to(lifetime_ms / 5);
    let after = match refresh_in_ms {
        Some(asked) => asked.saturating_add(jitter).min(latest),
        None => latest.saturating_sub(jitter),
    };
    (after >= MIN_SCHEDULED_MS).then_some(after)
}

/// The shortest pause after a failure.
pub(super) const BACKOFF_FLOOR_MS: u64 = 250;
/// The first ceiling and the last, while requests wait.
const BACKOFF_MS: (u64, u64) = (1_000, 10_000);
/// While none does: the token's lead time is left, and an endpoint in trouble must not be met by every client at once.
const BACKOFF_IDLE_MS: (u64, u64) = (8_000, 300_000);

/// Exponential back-off with full jitter: how long after failure number `attempt` (from 1) the next try comes.
pub fn backoff_ms(attempt: u32, waiting: bool, rng: &mut Rng) -> u64 {
    let (first, last) = if waiting { BACKOFF_MS } else { BACKOFF_IDLE_MS };
    let exponent = attempt.saturating_sub(1).min(20);
    let ceiling = (first << exponent).min(last);
    rng.up_to(ceiling).max(BACKOFF_FLOOR_MS)
}

/// However long a server asks to wait, it is asked again after ten minutes.
const MAX_RETRY_AFTER_MS: u64 = 600_000;

/// `Retry-After` (RFC 9110 section 10.2.3) in milliseconds from now, capped.
///
/// `date_ms` is the value read as an HTTP date by the platform, `server_ms` the answer's own `Date` (section 6.6.1): the
/// server's clock, where CORS lets it be seen. NaN if they are none.
pub fn retry_after_ms(value: &str, date_ms: f64, server_ms: f64, now: Moment) -> Option<u64> {
    let ms = match digits(value.trim_ascii()) {
        Some(seconds) => seconds.saturating_mul(1000),
        None => {
            let now_ms = if server_ms.is_nan() { now.wall_ms as f64 } else { server_ms };
            // A date that is past says nothing.
            Some(date_ms - now_ms).filter(|ms| *ms > 0.0)? as u64
        }
    };
    Some(ms.min(MAX_RETRY_AFTER_MS))
}
