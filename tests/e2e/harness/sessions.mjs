// Sessions of this browser at the servers, begun without the library, and other tabs of it.
import { eventually } from "./sign-in.mjs";
import { browserDriver } from "./stage.mjs";

/** Signs in at the authorization server, with the consent that `kit.discovered()` needs, and loads the page anew. */
export async function signInAtServer(staged, user = "ada") {
  await passServer(staged, user);
  await staged.page.visit();
}

/** The same in another tab. */
export const signInElsewhere = (staged, user) => inNewTab(() => passServer(staged, user));

async function passServer({ app, auth }, user) {
  const { autoLogin } = auth.settings;
  auth.settings.autoLogin = user;
  const request = new URLSearchParams({
    client_id: "spa",
    response_type: "code",
    redirect_uri: `${app.origin}/`,
    scope: "openid profile orders",
    prompt: "login",
    state: "of the test",
    code_challenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
    code_challenge_method: "S256",
  });
  await browserDriver().get(`${auth.endpoints.authorization}?${request}`);
  // A change of users passes a page that sends a form by itself.
  await eventually(async () => (await browserDriver().getCurrentUrl()).startsWith(app.origin), "not back from the server");
  auth.settings.autoLogin = autoLogin;
}

/** Signs out at the authorization server, in another tab. */
export const signOutElsewhere = ({ auth }) =>
  inNewTab(async () => {
    const { autoLogin } = auth.settings;
    auth.settings.autoLogin = true;
    await browserDriver().get(auth.endpoints.endSession);
    await eventually(async () => (await browserDriver().getTitle()) === "Signed out", "not signed out");
    auth.settings.autoLogin = autoLogin;
  });

/** Signs in at the app's backend and loads the page anew. */
export async function signInAtBackend({ auth, page }, user = "ada") {
  const { autoLogin } = auth.settings;
  auth.settings.autoLogin = user;
  await page.visit("/session/sign-in");
  auth.settings.autoLogin = autoLogin;
}

/** Opens a tab, which ends with the test, and stays in the one it was in. */
export async function newTab() {
  const driver = browserDriver();
  const first = await driver.getWindowHandle();
  await driver.switchTo().newWindow("tab");
  const tab = await driver.getWindowHandle();
  await driver.switchTo().window(first);
  return tab;
}

/** Does something in another tab. */
export async function inTab(tab, act) {
  const driver = browserDriver();
  const before = await driver.getWindowHandle();
  await driver.switchTo().window(tab);
  try {
    return await act();
  } finally {
    await driver.switchTo().window(before);
  }
}

async function inNewTab(act) {
  const tab = await newTab();
  await inTab(tab, async () => {
    await act();
    await browserDriver().close();
  });
}

/** A fault of the authorization endpoint: it answers this error instead of a code. */
export const refusing = (error) => ({
  redirect({ searchParams }) {
    searchParams.delete("code");
    searchParams.set("error", error);
  },
});
