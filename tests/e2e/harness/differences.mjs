// Where the patched `fetch` has to differ from the native one: in what, in which engines, and why. `transparent()` asserts it.
import assert from "node:assert/strict";
import { OURS } from "./transparency.mjs";

/**
 * @typedef {{ outcome: object, log: string[], arrived: object[] }} Side
 * @typedef {{ why: string, check: (native: Side, patched: Side) => void, targets?: string[], engines?: string[], anew?: boolean }} Difference
 *   `targets`, `engines`: all that there are if not given; `anew`: what is sent again need not be what was refused
 */

/** The same, but rejected at another time. */
const rejected = (inOrder) => (native, patched) => {
  assert.deepEqual(patched.outcome, native.outcome);
  const [first, then] = [native, patched].map(({ log }) => ({
    others: log.filter((entry) => entry !== "rejected"),
    at: log.indexOf("rejected"),
  }));
  assert.deepEqual(then.others, first.others);
  assert.ok(inOrder(first.at, then.at), `${first.at}, then ${then.at}`);
};

/** An error that is known at once, or an abort. WebKit tells those in a task, which is later anyway. */
export const later = {
  engines: ["chromium", "firefox"],
  why: "told after a microtask, since each answer is looked at before the app has it",
  check: rejected((native, patched) => patched > native),
};

/** An abort right after the call, which WebKit tells in a task. */
export const sooner = {
  engines: ["webkit"],
  targets: ["waiting"],
  why: "told at once, since nothing was sent yet",
  check: rejected((native, patched) => patched < native),
};

/** What was sent, WebKit ends with an `AbortError` of its own. */
export const reasoned = {
  ...sooner,
  why: `${sooner.why}, and with the app's own reason`,
  check(native, patched) {
    assert.equal(native.outcome.settled.rejected.name, "AbortError");
    assert.deepEqual(patched.outcome, { settled: { rejected: "the very error" } });
    sooner.check(native, { ...patched, outcome: native.outcome });
  },
};

/** Where streams can be sent: others make a string of one, or nothing. */
export const lockedLate = {
  engines: ["chromium"],
  targets: ["waiting"],
  why: "not before it is sent",
  check(native, patched) {
    assert.deepEqual(patched.outcome, native.outcome);
    assert.deepEqual([native.log[0], patched.log[0]], ["locked true", "locked false"]);
  },
};

/** Whether a Request was made of a stream, WebKit tells only when it is sent. */
export const pulled = {
  engines: ["webkit"],
  targets: OURS,
  why: "cloned before it is refused, so that the stream is asked once more",
  check(native, patched) {
    assert.equal(native.outcome.settled.rejected.name, "NotSupportedError");
    assert.deepEqual(patched.outcome, native.outcome);
    const [pulls, others] = [true, false].map((pulls) => ({ log }) => log.filter((entry) => /^(pull$|locked )/.test(entry) === pulls));
    assert.deepEqual(others(patched), others(native));
    const count = (side) => pulls(side).filter((entry) => entry === "pull").length;
    assert.equal(count(patched), count(native) + 1);
  },
};

/** Natively it follows until it is sent. No copy of a Request's body can be had at once. `then`: what it is later. */
export const followed = (then) => ({
  engines: ["webkit"],
  targets: ["refused", "waiting"],
  why: "a Request follows what it was made from, and is sent later",
  anew: true,
  check(native, patched) {
    assert.deepEqual(patched.outcome, native.outcome);
    const [body, changed] = [native, patched].map(({ arrived }) => arrived.map(({ body }) => body).join());
    assert.notEqual(changed, body);
    assert.equal(changed, Buffer.from(then).toString("base64"));
  },
});

/** The names are checked as they are read. */
export const unread = {
  targets: OURS,
  why: "what comes after headers with a wrong name is not read",
  check(native, patched) {
    assert.deepEqual(patched.outcome, native.outcome);
    assert.deepEqual(patched.log, native.log.filter((entry) => entry !== "init.method"));
  },
};

/** The browser compares the refusal with it, and nobody else is told that it was one. */
export const unanswered = {
  targets: ["refused"],
  why: "the refusal itself fails it, unseen",
  check(native, patched) {
    assert.equal(patched.outcome.settled.rejected.name, "TypeError");
    assert.deepEqual(patched.arrived, []);
  },
};
