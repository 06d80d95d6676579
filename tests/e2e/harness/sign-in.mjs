// What a user does in a sign-in, and what a test looks at after one.
import assert from "node:assert/strict";
import { By, until } from "selenium-webdriver";
import { browserDriver, stage } from "./stage.mjs";

const WAIT_MS = 10_000;
const POLL_MS = 15;

/** Waits for something that only the browser can be asked about. */
export const eventually = (condition, what) => browserDriver().wait(condition, WAIT_MS, what, POLL_MS);

/** Presses a button, once it is there. */
export async function press(id) {
  const button = await browserDriver().wait(until.elementLocated(By.id(id)), WAIT_MS, `no button ${id}`, POLL_MS);
  await button.click();
}

/** Waits for the popup and turns to it. Gives what turns back. */
export async function toPopup() {
  const driver = browserDriver();
  const opener = await driver.getWindowHandle();
  const popup = await eventually(async () => (await driver.getAllWindowHandles()).find((one) => one !== opener), "no popup");
  await driver.switchTo().window(popup);
  return () => driver.switchTo().window(opener);
}

/**
 * A stage where signing in takes one call. The server asks nothing, unless `autoLogin` is set to `false`.
 * @param {import("node:test").TestContext} t
 */
export async function signInStage(t, { auth, ...options } = {}) {
  const staged = await stage(t, { auth: { autoLogin: "ada", ...auth }, ...options });
  const { page } = staged;

  /** Begins a sign-in by redirect. */
  const depart = (ask = {}, options) =>
    page.depart(async (kit, ask, options) => (await kit.create(kit.discovered(options))).signIn(ask), ask, options);

  /** The same, up to the page that comes back. */
  async function leave(ask, options) {
    await depart(ask, options);
    await page.back();
  }

  /** Ends it there. */
  const finish = (options) =>
    page.run(async (kit, options) => {
      await kit.create(kit.discovered(options));
      return { ...(await kit.ended(kit.ward.handleCallback())), ...kit.look() };
    }, options);

  async function byRedirect(ask, options) {
    await leave(ask, options);
    return finish(options);
  }

  /** Begins one by popup; `popped()` is how it ended. A ward that is there goes on. */
  async function pop(ask, options) {
    // Before the click, which not every engine remembers for so long.
    await page.run(async (kit, options) => void (kit.ward ?? (await kit.create(kit.discovered(options)))), options);
    await page.click((kit, ask) => void (kit.popped = kit.ended(kit.ward.signIn({ mode: "popup", ...ask }))), ask);
  }

  const popped = () => page.run(async (kit) => ({ ...(await kit.popped), ...kit.look() }));

  async function byPopup(ask, options) {
    await pop(ask, options);
    return popped();
  }

  return { ...staged, depart, leave, finish, byRedirect, pop, popped, byPopup };
}

/** What an error is expected to be. */
export const failure = (code, more) => ({
  name: "TokenWardError",
  code,
  error: null,
  claim: null,
  status: null,
  retryable: code === "server_unavailable",
  ...more,
});

/** A sign-in failed with this error, and nothing is left of it. */
export function assertFailed(result, code, more) {
  assert.deepEqual(result.failed, failure(code, more), JSON.stringify(result));
  assertNobody(result);
}

/** Nobody is signed in, and neither storage nor address hold anything of a sign-in. */
export function assertNobody({ signedIn, user, stored, url, types }) {
  assert.deepEqual({ signedIn, user, stored, types }, { signedIn: false, user: null, stored: [], types: [] });
  assert.equal(new URL(url).search, "");
}

/** This user is signed in. */
export function assertSignedIn({ signedIn, user, stored, url, failed }, sub = "ada") {
  assert.equal(failed, undefined);
  assert.deepEqual({ signedIn, sub: user.sub, stored }, { signedIn: true, sub, stored: [] });
  assert.doesNotMatch(url, /code|state|iss/);
}
