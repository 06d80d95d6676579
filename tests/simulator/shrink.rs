//! Makes a schedule that fails as small as it can.

use crate::schedule::{Fate, Schedule};

/// The smallest schedule found for which `fails` still holds.
pub fn shrink(mut schedule: Schedule, fails: &dyn Fn(&Schedule) -> bool) -> Schedule {
    loop {
        let mut is_smaller = false;
        let mut length = schedule.steps.len().max(1);
        while length > 0 {
            let mut from = 0;
            while from < schedule.steps.len() {
                let mut smaller = schedule.clone();
                smaller.steps.drain(from..(from + length).min(schedule.steps.len()));
                if fails(&smaller) {
                    schedule = smaller;
                    is_smaller = true;
                } else {
                    from += length;
                }
            }
            length /= 2;
        }
        for change in changes(&schedule) {
            let mut smaller = schedule.clone();
            change(&mut smaller);
            if fails(&smaller) {
                schedule = smaller;
                is_smaller = true;
            }
        }
        if !is_smaller {
            return schedule;
        }
    }
}

type Change = Box<dyn Fn(&mut Schedule)>;

/// Each makes a schedule simpler in one place.
fn changes(schedule: &Schedule) -> Vec<Change> {
    let mut changes: Vec<Change> = Vec::new();
    if schedule.tabs > 1 {
        changes.push(Box::new(|schedule| schedule.tabs -= 1));
    }
    if schedule.wall_offset_ms != 0 {
        changes.push(Box::new(|schedule| schedule.wall_offset_ms = 0));
    }
    if schedule.ends_idle {
        changes.push(Box::new(|schedule| schedule.ends_idle = false));
    }
    if schedule.slow_channel {
        changes.push(Box::new(|schedule| schedule.slow_channel = false));
    }
    if schedule.mono_stops {
        changes.push(Box::new(|schedule| schedule.mono_stops = false));
    }
    for (at, fate) in schedule.fates.iter().enumerate() {
        if *fate != Fate::FINE {
            changes.push(Box::new(move |schedule| schedule.fates[at] = Fate::FINE));
        }
    }
    for (at, fate) in schedule.api_fates.iter().enumerate() {
        if *fate != Fate::FINE {
            changes.push(Box::new(move |schedule| schedule.api_fates[at] = Fate::FINE));
        }
    }
    for (at, step) in schedule.steps.iter().enumerate() {
        if step.after_ms > 0 {
            changes.push(Box::new(move |schedule| schedule.steps[at].after_ms = 0));
            changes.push(Box::new(move |schedule| schedule.steps[at].after_ms /= 2));
        }
    }
    changes
}
