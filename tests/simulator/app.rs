//! What the app in a tab does, and the person before it.

use tokenward::engine::event::Reason;
use tokenward::engine::session::Way;

use crate::common::{API, Options, grant, options, resource, with_url};
use crate::schedule::Mode;
use crate::server::Back;
use crate::tab::Owner;
use crate::world::World;

impl World<'_> {
    pub fn options(&self) -> Options {
        if self.schedule.mode == Mode::Page {
            return options();
        }
        let page = Some("https://app.test/".into());
        let options = Options { page, resources: vec![resource(API)], ..Options::default() };
        let options = with_url(options, "session.url", "https://app.test/session");
        with_url(options, "session.signOutUrl", "https://app.test/session/end")
    }

    pub fn open_signed_in(&mut self) {
        let tab = self.open();
        if self.schedule.mode == Mode::Page || self.cookie.is_none() {
            self.sign_in(tab);
        } else {
            self.app(tab, |world| world.restore(tab));
        }
    }

    pub fn sign_in(&mut self, tab: usize) {
        self.app(tab, |world| {
            if world.schedule.mode == Mode::Page {
                let back = world.server.sign_in(true, world.t);
                world.take(tab, &back);
            } else if !world.tabs[tab].truth.is_signed_in {
                world.cookie = Some(world.server.begin_session(world.t));
                world.restore(tab);
            }
        });
    }

    /// `restore()`: there is one way.
    pub fn restore(&mut self, tab: usize) {
        if self.schedule.mode == Mode::Page || std::mem::replace(&mut self.tabs[tab].is_restoring, true) {
            return;
        }
        let now = self.now(tab);
        let waiter = self.tabs[tab].engine.restore(Way::Session, now);
        self.expect(tab, waiter, Owner::Restore, now.mono_ms);
        self.drain(tab);
    }

    /// `setTokens()` in the session there is, as after a step-up.
    pub fn set_tokens(&mut self, tab: usize, renewable: bool) {
        self.app(tab, |world| {
            if world.schedule.mode != Mode::Page {
                return;
            }
            let back = match world.tabs[tab].truth.family {
                Some(family) if !renewable && world.server.families[family].dead_at.is_none() => {
                    world.server.issue(family, false, world.t)
                }
                _ => world.server.sign_in(renewable, world.t),
            };
            world.take(tab, &back);
        });
    }

    fn take(&mut self, tab: usize, back: &Back) {
        let (Back::Tokens { access, refresh, expires_in_s, .. }, Some(answer)) = (back, back.token_answer()) else {
            return;
        };
        let now = self.now(tab);
        self.note(|| format!("tab {tab}: setTokens {back:?}"));
        self.hold(tab, *access, *refresh, now, *expires_in_s);
        // The refresh token may be used up: a refresh under way is seen through.
        self.tabs[tab].truth.has_cause = refresh.is_none() && !self.tabs[tab].flights.is_empty();
        self.tabs[tab].engine.set_tokens(grant(answer), now, now).expect("a bearer token");
        self.drain(tab);
    }

    pub fn refresh(&mut self, tab: usize) {
        self.app(tab, |world| {
            let now = world.now(tab);
            world.tabs[tab].truth.has_cause = true;
            let waiter = world.tabs[tab].engine.renew(now);
            world.drain(tab);
            if let Some(waiter) = waiter {
                world.expect(tab, waiter, Owner::Refresh, now.mono_ms);
            }
        });
    }

    /// In a listener: signs out, and in again.
    pub fn react(&mut self, tab: usize) {
        self.note(|| format!("tab {tab} signs out and in again"));
        let now = self.now(tab);
        self.ends(tab, Reason::SignOut);
        self.tabs[tab].engine.sign_out(Reason::SignOut, now);
        self.drain(tab);
        if self.schedule.mode == Mode::Page {
            let back = self.server.sign_in(true, self.t);
            self.take(tab, &back);
        }
    }

    pub fn sign_out(&mut self, tab: usize) {
        self.app(tab, |world| {
            let now = world.now(tab);
            world.ends(tab, Reason::SignOut);
            world.tabs[tab].engine.sign_out(Reason::SignOut, now);
            world.drain(tab);
        });
    }

    pub fn close(&mut self, tab: usize) {
        self.app(tab, |world| {
            world.ends(tab, Reason::SignOut);
            world.tabs[tab].is_open = false;
            world.let_go_all(tab);
            world.tabs[tab].engine.close();
            world.drain(tab);
        });
    }

    pub fn crash(&mut self, tab: usize) {
        let calls = self.calls.iter_mut().filter(|call| call.tab == tab);
        calls.for_each(|call| call.is_gone = true);
        self.let_go_all(tab);
        let tab = &mut self.tabs[tab];
        tab.is_open = false;
        tab.waits.clear();
        for flight in std::mem::take(&mut tab.flights) {
            self.trips[flight.trip].is_wanted = false;
        }
    }
}
