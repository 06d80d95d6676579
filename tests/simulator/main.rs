//! A deterministic simulator: tabs, servers, clocks and everything that goes wrong between them, around the real engine.
//!
//! `--seeds N` runs N schedules, `--base B` from this seed on; `--seed S` runs one, prints it as small as it gets, and
//! what happened.
#![cfg_attr(target_arch = "wasm32", no_main)]
#![cfg(not(target_arch = "wasm32"))]

mod app;
mod browser;
mod calls;
mod checks;
#[path = "../common/mod.rs"]
mod common;
mod machine;
mod schedule;
mod server;
mod shrink;
mod tab;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

use schedule::Schedule;
use world::{Violation, run};

/// In `npm test`.
const SEEDS: u64 = 20_000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let option = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        Some(arguments[at + 1].parse::<u64>().expect("a number"))
    };
    // A panic is a finding like others.
    std::panic::set_hook(Box::new(|_| {}));
    match option("--seed") {
        Some(seed) => replay(seed),
        None => search(option("--base").unwrap_or(0), option("--seeds").unwrap_or(SEEDS)),
    }
}

fn verdict(schedule: &Schedule, trace: Option<&mut Vec<String>>) -> Result<(), Violation> {
    catch_unwind(AssertUnwindSafe(|| run(schedule, trace))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let detail = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).into())).unwrap_or_default();
        Err(Violation { rule: "nothing panics", detail })
    })
}

fn search(base: u64, seeds: u64) -> ExitCode {
    let began = Instant::now();
    for seed in base..base + seeds {
        if let Err(Violation { rule, detail }) = verdict(&Schedule::new(seed), None) {
            println!("found after {} schedules: {rule}: {detail}", seed - base + 1);
            println!("again: npm run simulate -- --seed {seed}");
            println!("test result: FAILED. 0 passed; 1 failed; 0 ignored");
            return ExitCode::FAILURE;
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    println!("{seeds} schedules in {seconds:.1} s, {:.0} a second", seeds as f64 / seconds);
    println!("test result: ok. 1 passed; 0 failed; 0 ignored");
    ExitCode::SUCCESS
}

fn replay(seed: u64) -> ExitCode {
    let schedule = Schedule::new(seed);
    let Err(found) = verdict(&schedule, None) else {
        print!("{schedule}");
        println!("nothing is broken");
        return ExitCode::SUCCESS;
    };
    let fails = |smaller: &Schedule| verdict(smaller, None).is_err_and(|other| other.rule == found.rule);
    let smallest = shrink::shrink(schedule, &fails);
    let mut trace = Vec::new();
    let result = verdict(&smallest, Some(&mut trace));
    print!("{smallest}");
    for line in trace {
        println!("{line}");
    }
    println!("{}: {:?}", found.rule, result);
    ExitCode::FAILURE
}
