// The demo, used as a person would: by its buttons.
import assert from "node:assert/strict";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { By, error as webdriverError, until } from "selenium-webdriver";
import { startDemo } from "../../www/main.mjs";
import { browser } from "./harness/browsers.mjs";
import { browserDriver, dist, latch } from "./harness/stage.mjs";

const WAIT_MS = 10_000;
const ANY_PORT = { app: 0, auth: 0, api: 0, other: 0 };

let demo;
let firstTab;

before(async () => {
  demo = await startDemo({ ports: ANY_PORT, dist });
});

after(() => demo?.close());

/** Nobody is signed in anywhere, and the demo is open. */
beforeEach(async () => {
  firstTab ??= await browserDriver().getWindowHandle();
  await closeOtherTabs();
  // WebDriver deletes the cookies that the page's path would get; those of all servers are one host's.
  await browserDriver().get(`${demo.app.origin}/session/nothing`);
  await browserDriver().manage().deleteAllCookies();
  await open();
  await find('#state[data-status="signed_out"]');
});

const find = (css) => browserDriver().wait(until.elementLocated(By.css(css)), WAIT_MS, css);
const press = async (id) => (await find(`#${id}`)).click();
const read = async (id) => (await find(`#${id}`)).getText();
const number = async (id) => Number(await read(id));
const logged = async (type) => (await browserDriver().findElements(By.css(`#log li[data-event="${type}"]`))).length;
const lastCall = (label, state) => find(`#requests tr[data-label="${label}"][data-state="${state}"]`);
const newestCall = (label, state) => find(`#requests tr:first-child[data-label="${label}"][data-state="${state}"]`);
const isShown = async (id) => (await find(`#${id}`)).isDisplayed();

async function open() {
  await browserDriver().get(`${demo.app.origin}/`);
  await find("body[data-ready]");
}

async function reload() {
  const body = await find("body");
  await press("reload");
  await browserDriver().wait(until.stalenessOf(body), WAIT_MS, "the page does not reload");
  await find("body[data-ready]");
}

async function closeOtherTabs() {
  for (const handle of await browserDriver().getAllWindowHandles()) {
    if (handle === firstTab) continue;
    await browserDriver().switchTo().window(handle);
    await browserDriver().close();
  }
  await browserDriver().switchTo().window(firstTab);
}

/** By redirect. */
async function signIn() {
  await press("sign-in");
  await press("allow");
  await signedIn("sign-in");
}

async function signedIn(how) {
  await find('body[data-ready] #state[data-status="fresh"]');
  await find(`#user[data-sub="ada"][data-how="${how}"]`);
  assert.match(await read("user"), /^Ada Zoë ✓ \(ada\), /);
  assert.equal(await browserDriver().getCurrentUrl(), `${demo.app.origin}/`);
  await storesNothing();
}

/** But the time of the last sign-out, and the demo's own switch. */
async function storesNothing() {
  const stored = await browserDriver().executeScript("return [...Object.entries(localStorage), ...Object.entries(sessionStorage)];");
  const isKnown = ([name, value]) => (name.startsWith("tokenward.signout ") && /^\d{13}$/.test(value)) || name === "demo.bound";
  assert.deepEqual(stored.filter((entry) => !isKnown(entry)), []);
}

/** Goes to the window that a button opens. */
async function followTo(button) {
  const handles = await browserDriver().getAllWindowHandles();
  await press(button);
  const opened = await browserDriver().wait(
    async () => (await browserDriver().getAllWindowHandles()).find((handle) => !handles.includes(handle)),
    WAIT_MS,
    "no window opens",
  );
  await browserDriver().switchTo().window(opened);
  return opened;
}

/** Answers the authorization server in the popup that a button opens. */
async function inPopup(button, answer) {
  const opener = await browserDriver().getWindowHandle();
  const popup = await followTo(button);
  // The popup closes itself, which can be before the click is over for WebDriver.
  await press(answer).catch((error) => {
    if (!(error instanceof webdriverError.NoSuchWindowError)) throw error;
  });
  await browserDriver().wait(
    async () => !(await browserDriver().getAllWindowHandles()).includes(popup),
    WAIT_MS,
    "the popup stays open",
  );
  await browserDriver().switchTo().window(opener);
}

/** The buttons of each kind of request, and what is asked for by it. */
const kinds = {
  "call-orders": "/v1/orders",
  "call-xhr": "/v1/orders",
  "call-image": "/v1/picture.svg",
  "call-events": "/v1/events",
  "call-sound": "/v1/sound.wav",
};
const throughWorker = ["call-image", "call-events", "call-sound"];

const connected = () => find('#worker[data-state="connected"]');

/** Presses the button, and gives what its row says and what the API answered. */
async function ask(label, state) {
  const first = demo.api.requests.length;
  await press(label);
  const { status, token, generation } = await attributes(await newestCall(label, state));
  const arrived = demo.api.requests.slice(first);
  assert.equal(arrived.every(({ path }) => path.startsWith(kinds[label])), true);
  // A sound comes in parts.
  const whole = (code) => (code === 206 ? 200 : code);
  return { status: String(whole(Number(status))), token, generation, answers: arrived.map((request) => whole(request.status)) };
}

/** So that none is renewed by itself meanwhile. */
function longTokens(t) {
  const { accessTokenTtl } = demo.auth.settings;
  demo.auth.settings.accessTokenTtl = 300;
  t.after(() => (demo.auth.settings.accessTokenTtl = accessTokenTtl));
}

/** The switch is on, or off, at the server. */
async function flip(id, on) {
  await press(id);
  await find(`#${id}[aria-pressed="${on}"]`);
}

test("sign in, call the API with a token and others without, sign out", async () => {
  await signIn();
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
  assert.equal(await isShown("user"), false);
  assert.equal(demo.auth.revocationRequests.some(({ tokenTypeHint }) => tokenTypeHint === "refresh_token"), true);
  assert.equal(demo.other.requests.some(({ tokenReceived }) => tokenReceived), false);
  assert.equal(await number("seen-stray-tokens"), 0);
  assert.equal(await number("seen-expired-tokens"), 0);
});

test("a refusal, a renewal, more that is wanted, and a revocation", async () => {
  await signIn();
  const notes = await logged("note");
  await press("refuse-once");
  await browserDriver().wait(async () => (await logged("note")) > notes, WAIT_MS);
  await press("call-orders");
  assert.deepEqual(await attributes(await lastCall("call-orders", "answered")), { status: "200", token: "yes", generation: "2" });
  await find('#timeline .refresh[data-outcome="accepted"]');
  await press("refresh-now");
  await browserDriver().wait(async () => (await number("generation")) === 3, WAIT_MS);

  await press("call-admin");
  await find('#log li[data-event="insufficientscope"]');

  await press("revoke");
  await browserDriver().wait(async () => (await logged("note")) > notes + 1, WAIT_MS);
  await press("refresh-now");
  await find('#log li[data-event="signedout"][data-reason="refresh_rejected"]');
  await find('#state[data-status="signed_out"]');
});

test("sign in in a popup, and prove it again in another", async () => {
  await inPopup("sign-in-popup", "allow");
  await signedIn("sign-in");
  assert.equal(await (await browserDriver().switchTo().activeElement()).getAttribute("id"), "user");

  assert.equal(await isShown("step-up"), false);
  await press("call-stepup");
  await find('#log li[data-event="stepup"]');
  assert.deepEqual(await attributes(await lastCall("call-stepup", "failed")), { status: "401", token: "yes", generation: "1" });
  await inPopup("step-up", "allow");
  assert.deepEqual(await attributes(await lastCall("step-up", "answered")), { status: "200", token: "yes", generation: "2" });
  assert.equal(await isShown("step-up"), false);
  await signedIn("sign-in");
});

test("a reload is answered by the authorization server, in a hidden frame", async () => {
  await signIn();
  await reload();
  await signedIn("silent");
  await press("call-orders");
  assert.deepEqual(await attributes(await lastCall("call-orders", "answered")), { status: "200", token: "yes", generation: "1" });
});

test("sign in through the backend, and a reload is answered by it", async () => {
  await press("sign-in-backend");
  await press("allow");
  await signedIn("backend");
  await reload();
  await signedIn("backend");
  await press("call-orders");
  assert.deepEqual(await attributes(await lastCall("call-orders", "answered")), { status: "200", token: "yes", generation: "1" });
});

async function signOutEverywhere() {
  await press("sign-out-everywhere");
  await press("confirm-logout");
  await find('body[data-ready] #state[data-status="signed_out"]');
  assert.equal(new URL(await browserDriver().getCurrentUrl()).pathname, "/");
  await reload();
  assert.equal(await isShown("sign-in"), true);
  assert.equal(await isShown("sign-out"), false);
  await storesNothing();
}

test("sign out everywhere, and come back signed out", async () => {
  await signIn();
  await signOutEverywhere();
});

test("sign out everywhere after a sign-in through the backend", async () => {
  await press("sign-in-backend");
  await press("allow");
  await signedIn("backend");
  await signOutEverywhere();
});

/** Signs out in another tab, and waits until the first one, where it ends, has heard. */
async function signOutInAnotherTab() {
  await browserDriver().switchTo().newWindow("tab");
  await open();
  await signedIn("silent");
  await press("sign-out");
  await find('#log li[data-event="signedout"][data-reason="sign_out"]');
  await browserDriver().switchTo().window(firstTab);
  await find('#log li[data-event="signedout"][data-reason="elsewhere"]');
}

test("a sign-out in one tab is one in the other", async () => {
  await signIn();
  await signOutInAnotherTab();
  assert.equal(await isShown("sign-in"), true);
});

/** Two tabs, the one that the link opened in front. */
async function signInWithTwoTabs() {
  const secondTab = await followTo("another-tab");
  await find('body[data-ready] #state[data-status="signed_out"]');
  await browserDriver().switchTo().window(firstTab);
  await press("sign-in-backend");
  await press("allow");
  await signedIn("backend");
  await browserDriver().switchTo().window(secondTab);
  await signedIn("backend");
  return secondTab;
}

test("a session at the backend is one for all tabs: a sign-in and a sign-out in one are theirs in the other", async () => {
  const secondTab = await signInWithTwoTabs();
  await press("call-orders");
  assert.deepEqual(await attributes(await lastCall("call-orders", "answered")), { status: "200", token: "yes", generation: "1" });

  await browserDriver().executeScript("document.getElementById('sign-out').focus();");
  await browserDriver().switchTo().window(firstTab);
  await press("sign-out");
  await find('#log li[data-event="signedout"][data-reason="sign_out"]');
  await browserDriver().switchTo().window(secondTab);
  await find('#log li[data-event="signedout"][data-reason="elsewhere"]');
  await find('#state[data-status="signed_out"]');
  assert.equal(await (await browserDriver().switchTo().activeElement()).getAttribute("id"), "sign-in");
  await reload();
  assert.equal(await isShown("user"), false);
});

const waitingForLock = () =>
  browserDriver().executeAsyncScript("navigator.locks.query().then(({ pending }) => arguments[0](pending.length));");

test("two tabs that renew at once cost one refresh, and each says which it was", async (t) => {
  longTokens(t);
  const refreshes = () => demo.auth.tokenRequests.filter(({ grantType }) => grantType === "refresh_token").length;
  const secondTab = await signInWithTwoTabs();
  const before = refreshes();

  const { held, release } = latch();
  const asked = demo.backend.requests.length;
  demo.backend.faults.token.push({ hold: held });
  await press("refresh-now");
  await demo.backend.requests.until((requests) => requests.length > asked);
  await browserDriver().switchTo().window(firstTab);
  await press("refresh-now");
  await browserDriver().wait(async () => (await waitingForLock()) === 1, WAIT_MS, "the other tab does not wait for the lock");
  assert.equal(demo.backend.requests.length, asked + 1);
  release();
  await find('#log li[data-renewal="newer"]');
  assert.equal(await number("generation"), 2);
  await browserDriver().switchTo().window(secondTab);
  await find('#log li[data-renewal="renewed"]');
  assert.equal(await number("generation"), 2);
  assert.equal(refreshes(), before + 1);
});

test("the server signs out by front channel", async () => {
  await signIn();
  await followTo("front-channel");
  const framed = await (await find("iframe")).getAttribute("src");
  assert.equal(framed.startsWith(`${demo.app.origin}/frontchannel.html?`), true);
  // WebKit lets a frame reach only pages under the same top-level origin, which here is the authorization server's.
  if (browser === "webkit") await browserDriver().get(framed);
  await browserDriver().switchTo().window(firstTab);
  await find('#log li[data-event="signedout"][data-reason="elsewhere"]');
});

test("who cancels is told so, and is not signed in", async () => {
  await press("sign-in");
  await press("deny");
  await find('body[data-ready] #log li[data-event="error"][data-code="authorization_failed"][data-error="access_denied"]');
  assert.equal(await isShown("sign-in"), true);
  await storesNothing();

  await inPopup("sign-in-popup", "deny");
  await browserDriver().wait(async () => (await logged("error")) === 2, WAIT_MS);
  await find('#log li:first-child[data-code="authorization_failed"][data-error="access_denied"]');

  await press("sign-in-backend");
  await press("deny");
  await find('body[data-ready] #log li[data-event="error"][data-code="backend"][data-error="access_denied"]');
  assert.equal(await browserDriver().getCurrentUrl(), `${demo.app.origin}/`);
});

test("the page for popups and frames leads to the demo if somebody opens it", async () => {
  await browserDriver().get(`${demo.app.origin}/callback.html`);
  await find("body[data-ready]");
  assert.equal(await browserDriver().getCurrentUrl(), `${demo.app.origin}/`);
});

test("every kind of request has the token, and has none once signed out", async (t) => {
  longTokens(t);
  await signIn();
  await connected();
  for (const kind of Object.keys(kinds)) {
    const { answers, ...row } = await ask(kind, "answered");
    assert.deepEqual(row, { status: "200", token: "yes", generation: "1" }, kind);
    assert.equal(answers.every((status) => status === 200), true, kind);
  }
  const drawn = async () => (await browserDriver().findElements(By.css("#timeline .request[data-token=yes]"))).length;
  await browserDriver().wait(async () => (await drawn()) === 5, WAIT_MS);
  assert.equal((await browserDriver().findElements(By.css("#shown audio"))).length, 1);

  await press("sign-out");
  await find('#state[data-status="signed_out"]');
  for (const kind of Object.keys(kinds)) {
    const { answers, ...row } = await ask(kind, "failed");
    assert.deepEqual(row, { status: "401", token: "no", generation: null }, kind);
    assert.equal(answers.every((status) => status === 401), true, kind);
  }
});

test("tokens that are bound to a key are proved by every kind of request", async (t) => {
  longTokens(t);
  t.after(() => press("bind"));
  const body = await find("body");
  await press("bind");
  await browserDriver().wait(until.stalenessOf(body), WAIT_MS, "the page does not reload");
  await find('body[data-ready] #bind[aria-pressed="true"]');
  await signIn();
  await connected();
  for (const kind of Object.keys(kinds)) {
    const { answers, ...row } = await ask(kind, "answered");
    assert.deepEqual(row, { status: "200", token: "yes", generation: "1" }, kind);
    assert.match(demo.api.requests.at(-1).headers.authorization, /^DPoP /, kind);
  }
});

test("every kind of request is repeated after a refusal", async (t) => {
  longTokens(t);
  await signIn();
  await connected();
  let generation = 1;
  for (const kind of Object.keys(kinds)) {
    const notes = await logged("note");
    await press("refuse-once");
    await browserDriver().wait(async () => (await logged("note")) > notes, WAIT_MS);
    const { answers, ...row } = await ask(kind, "answered");
    generation += 1;
    assert.deepEqual(row, { status: "200", token: "yes", generation: String(generation) }, kind);
    assert.deepEqual(answers.slice(0, 2), [401, 200], kind);
  }
  assert.equal(await number("generation"), generation);
});

test("every kind of request waits while the token has expired", async (t) => {
  longTokens(t);
  demo.auth.settings.accessTokenTtl = 3;
  await signIn();
  await connected();
  await flip("break-refresh", true);
  await find('#state[data-status="expired"]');
  const first = demo.api.requests.length;
  for (const kind of Object.keys(kinds)) {
    await press(kind);
    await newestCall(kind, "pending");
  }
  assert.equal(demo.api.requests.length, first);
  demo.auth.settings.accessTokenTtl = 300;
  await flip("break-refresh", false);
  await press("refresh-now");
  const generations = [];
  for (const kind of Object.keys(kinds)) {
    const { status, token, generation } = await attributes(await lastCall(kind, "answered"));
    assert.match(status, /^20[06]$/, kind);
    assert.equal(token, "yes", kind);
    generations.push(Number(generation));
  }
  // There may have been one more since.
  assert.equal(new Set(generations).size, 1);
  assert.ok(generations[0] > 1 && generations[0] <= (await number("generation")));
  assert.equal(demo.api.requests.slice(first).every(({ status }) => status < 300), true);
  assert.equal(await number("seen-expired-tokens"), 0);
});

test("the service worker serves each tab with its own token, and none after a sign-out in another", async (t) => {
  longTokens(t);
  await signIn();
  await connected();
  assert.equal((await ask("call-image", "answered")).token, "yes");
  await browserDriver().switchTo().newWindow("tab");
  await open();
  await signedIn("silent");
  await connected();
  assert.equal((await ask("call-image", "answered")).token, "yes");
  const [own, other] = demo.api.requests.slice(-2).map(({ tokenId }) => tokenId);
  assert.notEqual(own, other);

  await reload();
  await signedIn("silent");
  await connected();
  assert.equal((await ask("call-image", "answered")).token, "yes");
  await closeOtherTabs();
  assert.equal((await ask("call-image", "answered")).token, "yes");
  assert.equal(demo.api.requests.at(-1).tokenId, own);

  await signOutInAnotherTab();
  assert.equal((await ask("call-image", "failed")).token, "no");
});

test("a ticket is refused", async () => {
  await signIn();
  await press("ticket");
  const refusal = await find('#log li[data-event="error"][data-code="invalid_option"]');
  assert.match(await refusal.getText(), /dangerouslyExposeAccessToken/);
  await storesNothing();
});

test("without a service worker the demo says so, and everything else works", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "tokenward-demo-"));
  t.after(() => rm(folder, { recursive: true }));
  await cp(dist, folder, { recursive: true, filter: (file) => !file.endsWith("service-worker.js") });
  const usual = demo;
  demo = await startDemo({ ports: ANY_PORT, dist: folder });
  t.after(async () => {
    await demo.close();
    demo = usual;
  });
  await open();
  await find('#worker[data-state="unavailable"]');
  await signIn();
  for (const kind of Object.keys(kinds)) {
    const outcome = throughWorker.includes(kind)
      ? { state: "failed", status: "401", token: "no", generation: null }
      : { state: "answered", status: "200", token: "yes", generation: "1" };
    const { answers, ...row } = await ask(kind, outcome.state);
    assert.deepEqual({ state: outcome.state, ...row }, outcome, kind);
  }
  await press("sign-out");
  await find('#log li[data-event="signedout"][data-reason="sign_out"]');
});

async function attributes(row) {
  const names = ["status", "token", "generation"];
  return Object.fromEntries(await Promise.all(names.map(async (name) => [name, await row.getAttribute(`data-${name}`)])));
}
