// Proves that the simulator finds what it is there for: each mutation takes one of the engine's guards out.
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { root, target } from "./tools.mjs";

/** Each is to be found within so many schedules. */
const SCHEDULES = 10_000;

const PARTS = ["Cargo.toml", "Cargo.lock", "src", "tests/common", "tests/simulator"];

/** What stands in a file, exactly once, and what takes its place. Where guards stand behind one another, all of them go. */
const MUTATIONS = {
  "the epoch checks": [
    ["refresh.rs", "if ticket.epoch != self.stamp().epoch {\n            return;\n        }\n        ", ""],
    ["refresh.rs", "self.flight.take_if(|flight| flight.ticket == ticket)", "self.flight.take()"],
    ["requests.rs", "after.is_some_and(|after| after.epoch != self.epoch)", "false"],
    ["requests.rs", "self.tokens.is_none() || after.epoch != self.epoch", "self.tokens.is_none()"],
    ["requests.rs", "stamp.epoch != self.epoch || self.tokens.is_none()", "self.tokens.is_none()"],
  ],
  "the generation check of refused requests": [["requests.rs", "stamp.generation < self.generation", "false"]],
  "the second look after the lock": [
    ["tabs.rs", "version == Some(None) && renewed", "version == Some(None) && renewed && false"],
    ["tabs.rs", 'form.add("after", version.unwrap_or_default())', 'form.add("after", version.map_or("", |_| ""))'],
  ],
  "the single flight": [["refresh.rs", "self.flight.is_none() && self.online", "self.online"]],
  "the orphan handling": [["tabs.rs", "self.queue(Stage::Stealing, now)", "self.queue(Stage::Queued, now)"]],
};

/** Runs the simulator around the engine as it is, and around each mutant. */
export function mutations() {
  let passed = 0;
  let failed = 0;
  const judge = (is, text) => {
    console.log(`${is ? "ok" : "FAILED"}: ${text}`);
    is ? passed++ : failed++;
  };
  const sound = simulate([]);
  judge(sound.after === undefined && sound.ran, `the engine as it is: ${sound.says}`);
  for (const [name, changes] of Object.entries(MUTATIONS)) {
    const { after, says } = simulate(changes);
    judge(after <= SCHEDULES, `without ${name}: ${says}`);
  }
  return { passed, failed };
}

function simulate(changes) {
  const crate = join(target, "mutants");
  rmSync(crate, { recursive: true, force: true });
  mkdirSync(crate, { recursive: true });
  for (const part of PARTS) cpSync(join(root, part), join(crate, part), { recursive: true });
  for (const [name, from, to] of changes) {
    const file = join(crate, "src/engine", name);
    const parts = readFileSync(file, "utf8").split(from);
    if (parts.length !== 2) throw new Error(`${name} holds ${parts.length - 1} times, not once: ${from}`);
    writeFileSync(file, parts.join(to));
  }
  // A folder of its own: cargo would take a mutant for the crate that it was copied from.
  const env = { ...process.env, CARGO_TARGET_DIR: join(target, "mutations") };
  const args = ["test", "-q", "--test", "simulator", "--", "--seeds", String(SCHEDULES)];
  const { stdout, stderr } = spawnSync("cargo", args, { cwd: crate, env, encoding: "utf8" });
  const found = /^found after (\d+) schedules: .*$/m.exec(stdout);
  const ran = /^test result: /m.test(stdout);
  if (!ran) console.log(stderr);
  return { ran, after: found ? Number(found[1]) : undefined, says: found?.[0] ?? (ran ? "nothing found" : "it does not run") };
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  if (mutations().failed > 0) process.exitCode = 1;
}
