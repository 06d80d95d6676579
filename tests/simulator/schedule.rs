//! What happens in one run, and how it is made from a seed.

use std::fmt;

use tokenward::engine::schedule::Rng;

use crate::common::{HOUR, MINUTE, SECOND};

/// Everything that a run depends on.
#[derive(Clone, Debug)]
pub struct Schedule {
    pub seed: u64,
    pub mode: Mode,
    pub tabs: usize,
    /// Of an access token.
    pub lifetime_s: u64,
    /// The machine's wall clock, from the server's.
    pub wall_offset_ms: i64,
    /// Whether the monotonic clock stands still while the machine sleeps.
    pub mono_stops: bool,
    /// Whether the tabs are left alone for a token's life before they are asked at the end.
    pub ends_idle: bool,
    pub locks: Locks,
    /// Messages between tabs may be slower than locks.
    pub slow_channel: bool,
    /// Of the requests to the token endpoint or the backend, in order; those after the last are fine.
    pub fates: Vec<Fate>,
    /// Of the requests to the API.
    pub api_fates: Vec<Fate>,
    pub steps: Vec<Step>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mode {
    /// Each tab has a refresh token of its own.
    Page,
    /// All have the cookie of one session at a backend.
    Cookie(Backend),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Backend {
    /// Knows which token a tab has, and tells the `version` of each.
    Stateful,
    /// Renews if `after` is there.
    Coarse,
    /// Renews at every request; the one-time refresh token is in the cookie itself.
    Dumb,
    /// Renews when less than a third of the life is left, whatever is asked for.
    Stingy,
}

/// `navigator.locks`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Locks {
    Work,
    Missing,
    /// As in a page of an opaque origin.
    Refused,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fate {
    pub luck: Luck,
    pub up_ms: u64,
    pub down_ms: u64,
    /// The answer comes even if nobody wants it any more.
    pub is_late: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Luck {
    Fine,
    RequestLost,
    AnswerLost,
    /// The request reaches the server twice.
    Doubled,
    /// Nothing ever comes back, nor an error.
    Hangs,
    /// The server is not there; of the API, that it refuses a good token.
    Status(u16),
    RetryAfter(u16, u64),
    /// A captive portal.
    Html,
}

impl Fate {
    pub const FINE: Self = Self { luck: Luck::Fine, up_ms: 30, down_ms: 30, is_late: false };
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// After the last step.
    pub after_ms: u64,
    pub action: Action,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Action {
    Fetch {
        tab: usize,
        one_shot: bool,
    },
    /// The oldest request that has not ended.
    AbortFetch {
        tab: usize,
    },
    Refresh {
        tab: usize,
    },
    SignIn {
        tab: usize,
    },
    SetTokens {
        tab: usize,
        renewable: bool,
    },
    SignOut {
        tab: usize,
    },
    /// By the server.
    Revoke {
        tab: usize,
    },
    Open,
    Close {
        tab: usize,
    },
    /// `holder`: the tab that holds the lock, if one does.
    Crash {
        tab: usize,
        holder: bool,
    },
    Freeze {
        tab: usize,
        holder: bool,
    },
    Resume {
        tab: usize,
        timers_first: bool,
    },
    /// Its timers come once a minute.
    Hide {
        tab: usize,
    },
    Show {
        tab: usize,
    },
    Sleep {
        ms: u64,
        breaks: bool,
        timers_first: bool,
    },
    Jump {
        ms: i64,
    },
    Offline,
    Online,
}

/// A number below `below`.
pub fn pick(rng: &mut Rng, below: usize) -> usize {
    rng.up_to(below as u64 - 1) as usize
}

fn chance(rng: &mut Rng, percent: u64) -> bool {
    rng.up_to(99) < percent
}

impl Schedule {
    pub fn new(seed: u64) -> Self {
        // The first numbers of neighbouring seeds are alike.
        let mut rng = Rng::new(seed.wrapping_mul(0xD134_2543_DE82_EF95));
        let rng = &mut rng;
        let lifetime_s = [10, 60, 60, 300, 300, 3_600][pick(rng, 6)];
        let trouble = [0, 10, 10, 30, 60][pick(rng, 5)];
        let steps = 3 + pick(rng, 40);
        Self {
            seed,
            mode: mode(rng),
            tabs: 1 + pick(rng, 3),
            lifetime_s,
            wall_offset_ms: [0, 0, 3, -3, 40][pick(rng, 5)] * HOUR as i64,
            mono_stops: chance(rng, 50),
            ends_idle: chance(rng, 25),
            locks: if chance(rng, 90) { Locks::Work } else { [Locks::Missing, Locks::Refused][pick(rng, 2)] },
            slow_channel: chance(rng, 15),
            fates: (0..24).map(|_| fate(rng, trouble)).collect(),
            api_fates: (0..24).map(|_| fate(rng, trouble / 2)).collect(),
            steps: (0..steps)
                .map(|_| Step { after_ms: delay(rng, lifetime_s * SECOND), action: action(rng) })
                .collect(),
        }
    }
}

fn mode(rng: &mut Rng) -> Mode {
    let backends =
        [Backend::Stateful, Backend::Stateful, Backend::Coarse, Backend::Coarse, Backend::Dumb, Backend::Stingy];
    if chance(rng, 30) { Mode::Page } else { Mode::Cookie(backends[pick(rng, backends.len())]) }
}

fn fate(rng: &mut Rng, trouble: u64) -> Fate {
    let time = |rng: &mut Rng| if chance(rng, trouble / 2) { rng.up_to(25 * SECOND) } else { 1 + rng.up_to(200) };
    let luck = match pick(rng, 10) {
        _ if !chance(rng, trouble) => Luck::Fine,
        0 | 1 => Luck::RequestLost,
        2 => Luck::AnswerLost,
        3 => Luck::Doubled,
        4 => Luck::Hangs,
        5 | 6 => Luck::Status([500, 502, 503, 408, 429][pick(rng, 5)]),
        7 | 8 => Luck::RetryAfter([503, 429][pick(rng, 2)], rng.up_to(MINUTE)),
        _ => Luck::Html,
    };
    Fate { luck, up_ms: time(rng), down_ms: time(rng), is_late: chance(rng, 50) }
}

fn delay(rng: &mut Rng, lifetime_ms: u64) -> u64 {
    match pick(rng, 10) {
        0..=2 => rng.up_to(60),
        3..=5 => rng.up_to(2 * SECOND),
        6 | 7 => rng.up_to(30 * SECOND),
        8 => rng.up_to(lifetime_ms),
        _ => rng.up_to(lifetime_ms / 2) + lifetime_ms / 2,
    }
}

fn action(rng: &mut Rng) -> Action {
    let tab = pick(rng, 4);
    match pick(rng, 100) {
        0 | 1 => Action::Hide { tab },
        2 | 3 => Action::Show { tab },
        4..=37 => Action::Fetch { tab, one_shot: chance(rng, 15) },
        38..=41 => Action::AbortFetch { tab },
        42..=48 => Action::Refresh { tab },
        49..=55 => Action::SignIn { tab },
        56..=58 => Action::SetTokens { tab, renewable: chance(rng, 70) },
        59..=61 => Action::SignOut { tab },
        62 | 63 => Action::Revoke { tab },
        64..=66 => Action::Open,
        67 => Action::Close { tab },
        68..=70 => Action::Crash { tab, holder: chance(rng, 50) },
        71..=75 => Action::Freeze { tab, holder: chance(rng, 50) },
        76..=81 => Action::Resume { tab, timers_first: chance(rng, 50) },
        82..=87 => {
            let ms = delay(rng, HOUR);
            Action::Sleep { ms, breaks: chance(rng, 50), timers_first: chance(rng, 50) }
        }
        88..=91 => {
            let ms = [delay(rng, HOUR) as i64, 5 * HOUR as i64][pick(rng, 2)];
            Action::Jump { ms: if chance(rng, 50) { -ms } else { ms } }
        }
        92..=94 => Action::Offline,
        _ => Action::Online,
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, mode, tabs, lifetime_s, wall_offset_ms, mono_stops, ends_idle, .. } = self;
        let Self { locks, slow_channel, fates, api_fates, steps, .. } = self;
        writeln!(f, "seed {seed}: {mode:?}, {tabs} tabs, tokens of {lifetime_s} s, wall clock {wall_offset_ms:+} ms")?;
        writeln!(f, "  monotonic clock stops in sleep: {mono_stops}, ends idle: {ends_idle}")?;
        writeln!(f, "  locks: {locks:?}, slow channel: {slow_channel}")?;
        for (name, fates) in [("token request", fates), ("API request", api_fates)] {
            for (number, fate) in fates.iter().enumerate().filter(|(_, fate)| **fate != Fate::FINE) {
                writeln!(f, "  {name} {number}: {fate:?}")?;
            }
        }
        for Step { after_ms, action } in steps {
            writeln!(f, "  +{after_ms} ms {action:?}")?;
        }
        Ok(())
    }
}
