//! A million clients at one token endpoint: how many requests it gets in its worst second.
//!
//! Beside ours, what is widespread: a renewal 60 s before expiry, without jitter, and 5 s after each failure (the figures
//! of oidc-client-ts). `npm run storm` prints the table.
#![cfg(not(target_arch = "wasm32"))]

mod common;

use std::thread;

use common::*;
use tokenward::engine::oauth::response::{Member, TokenAnswer};
use tokenward::engine::schedule::Rng;
use tokenward::engine::session::Permit;

const CLIENTS: u64 = 1_000_000;
/// All tokens were issued in it.
const ISSUED_MS: u64 = MINUTE;
const OUTAGE_MS: u64 = 10 * MINUTE;

/// When the endpoint fails every request, at once: a server that hangs is asked less often.
#[derive(Clone, Copy)]
struct Outage {
    from_ms: u64,
    until_ms: u64,
}

impl Outage {
    const NONE: Self = Self { from_ms: u64::MAX, until_ms: u64::MAX };

    fn at(from_ms: u64) -> Self {
        Self { from_ms, until_ms: from_ms + OUTAGE_MS }
    }

    fn fails(self, at_ms: u64) -> bool {
        (self.from_ms..self.until_ms).contains(&at_ms)
    }
}

/// The most requests in one second, of all and of those after the outage.
#[derive(Clone, Copy)]
struct Peaks {
    all: u64,
    after: u64,
}

/// Runs every client to its first renewal, or one for each `share` of them; `client` gives the times of its requests, from
/// when its token was issued.
fn storm(share: u64, outage: Outage, client: impl Fn(u64, u64) -> Vec<u64> + Sync) -> Peaks {
    let workers = thread::available_parallelism().map_or(1, |workers| workers.get() as u64);
    let run = |worker: u64| {
        let mut seconds = Vec::new();
        for seed in (worker..CLIENTS / share).step_by(workers as usize) {
            let issued = Rng::new(!seed).up_to(ISSUED_MS - 1);
            for at in client(seed, issued) {
                let second = ((issued + at) / SECOND) as usize;
                if seconds.len() <= second {
                    seconds.resize(second + 1, 0);
                }
                seconds[second] += share;
            }
        }
        seconds
    };
    let mut total: Vec<u64> = Vec::new();
    thread::scope(|scope| {
        let running: Vec<_> = (0..workers).map(|worker| scope.spawn(move || run(worker))).collect();
        for worker in running {
            let seconds = worker.join().expect("a histogram");
            total.resize(total.len().max(seconds.len()), 0);
            total.iter_mut().zip(seconds).for_each(|(total, requests)| *total += requests);
        }
    });
    let peak = |seconds: &[u64]| seconds.iter().copied().max().unwrap_or_default();
    let end = usize::try_from(outage.until_ms / SECOND).unwrap_or(usize::MAX).min(total.len());
    Peaks { all: peak(&total), after: peak(&total[end..]) }
}

/// The engine's requests until the first that succeeds, with an app that asks every `request_ms`.
fn ours(lifetime_ms: u64, request_ms: Option<u64>, outage: Outage, seed: u64, issued: u64) -> Vec<u64> {
    let tokens = TokenAnswer { expires_in: Member::Number((lifetime_ms / SECOND) as f64), ..response("a", Some("r")) };
    let mut world = World::seeded(options(), seed);
    world.set_tokens(tokens.clone());
    let mut next_request = request_ms.map_or(u64::MAX, |every| Rng::new(seed).up_to(every));
    loop {
        let now = START.elapsed_ms(world.now);
        if now >= next_request {
            next_request += request_ms.unwrap_or_default();
            if world.get() == Permit::Wait {
                world.wait(None);
            }
        }
        if let [(ticket, _)] = world.running[..] {
            let fails = outage.fails(issued + now);
            world.answer_ticket(ticket, if fails { network_failure() } else { answered(200, Some(tokens.clone())) });
            if !fails {
                return world.started.iter().map(|at| START.elapsed_ms(*at)).collect();
            }
        }
        let deadline = world.engine.deadline_ms(world.now).expect("a session has a next refresh");
        world.now = world.now.plus(deadline.min(next_request - now));
        world.tick();
    }
}

/// A fixed lead of 60 s, and a fixed pause of 5 s after a failure.
fn fixed(lifetime_ms: u64, outage: Outage, issued: u64) -> Vec<u64> {
    let mut requests = vec![lifetime_ms - MINUTE];
    while let Some(last) = requests.last().filter(|last| outage.fails(issued + **last)) {
        requests.push(last + 5 * SECOND);
    }
    requests
}

#[test]
#[ignore = "a million clients: npm run storm"]
fn a_million_clients_make_a_tenth_of_the_storm() {
    println!("requests per second at the token endpoint, in the worst second; in brackets after the outage");
    println!("{:>9}  {:<28}{:>18}{:>18}  ratio", "lifetime", "", "tokenward", "fixed");
    for lifetime in [300 * SECOND, 900 * SECOND, HOUR] {
        // Where nothing is asserted, every tenth stands for ten.
        let share = if lifetime == HOUR { 1 } else { 10 };
        // Each outage begins as the first clients of its schedule renew.
        let lead = (lifetime / 10).max(30 * SECOND).min(lifetime / 4);
        let ours_fails = Outage::at(lifetime - lead - lifetime / 5);
        let fixed_fails = Outage::at(lifetime - MINUTE);
        for (what, request_ms, ours_meets, fixed_meets) in [
            ("all is well", None, Outage::NONE, Outage::NONE),
            ("10 minutes' outage", None, ours_fails, fixed_fails),
            ("the same, a request each 30 s", Some(30 * SECOND), ours_fails, fixed_fails),
        ] {
            let ours = storm(share, ours_meets, |seed, issued| ours(lifetime, request_ms, ours_meets, seed, issued));
            let fixed = storm(share, fixed_meets, |_, issued| fixed(lifetime, fixed_meets, issued));
            let shown = |Peaks { all, after }| if after > 0 { format!("{all} ({after})") } else { all.to_string() };
            let ratio = ours.all as f64 / fixed.all as f64;
            println!("{:>7} s  {what:<28}{:>18}{:>18}  {ratio:.3}", lifetime / SECOND, shown(ours), shown(fixed));
            if lifetime == HOUR && request_ms.is_none() {
                assert!(ours.all * 10 <= fixed.all, "{what}");
                assert!(ours.after * 10 <= fixed.after, "{what}, after the outage");
            }
        }
    }
}
