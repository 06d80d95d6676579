//! The authorization server: one-time refresh tokens whose reuse ends the family. A backend that has such tokens for a
//! cookie. And the API that takes the access tokens.

use tokenward::engine::failure::{Answer, Exchange};
use tokenward::engine::oauth::response::{Member, TokenAnswer};

use crate::common::{SECOND, answered, delayed, error_response, network_failure, response, text};
use crate::schedule::{Backend, Luck};

/// All that was issued in one sign-in.
#[derive(Default)]
pub struct Family {
    /// When it ended.
    pub dead_at: Option<u64>,
}

pub struct Access {
    pub family: usize,
    pub issued_at: u64,
    pub expires_at: u64,
    is_revoked: bool,
}

pub struct Refresh {
    pub family: usize,
    /// By this trip.
    pub used_by: Option<usize>,
    /// The tab that used it has its answer.
    pub is_answered: bool,
}

/// A session at the backend.
pub struct Session {
    pub family: usize,
    pub access: usize,
    refresh: usize,
    is_over: bool,
}

/// What the browser has of a session at the backend.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cookie {
    pub session: usize,
    /// The one-time token, where the backend keeps nothing.
    pub refresh: usize,
}

#[derive(Default)]
pub struct Server {
    pub families: Vec<Family>,
    pub accesses: Vec<Access>,
    pub refreshes: Vec<Refresh>,
    pub sessions: Vec<Session>,
    lifetime_s: u64,
}

/// What comes back to a tab.
#[derive(Clone, Debug, PartialEq)]
pub enum Back {
    Tokens {
        access: usize,
        refresh: Option<usize>,
        expires_in_s: u64,
        version: Option<usize>,
    },
    /// An OAuth error.
    Error(&'static str),
    Status(u16),
    RetryAfter(u16, u64),
    Html,
    /// A network failure.
    Failure,
}

impl Back {
    pub fn exchange(&self) -> Exchange {
        match self {
            Self::Tokens { .. } => answered(200, self.token_answer()),
            Self::Error(error) => answered(400, Some(error_response(error))),
            Self::Status(status) => answered(*status, None),
            Self::RetryAfter(status, ms) => delayed(*status, *ms),
            Self::Html => Exchange::Answered(Answer { status: 200, ..Answer::default() }),
            Self::Failure => network_failure(),
        }
    }

    /// As JSON, if it is a token response.
    pub fn token_answer(&self) -> Option<TokenAnswer> {
        let Self::Tokens { access, refresh, expires_in_s, version } = self else { return None };
        let refresh = refresh.map(|refresh| format!("r{refresh}"));
        let answer = response(&format!("t{access}"), refresh.as_deref());
        let version = version.map_or(Member::Absent, |version| text(&format!("v{version}")));
        Some(TokenAnswer { expires_in: Member::Number(*expires_in_s as f64), version, ..answer })
    }
}

/// The number in the name of a token.
pub fn number(token: &str) -> usize {
    token[1..].parse().expect("a token of this server's")
}

impl Server {
    pub fn new(lifetime_s: u64) -> Self {
        Self { lifetime_s, ..Self::default() }
    }

    /// The first tokens of a family of their own.
    pub fn sign_in(&mut self, renewable: bool, t: u64) -> Back {
        self.families.push(Family::default());
        self.issue(self.families.len() - 1, renewable, t)
    }

    pub fn issue(&mut self, family: usize, renewable: bool, t: u64) -> Back {
        self.accesses.push(Access {
            family,
            issued_at: t,
            expires_at: t + self.lifetime_s * SECOND,
            is_revoked: false,
        });
        if renewable {
            self.refreshes.push(Refresh { family, used_by: None, is_answered: false });
        }
        Back::Tokens {
            access: self.accesses.len() - 1,
            refresh: renewable.then(|| self.refreshes.len() - 1),
            expires_in_s: self.lifetime_s,
            version: None,
        }
    }

    /// A session at the backend begins.
    pub fn begin_session(&mut self, t: u64) -> Cookie {
        self.sign_in(true, t);
        let (family, access, refresh) = (self.families.len() - 1, self.accesses.len() - 1, self.refreshes.len() - 1);
        self.sessions.push(Session { family, access, refresh, is_over: false });
        Cookie { session: self.sessions.len() - 1, refresh }
    }

    /// Whether the backend asks for new tokens. `after` is the version of the token that is not good enough.
    pub fn is_renewal(&self, backend: Backend, cookie: Cookie, after: Option<&str>, t: u64) -> bool {
        let access = self.sessions[cookie.session].access;
        let left_ms = self.accesses[access].expires_at.saturating_sub(t);
        match backend {
            Backend::Stateful => {
                after.is_some_and(|after| after.is_empty() || after == format!("v{access}"))
                    || left_ms * 3 < self.lifetime_s * SECOND
            }
            Backend::Coarse => after.is_some() || left_ms < SECOND,
            Backend::Dumb => true,
            Backend::Stingy => left_ms * 3 < self.lifetime_s * SECOND,
        }
    }

    /// The backend's session endpoint. Gives the cookie that the answer sets.
    pub fn ask(
        &mut self,
        backend: Backend,
        cookie: Option<Cookie>,
        after: Option<&str>,
        trip: usize,
        t: u64,
    ) -> (Back, Option<Cookie>) {
        let Some(cookie) = cookie.filter(|cookie| !self.sessions[cookie.session].is_over) else {
            return (Back::Status(401), None);
        };
        if self.is_renewal(backend, cookie, after, t) {
            let refresh = if backend == Backend::Dumb { cookie.refresh } else { self.sessions[cookie.session].refresh };
            let Back::Tokens { access, refresh: Some(refresh), .. } = self.renew(refresh, trip, t) else {
                self.sessions[cookie.session].is_over = true;
                return (Back::Status(401), None);
            };
            let session = &mut self.sessions[cookie.session];
            (session.access, session.refresh) = (access, refresh);
        }
        let Session { access, refresh, .. } = self.sessions[cookie.session];
        let expires_in_s = self.accesses[access].expires_at.saturating_sub(t) / SECOND;
        let version = (backend == Backend::Stateful).then_some(access);
        (Back::Tokens { access, refresh: None, expires_in_s, version }, Some(Cookie { refresh, ..cookie }))
    }

    /// The backend's sign-out endpoint.
    pub fn end_session(&mut self, cookie: Option<Cookie>, t: u64) -> Back {
        if let Some(cookie) = cookie {
            self.sessions[cookie.session].is_over = true;
            self.kill(self.sessions[cookie.session].family, t);
        }
        Back::Status(204)
    }

    /// The `refresh_token` grant.
    pub fn renew(&mut self, refresh: usize, trip: usize, t: u64) -> Back {
        let Refresh { family, used_by, .. } = self.refreshes[refresh];
        if used_by.is_some() {
            self.kill(family, t);
        }
        if self.families[family].dead_at.is_some() {
            return Back::Error("invalid_grant");
        }
        self.refreshes[refresh].used_by = Some(trip);
        self.issue(family, true, t)
    }

    /// RFC 7009. With its refresh token a family ends.
    pub fn revoke(&mut self, token: &str, t: u64) -> Back {
        let number = number(token);
        if token.starts_with('r') {
            self.kill(self.refreshes[number].family, t);
        } else {
            self.accesses[number].is_revoked = true;
        }
        Back::Status(200)
    }

    pub fn kill(&mut self, family: usize, t: u64) {
        self.families[family].dead_at.get_or_insert(t);
    }

    /// The status with which the API answers.
    pub fn api(&self, access: Option<usize>, luck: Luck, t: u64) -> u16 {
        let is_good = access.map(|access| &self.accesses[access]).is_some_and(|access| {
            !access.is_revoked && self.families[access.family].dead_at.is_none() && t < access.expires_at
        });
        if is_good && !matches!(luck, Luck::Status(_)) { 200 } else { 401 }
    }
}
