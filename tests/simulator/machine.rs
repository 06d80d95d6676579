//! What the schedule does to the machine and its tabs.

use crate::schedule::Action;
use crate::server::Back;
use crate::tab::Input;
use crate::world::{What, World};

impl World<'_> {
    /// The tab that a step is about.
    fn named(&self, tab: usize) -> usize {
        tab % self.tabs.len()
    }

    fn holder_or(&self, tab: usize, holder: bool) -> usize {
        self.lock.holder().filter(|_| holder).unwrap_or(self.named(tab))
    }

    pub fn act(&mut self, action: Action) {
        match action {
            Action::Fetch { tab, one_shot } => self.fetch(self.named(tab), one_shot),
            Action::AbortFetch { tab } => self.abort_fetch(self.named(tab)),
            Action::Refresh { tab } => self.refresh(self.named(tab)),
            Action::SignIn { tab } => self.sign_in(self.named(tab)),
            Action::SetTokens { tab, renewable } => self.set_tokens(self.named(tab), renewable),
            Action::SignOut { tab } => self.sign_out(self.named(tab)),
            Action::Revoke { tab } => {
                if let Some(family) = self.tabs[self.named(tab)].truth.family {
                    self.server.kill(family, self.t);
                }
            }
            Action::Open => {
                if self.tabs.len() < 5 {
                    self.open_signed_in();
                }
            }
            Action::Close { tab } => self.close(self.named(tab)),
            Action::Crash { tab, holder } => self.crash(self.holder_or(tab, holder)),
            Action::Freeze { tab, holder } => {
                let tab = self.holder_or(tab, holder);
                self.tabs[tab].is_frozen = true;
            }
            Action::Resume { tab, timers_first } => {
                let tab = self.named(tab);
                if self.tabs[tab].is_frozen {
                    self.tabs[tab].is_frozen = false;
                    self.rouse(tab, timers_first);
                }
            }
            Action::Hide { tab } => {
                let tab = self.named(tab);
                self.set_hidden(tab, true);
            }
            Action::Show { tab } => {
                let tab = self.named(tab);
                self.set_hidden(tab, false);
            }
            Action::Sleep { ms, breaks, timers_first } => {
                self.is_asleep = true;
                self.fell_asleep_at = self.t;
                if breaks {
                    self.break_connections();
                }
                self.at(ms, What::WakeUp { timers_first });
            }
            Action::Jump { ms } => {
                self.wall_offset_ms += ms;
                for tab in &mut self.tabs {
                    tab.truth.has_cause = true;
                }
            }
            Action::Offline => self.set_online(false),
            Action::Online => self.set_online(true),
        }
    }

    fn break_connections(&mut self) {
        for trip in &mut self.trips {
            trip.back.get_or_insert(Back::Failure);
        }
        self.note(|| "connections break".into());
    }

    pub fn set_hidden(&mut self, tab: usize, hidden: bool) {
        if self.tabs[tab].is_hidden != hidden {
            self.tabs[tab].is_hidden = hidden;
            self.tabs[tab].roused_at = self.t;
            self.at(0, What::Input(tab, Input::Wake));
            self.rearm(tab);
        }
    }

    pub fn set_online(&mut self, online: bool) {
        if self.is_online != online {
            self.is_online = online;
            for tab in 0..self.tabs.len() {
                self.at(1, What::Input(tab, Input::Wake));
            }
        }
    }

    pub fn wake_up(&mut self, timers_first: bool) {
        self.is_asleep = false;
        self.slept_ms += self.t - self.fell_asleep_at;
        self.note(|| "the machine wakes up".into());
        for tab in 0..self.tabs.len() {
            self.tabs[tab].truth.has_cause = true;
            if !self.tabs[tab].is_frozen {
                self.rouse(tab, timers_first);
            }
        }
    }

    /// What a tab missed comes now.
    fn rouse(&mut self, tab: usize, timers_first: bool) {
        self.tabs[tab].roused_at = self.t;
        if timers_first {
            self.rearm(tab);
        } else {
            self.at(0, What::Input(tab, Input::Wake));
        }
        for input in std::mem::take(&mut self.tabs[tab].inbox) {
            self.at(0, What::Input(tab, input));
        }
        if timers_first {
            self.at(0, What::Input(tab, Input::Wake));
        } else {
            self.rearm(tab);
        }
    }
}
