//! The lock that the tabs of a backend's session share: who waits for it, takes it, lets go of it, and when.
#![cfg(not(target_arch = "wasm32"))]

mod common;

use common::*;
use tokenward::engine::event::{Event, Reason};
use tokenward::engine::oauth::response::{Member, TokenAnswer};
use tokenward::engine::session::{Permit, Settled, Way};
use tokenward::engine::tabs::Signal::{Locked, Refreshed, SignedIn, SignedOut};
use tokenward::engine::{Output, Ticket, Work};

/// How long the lock is waited for: the time limit of a request, and a little more.
const WAIT_MS: u64 = 20 * SECOND;
const SETTLE_MS: u64 = 500;
/// A timer this late was asleep.
const LATE_MS: u64 = 2_001;

/// Something that ends the wait for a lock.
type End = fn(&mut World);

/// It waited in vain and takes the lock, but has it not yet.
fn stealing() -> World {
    let (mut world, _) = World::queued_at_backend(Some("v1"));
    world.pass(WAIT_MS);
    world.stealing();
    world.unlocked.clear();
    world
}

/// It has taken the lock, and sends nothing yet.
fn settling() -> (World, Ticket) {
    let mut world = stealing();
    let ticket = world.stealing();
    world.grant();
    assert_eq!(world.running, []);
    (world, ticket)
}

/// What the engine puts out, by name; a line each time that it is asked.
fn outputs(world: &mut World) -> Vec<String> {
    let mut lines = Vec::new();
    while world.engine.has_output() {
        let names = world.engine.take_outputs().iter().map(name).collect::<Vec<_>>();
        lines.push(names.join(" "));
    }
    lines
}

fn name(output: &Output) -> String {
    match output {
        Output::Signal(signal) => format!("{signal:?}"),
        other => format!("{other:?}").split('(').next().unwrap_or_default().into(),
    }
}

/// Time passes in which no timer fires; then one does.
fn wake(world: &mut World, ms: u64) {
    world.now = world.now.plus(ms);
    world.tick();
}

#[test]
fn nothing_is_sent_without_the_lock() {
    let (mut world, waiter) = World::queued_at_backend(Some("v1"));
    let ticket = world.queued();
    assert_eq!(world.signals, []);
    world.pass(WAIT_MS - 1);
    assert_eq!(world.queued(), ticket);
    world.grant();
    assert_eq!(world.flight(), ticket);
    assert_eq!((&world.signals[..], &world.unlocked[..]), (&[Locked][..], &[][..]));
    world.answer(versioned("access-2", Some("v2")));
    assert_eq!(world.unlocked, [ticket]);
    assert!(matches!(world.settled_as(waiter), Some(Settled::Ready(_))));
}

#[test]
fn the_others_know_before_the_lock_is_free_and_the_app_after() {
    let restored = || World::queued_to_restore().0;
    let renewed = || World::queued_at_backend(Some("v1")).0;
    for (mut world, answer, expected) in [
        (restored(), versioned("access-1", None), &["Refreshed Unlock", "SignedIn Event", "Settle"][..]),
        (restored(), answered(401, None), &["Unlock", "Settle"]),
        (restored(), network_failure(), &["Unlock", "Settle"]),
        (renewed(), versioned("access-2", None), &["Refreshed Unlock", "Event", "Settle"]),
        (renewed(), answered(401, None), &["Unlock", "Event", "Settle Event"]),
        (renewed(), network_failure(), &["Unlock", "Event"]),
    ] {
        world.grant();
        let ticket = world.flight();
        world.engine.answered(ticket, &answer, world.now);
        assert_eq!(outputs(&mut world), expected, "{answer:?}");
    }

    let mut world = renewed();
    let ticket = world.queued();
    world.engine.granted(ticket, world.now);
    assert_eq!(outputs(&mut world), ["Locked Start"]);
    world.engine.sign_out(Reason::SignOut, world.now);
    assert_eq!(outputs(&mut world), ["SignedOut Abort Unlock", "Settle Event", "Start Start"]);

    let mut world = renewed();
    world.grant();
    world.now = world.now.plus(15 * SECOND);
    world.engine.tick(world.now);
    assert_eq!(outputs(&mut world), ["Abort Unlock", "Event"]);
}

#[test]
fn a_lock_that_nobody_waits_for_any_more_is_let_go() {
    let (mut world, _) = World::queued_at_backend(Some("v1"));
    let ticket = world.queued();
    world.sign_out();
    world.unlocked.clear();
    world.grant_ticket(ticket);
    assert_eq!((&world.unlocked[..], &world.running[..]), (&[ticket][..], &[][..]));

    // Nor may it pass for that of the next request.
    let waiter = world.restore(Way::Session);
    let next = world.queued();
    world.grant_ticket(ticket);
    assert_eq!(world.queued(), next);
    world.grant();
    world.grant_ticket(next);
    assert_eq!(world.started.len(), 1, "granted twice, sent once");
    world.lose(ticket);
    world.answer(versioned("access-2", None));
    assert!(matches!(world.settled_as(waiter), Some(Settled::Ready(_))));
}

#[test]
fn a_grant_to_a_page_that_slept_is_none() {
    let (mut world, _) = World::queued_at_backend(Some("v1"));
    let ticket = world.queued();
    world.now = world.now.plus(WAIT_MS);
    world.grant();
    let next = world.queued();
    assert_eq!(world.unlocked, [ticket]);
    assert_ne!(next, ticket);

    let mut world = stealing();
    let ticket = world.stealing();
    world.now = world.now.plus(5 * SECOND);
    world.grant();
    assert_ne!(world.queued(), ticket);
    assert_eq!(world.unlocked, [ticket]);
}

#[test]
fn a_lost_lock_is_asked_for_again() {
    let (world, _) = World::queued_at_backend(Some("v1"));
    let ticket = world.queued();
    let stealing = stealing();
    let stolen = stealing.stealing();
    for (mut world, ticket) in [(world, ticket), (stealing, stolen), settling()] {
        world.lose(ticket);
        let next = world.queued();
        assert_ne!(next, ticket);
        world.pass(WAIT_MS - 1);
        assert_eq!(world.queued(), next, "it waits as long as the first time");
        world.lose(ticket);
        assert_eq!(world.queued(), next, "what befalls an older one is nothing to it");
    }
}

#[test]
fn what_is_sent_is_not_called_back_for_a_lost_lock() {
    let (mut world, _) = World::queued_at_backend(Some("v1"));
    world.grant();
    let ticket = world.flight();
    for refused in [false, true] {
        if refused {
            world.refuse(ticket)
        } else {
            world.lose(ticket)
        }
        assert_eq!((world.flight(), world.started.len()), (ticket, 1));
    }
    world.answer(versioned("access-2", Some("v2")));
    assert_eq!(world.access_token().as_deref(), Some("access-2"));
}

#[test]
fn a_page_without_locks_goes_without() {
    let (world, _) = World::queued_at_backend(Some("v1"));
    let ticket = world.queued();
    let stealing = stealing();
    let stolen = stealing.stealing();
    for (mut world, ticket) in [(world, ticket), (stealing, stolen), settling()] {
        world.refuse(ticket);
        assert_eq!(world.flight(), ticket);
    }
}

#[test]
fn a_browser_that_takes_every_lock_away_is_asked_no_more() {
    let (mut world, _) = World::queued_at_backend(Some("v1"));
    for round in 0..2 {
        for lost in 0..9 {
            assert_eq!(world.started.len(), round, "{lost}");
            world.lose(world.queued());
        }
        world.lose(world.queued());
        assert_eq!(world.started.len(), round + 1);
        world.answer(versioned("access-2", Some("v2")));
        // The next one has as many.
        world.sleep(10 * MINUTE);
        world.must_wait(None);
    }
}

#[test]
fn a_holder_that_does_not_move_is_robbed() {
    let (mut world, _) = World::queued_at_backend(Some("v1"));
    let ticket = world.queued();
    world.pass(WAIT_MS);
    let stolen = world.stealing();
    assert_eq!(world.unlocked, [ticket]);
    assert_ne!(stolen, ticket);
    world.pass(SECOND);
    world.grant();
    world.pass(SETTLE_MS - 1);
    assert_eq!((&world.running[..], &world.signals[..]), (&[][..], &[][..]), "it may not be the only one");
    world.pass(1);
    assert_eq!(world.flight(), stolen);
    assert_eq!(world.signals, [Locked]);
    world.answer(versioned("access-2", Some("v2")));
    assert_eq!(world.unlocked, [ticket, stolen]);
}

#[test]
fn a_lock_that_cannot_be_had_is_done_without() {
    let mut world = stealing();
    let ticket = world.stealing();
    world.pass(5 * SECOND - 1);
    world.stealing();
    world.pass(1);
    assert_eq!(world.flight(), ticket);
    // It comes late, and goes when the request has ended.
    world.grant();
    assert_eq!((world.started.len(), &world.unlocked[..]), (1, &[][..]));
    world.answer(versioned("access-2", Some("v2")));
    assert_eq!(world.unlocked, [ticket]);
}

#[test]
fn a_queue_that_moves_is_waited_for() {
    let (mut world, _) = World::queued_at_backend(Some("v1"));
    let ticket = world.queued();
    for _ in 0..5 {
        world.pass(WAIT_MS - 1);
        world.hear(Locked);
        assert_eq!(world.queued(), ticket);
    }
    world.pass(WAIT_MS - 1);
    world.hear(Refreshed);
    assert_eq!(world.queued(), ticket);
    world.pass(1);
    world.stealing();
    // Whoever got the lock before is nobody who got it meanwhile.
    world.grant();
    world.pass(SETTLE_MS);
    world.flight();
}

#[test]
fn a_robbed_holder_who_moves_is_waited_for() {
    for granted_first in [true, false] {
        let mut world = stealing();
        if granted_first {
            world.grant();
            world.hear(Locked);
        } else {
            world.hear(Locked);
            world.grant();
        }
        world.pass(WAIT_MS - 1);
        assert_eq!(world.running, [], "{granted_first}");
        world.pass(1);
        world.flight();
    }
}

#[test]
fn a_robbed_holder_who_is_done_is_waited_for_no_longer() {
    let (mut world, _) = settling();
    world.hear(Locked);
    world.pass(SECOND);
    world.hear(Refreshed);
    world.pass(SETTLE_MS - 1);
    assert_eq!(world.running, []);
    world.pass(1);
    world.flight();
}

#[test]
fn a_timer_that_was_asleep_waits_anew_but_not_for_ever() {
    let (mut world, _) = World::queued_at_backend(Some("v1"));
    let first = world.queued();
    wake(&mut world, WAIT_MS + LATE_MS);
    let second = world.queued();
    wake(&mut world, WAIT_MS + LATE_MS);
    assert_eq!(world.unlocked, [first, second]);
    world.queued();
    // Timers of a page that nobody sees are always late.
    wake(&mut world, WAIT_MS + LATE_MS);
    world.stealing();

    let (mut world, _) = World::queued_at_backend(Some("v1"));
    wake(&mut world, WAIT_MS + LATE_MS - 1);
    world.stealing();
}

#[test]
fn whoever_slept_with_a_stolen_lock_listens_once_more() {
    let (mut world, ticket) = settling();
    for _ in 0..2 {
        wake(&mut world, SETTLE_MS + LATE_MS);
        assert_eq!((world.running.len(), world.unlocked.len()), (0, 0));
    }
    // It was stolen again meanwhile.
    world.lose(ticket);
    world.queued();

    // The timers of a hidden page are always late.
    let (mut world, ticket) = settling();
    for _ in 0..3 {
        wake(&mut world, SETTLE_MS + LATE_MS);
    }
    assert_eq!(world.flight(), ticket);
    let (mut world, ticket) = settling();
    wake(&mut world, SETTLE_MS + LATE_MS - 1);
    assert_eq!(world.flight(), ticket);
}

#[test]
fn nothing_is_sent_when_the_network_has_gone_meanwhile() {
    let (mut world, waiter) = World::queued_at_backend(Some("v1"));
    let ticket = world.queued();
    world.set_online(false);
    world.grant();
    assert_eq!((&world.unlocked[..], &world.signals[..]), (&[ticket][..], &[][..]));
    assert_eq!((world.events.len(), world.started.len()), (0, 0), "that is no failure");
    assert_eq!(world.settled_as(waiter), None);
    world.set_online(true);
    world.queued();
    world.grant();
    world.answer(versioned("access-2", Some("v2")));
    assert!(matches!(world.settled_as(waiter), Some(Settled::Ready(_))));
    assert_eq!(world.restores, 0);
}

#[test]
fn a_session_that_could_not_be_looked_for_is_looked_for_when_the_network_is_back() {
    let (mut world, _) = World::queued_to_restore();
    let ticket = world.queued();
    world.set_online(false);
    world.engine.granted(ticket, world.now);
    assert_eq!(outputs(&mut world), ["Unlock", "Settle"]);
    for _ in 0..2 {
        world.set_online(true);
        world.set_online(false);
    }
    assert_eq!(world.restores, 1);

    for (answer, is_final) in [(network_failure(), false), (answered(500, None), false), (answered(401, None), true)] {
        let (mut world, waiter) = World::queued_to_restore();
        world.grant();
        world.answer(answer);
        let told = if is_final { Settled::SignedOut } else { Settled::Unavailable };
        assert_eq!(world.settled_as(waiter), Some(told));
        world.set_online(false);
        world.set_online(true);
        assert_eq!(world.restores, u32::from(!is_final));
    }

    let (mut world, _) = World::queued_to_restore();
    world.set_online(false);
    world.grant();
    world.set_tokens(response("access-1", None));
    world.set_online(true);
    assert_eq!(world.restores, 0, "somebody is signed in");
}

#[test]
fn whoever_queues_for_nothing_lets_go() {
    let sign_out = |world: &mut World| _ = world.sign_out();
    let sets = |world: &mut World| world.set_tokens(response("access-2", None));
    let hears = |world: &mut World| world.hear(SignedOut);
    let ways: [(End, bool); 4] = [(sign_out, false), (sets, true), (hears, false), (World::close, false)];
    for (end, signed_in) in ways {
        let (mut world, waiter) = World::queued_at_backend(Some("v1"));
        let ticket = world.queued();
        end(&mut world);
        assert_eq!((&world.unlocked[..], &world.aborted[..]), (&[ticket][..], &[][..]));
        assert_eq!((world.locks.len(), world.started.len()), (0, 0));
        assert!(world.settled_as(waiter).is_some());
        assert_eq!(world.engine.signed_in(), signed_in);

        let (mut world, ticket) = settling();
        end(&mut world);
        assert_eq!(world.unlocked, [ticket]);
        world.pass(WAIT_MS);
        assert_eq!(world.started.len(), 0);
    }
}

#[test]
fn times_count_from_the_sending_not_from_the_queueing() {
    let (mut world, _) = World::queued_to_restore();
    world.pass(10 * SECOND);
    world.grant();
    let ticket = world.flight();
    // It waited for the server's metadata as well.
    world.pass(SECOND);
    world.engine.sent(ticket, world.now);
    let sent = world.now;
    world.pass(SECOND);
    world.engine.sent(Ticket { number: ticket.number + 1, ..ticket }, world.now);
    world.pass(13 * SECOND);
    world.answer(versioned("access-1", None));
    let Some(Event::SignedIn(detail)) = world.events.first() else { panic!("no session") };
    assert_eq!(detail.expires_at, Some((sent.wall_ms + 300 * SECOND) as f64));

    let (mut world, _) = World::queued_at_backend(Some("v1"));
    world.pass(10 * SECOND);
    world.grant();
    let ticket = world.flight();
    world.pass(15 * SECOND - 1);
    world.engine.sent(ticket, world.now);
    world.pass(15 * SECOND - 1);
    assert_eq!(world.flight(), ticket);
    world.pass(1);
    assert_eq!((&world.aborted[..], &world.unlocked[..]), (&[ticket][..], &[ticket][..]));
}

#[test]
fn other_ways_never_take_the_lock_and_tell_nothing() {
    for options in [options(), callback_options()] {
        let (mut world, _) = World::refreshing(options);
        world.signals.clear();
        world.answer(renewed("access-2", Some("refresh-2")));
        assert_eq!((world.locks.len(), &world.unlocked[..], &world.signals[..]), (0, &[][..], &[][..]));
    }
    let mut world = World::discovered(silent_options());
    world.lock_is_free = false;
    world.restore(Way::Silent);
    assert_eq!(world.work(), &Work::Silent);
    world.answer(identified_renewal("access-1", None, "user-1"));
    assert_eq!((world.locks.len(), &world.unlocked[..], &world.signals[..]), (0, &[][..], &[SignedIn][..]));
}

#[test]
fn a_lifetime_that_the_queue_ate_is_whole() {
    // A short one would have expired in the queue.
    let (mut world, waiter) = World::queued_at_backend(Some("v1"));
    world.pass(15 * SECOND);
    world.grant();
    let short = TokenAnswer { expires_in: Member::Number(10.0), ..response("access-2", None) };
    world.answer(answered(200, Some(short)));
    assert!(matches!(world.settled_as(waiter), Some(Settled::Ready(_))));
}

#[test]
fn a_timer_that_slept_while_it_stole_asks_anew() {
    let (mut world, _) = World::queued_at_backend(Some("v1"));
    world.pass(WAIT_MS);
    world.stealing();
    world.now = world.now.plus(10 * MINUTE);
    world.tick();
    world.queued();
}

#[test]
fn an_end_that_is_doubted_offline_is_told() {
    let (mut world, waiter) = World::queued_to_restore();
    world.grant();
    world.hear(Refreshed);
    world.set_online(false);
    world.answer(answered(401, None));
    assert_eq!(world.settled_as(waiter), Some(Settled::SignedOut));
}

#[test]
fn what_is_over_before_it_began_does_not_begin() {
    let mut world = World::signed_in(options());
    world.sleep(10 * MINUTE);
    let permit = world.engine.authorize(world.request(), "GET", None, world.now);
    assert_eq!(permit, Permit::Wait);
    // A listener does that, told of something else.
    world.sign_out();
    assert_eq!((world.started.len(), world.aborted.len()), (0, 0));
    let (mut world, waiter) = World::refreshing(options());
    let ticket = world.flight();
    world.engine.answered(ticket, &renewed("access-2", None), world.now);
    world.cancel(waiter);
    assert_eq!(world.settled_as(waiter), None, "nobody waits for it any more");
}
