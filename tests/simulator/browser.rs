//! What the tabs share: the Web Lock of their session, and a broadcast channel.

use std::collections::VecDeque;

use tokenward::engine::Ticket;
use tokenward::engine::tabs::Signal;

use crate::schedule::Locks;
use crate::tab::Input;
use crate::world::World;

/// A message on a slow channel.
pub const SLOWEST_MS: u64 = 400;

/// The browser's side of the lock.
#[derive(Default)]
pub struct Lock {
    holder: Option<(usize, Ticket)>,
    queue: VecDeque<(usize, Ticket)>,
}

/// A tab's side.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Asked {
    Waits,
    Holds,
}

impl Lock {
    pub fn holder(&self) -> Option<usize> {
        self.holder.map(|(tab, _)| tab)
    }
}

impl World<'_> {
    pub fn tell(&mut self, tab: usize, signal: Signal) {
        self.note(|| format!("tab {tab} tells {signal:?}"));
        for other in 0..self.tabs.len() {
            if other != tab && self.tabs[other].is_open {
                self.message(other, Input::Heard(signal));
            }
        }
    }

    fn message(&mut self, to: usize, input: Input) {
        let slowest_ms = if self.schedule.slow_channel { SLOWEST_MS } else { 2 };
        let at = (self.t + self.rng.up_to(slowest_ms)).max(self.tabs[to].last_message_at);
        self.tabs[to].last_message_at = at;
        self.input_later(at - self.t, to, input);
    }

    /// `lock()` of `src/js/tabs.js`.
    pub fn ask_lock(&mut self, tab: usize, ticket: Ticket, steals: bool) {
        self.note(|| format!("tab {tab} asks for the lock: {ticket:?}, steals: {steals}"));
        match self.schedule.locks {
            Locks::Missing => {
                self.tabs[tab].locks.push((ticket, Asked::Waits));
                self.granted(tab, ticket);
                self.tabs[tab].locks.retain(|(known, _)| *known != ticket);
                return;
            }
            Locks::Refused => {
                self.tabs[tab].locks.push((ticket, Asked::Waits));
                self.input_later(0, tab, Input::Refused(ticket));
                return;
            }
            Locks::Work => {}
        }
        self.tabs[tab].locks.push((ticket, Asked::Waits));
        if steals {
            if let Some((victim, stolen)) = self.lock.holder.take() {
                self.unlocked_soon(victim, stolen);
            }
            self.lock.queue.push_front((tab, ticket));
        } else {
            self.lock.queue.push_back((tab, ticket));
        }
        self.grant_next();
    }

    fn grant_next(&mut self) {
        if self.lock.holder.is_none()
            && let Some((tab, ticket)) = self.lock.queue.pop_front()
        {
            self.lock.holder = Some((tab, ticket));
            self.lock_news(3, tab, Input::Granted(ticket));
        }
    }

    fn unlocked_soon(&mut self, tab: usize, ticket: Ticket) {
        self.lock_news(0, tab, Input::Unlocked(ticket));
    }

    /// What the browser has to tell a tab of locks keeps its order.
    fn lock_news(&mut self, least_ms: u64, tab: usize, input: Input) {
        let at = (self.t + least_ms + self.rng.up_to(2)).max(self.tabs[tab].last_lock_news_at);
        self.tabs[tab].last_lock_news_at = at;
        self.input_later(at - self.t, tab, input);
    }

    pub fn granted(&mut self, tab: usize, ticket: Ticket) {
        // Let go of before it was heard of.
        let Some(asked) = self.tabs[tab].locks.iter_mut().find(|(known, _)| *known == ticket) else { return };
        asked.1 = Asked::Holds;
        let now = self.now(tab);
        self.tabs[tab].engine.granted(ticket, now);
        self.drain(tab);
    }

    pub fn unlocked(&mut self, tab: usize, ticket: Ticket, refused: bool) {
        self.tabs[tab].locks.retain(|(known, _)| *known != ticket);
        let now = self.now(tab);
        self.tabs[tab].engine.lock_lost(ticket, refused, now);
        self.drain(tab);
    }

    /// Lets go, or asks no more. `true`: the tab hears when it is done.
    pub fn let_go(&mut self, tab: usize, ticket: Ticket) -> bool {
        self.note(|| format!("tab {tab} lets go of the lock: {ticket:?}"));
        let Some((_, asked)) = self.tabs[tab].locks.iter().find(|(known, _)| *known == ticket) else { return false };
        match asked {
            Asked::Holds => self.message(tab, Input::Echo(ticket)),
            Asked::Waits => self.release_held(tab, ticket),
        }
        true
    }

    pub fn release_held(&mut self, tab: usize, ticket: Ticket) {
        // Of a stolen lock, the news is under way.
        if self.lock.holder == Some((tab, ticket)) || self.lock.queue.contains(&(tab, ticket)) {
            self.unlocked_soon(tab, ticket);
        }
        self.release(tab, ticket);
    }

    fn release(&mut self, tab: usize, ticket: Ticket) {
        self.lock.queue.retain(|asked| *asked != (tab, ticket));
        self.lock.holder.take_if(|holder| *holder == (tab, ticket));
        self.grant_next();
    }

    /// The tab is gone.
    pub fn let_go_all(&mut self, tab: usize) {
        if self.lock.holder() == Some(tab) {
            // Whoever it robbed goes on without a lock, and nobody is left who knows.
            let others = self.tabs.iter_mut().enumerate().filter(|(other, _)| *other != tab);
            others.flat_map(|(_, other)| &mut other.flights).for_each(|flight| flight.is_excused = true);
        }
        for (ticket, _) in std::mem::take(&mut self.tabs[tab].locks) {
            self.release(tab, ticket);
        }
    }
}
