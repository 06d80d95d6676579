// The demo, used as a person would: by its buttons.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { By, until } from "selenium-webdriver";
import { startDemo } from "../../www/main.mjs";
import { browserDriver, dist } from "./harness/stage.mjs";

const WAIT_MS = 10_000;
const ANY_PORT = { app: 0, auth: 0, api: 0, other: 0 };

let demo;

before(async () => {
  demo = await startDemo({ ports: ANY_PORT, dist });
});

after(() => demo?.close());

const find = (css) => browserDriver().wait(until.elementLocated(By.css(css)), WAIT_MS, css);
const press = async (id) => (await find(`#${id}`)).click();
const number = async (id) => Number(await (await find(`#${id}`)).getText());
const logged = async (type) => (await browserDriver().findElements(By.css(`#log li[data-event="${type}"]`))).length;
const lastCall = (label, state) => find(`#requests tr[data-label="${label}"][data-state="${state}"]`);

async function signIn() {
  await browserDriver().get(`${demo.app.origin}/`);
  await find("body[data-ready]");
  await press("sign-in");
  await press("allow");
  await find('body[data-ready] #state[data-status="fresh"]');
}

test("sign in, call the API with a token and others without, sign out", async () => {
  await signIn();
  assert.equal(await browserDriver().getCurrentUrl(), `${demo.app.origin}/`);
  assert.equal(await number("generation"), 1);

  await press("call-orders");
  assert.deepEqual(await attributes(await lastCall("call-orders", "answered")), { status: "200", token: "yes", generation: "1" });
  await press("call-echo");
  assert.deepEqual(await attributes(await lastCall("call-echo", "answered")), { status: "200", token: "yes", generation: "1" });
  for (const stranger of ["call-other", "call-public"]) {
    await press(stranger);
    assert.deepEqual(await attributes(await lastCall(stranger, "answered")), { status: "200", token: "no", generation: null });
  }

  await press("sign-out");
  await find('#state[data-status="signed_out"]');
  await find('#log li[data-event="signedout"][data-reason="sign_out"]');
  assert.equal(demo.auth.revocationRequests.some(({ tokenTypeHint }) => tokenTypeHint === "refresh_token"), true);
  assert.equal(demo.other.requests.some(({ tokenReceived }) => tokenReceived), false);
  assert.equal(await number("seen-stray-tokens"), 0);
  assert.equal(await number("seen-expired-tokens"), 0);
});

test("a refusal, a renewal, more that is wanted, and a revocation", async () => {
  await signIn();
  await press("refuse-once");
  await find('#log li[data-event="note"]');
  await press("call-orders");
  assert.deepEqual(await attributes(await lastCall("call-orders", "answered")), { status: "200", token: "yes", generation: "2" });
  await find('#timeline .refresh[data-outcome="accepted"]');
  await press("refresh-now");
  await browserDriver().wait(async () => (await number("generation")) === 3, WAIT_MS);

  await press("call-admin");
  await find('#log li[data-event="insufficientscope"]');
  await press("call-stepup");
  await find('#log li[data-event="stepup"]');

  const notes = await logged("note");
  await press("revoke");
  await browserDriver().wait(async () => (await logged("note")) > notes, WAIT_MS);
  await press("refresh-now");
  await find('#log li[data-event="signedout"][data-reason="refresh_rejected"]');
  await find('#state[data-status="signed_out"]');
});

async function attributes(row) {
  const names = ["status", "token", "generation"];
  return Object.fromEntries(await Promise.all(names.map(async (name) => [name, await row.getAttribute(`data-${name}`)])));
}
