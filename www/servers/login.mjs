// The authorization server's pages: who are you and may the app have what it asks for, sign out, and a few words.
import { createHash } from "node:crypto";

const STYLE = `
  :root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }
  body { min-height: 100vh; margin: 0; display: grid; place-items: center; background: light-dark(#eef0ec, #16191a); }
  main { box-sizing: border-box; width: min(26rem, 100vw - 2rem); padding: 2rem; border-radius: .75rem;
    background: light-dark(#fff, #202526); box-shadow: 0 1px 3px #0003; }
  h1 { margin: 0 0 .25rem; font-size: 1.4rem; }
  p, ul { margin: 0 0 1rem; color: light-dark(#4a5452, #aab5b2); }
  ul { padding-left: 1.25rem; }
  label { display: block; font-weight: 600; }
  input { box-sizing: border-box; width: 100%; margin: .25rem 0 1.25rem; padding: .6rem .7rem; font: inherit;
    border: 1px solid light-dark(#98a29f, #5c6765); border-radius: .4rem; }
  button { padding: .6rem 1rem; font: inherit; font-weight: 600; border-radius: .4rem; cursor: pointer;
    border: 1px solid light-dark(#98a29f, #5c6765); background: none; color: inherit; }
  button[value=allow], #confirm-logout { border-color: transparent; background: light-dark(#2f4858, #9cc3d8); color: light-dark(#fff, #10181c); }
`;
const CONFIRM = 'document.getElementById("confirm-logout").click()';

const hash = (text) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
const escapeHtml = (text) => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);

/** `form-action` covers redirects too, so it has to name the apps. */
const policy = (appOrigins, more = "") =>
  `default-src 'none'; style-src ${hash(STYLE)}; form-action 'self' ${appOrigins.join(" ")}; ` +
  `base-uri 'none'; frame-ancestors 'none'${more}`;

const page = (title, main) => `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${title}</title>
<style>${STYLE}</style>
<main>
  <h1>${title}</h1>
  ${main}
</main>
</html>`;

/** Answers a Koa request with one of the pages below. */
export function send(ctx, { body, contentSecurityPolicy }) {
  ctx.set("Content-Security-Policy", contentSecurityPolicy);
  ctx.type = "html";
  ctx.body = body;
}

export function loginPage({ clientId, scope, login, appOrigins }) {
  const scopes = scope.split(" ").filter(Boolean).map((value) => `<li>${escapeHtml(value)}</li>`).join("");
  const body = page(
    "Sign in",
    `<p>This is the authorization server, on an origin of its own. Any name will do.</p>
  <form method="post">
    <label for="login">Name</label>
    <input id="login" name="login" value="${escapeHtml(login)}" required autocomplete="off" autofocus>
    <p>The app <strong>${escapeHtml(clientId)}</strong> asks for:</p>
    <ul>${scopes}</ul>
    <button id="allow" name="answer" value="allow">Sign in and allow</button>
    <button id="deny" name="answer" value="deny" formnovalidate>Cancel</button>
  </form>`,
  );
  return { body, contentSecurityPolicy: policy(appOrigins) };
}

/** @param {string} form oidc-provider's own, with the id `op.logoutForm`; `auto` sends it without a click */
export function logoutPage(form, { appOrigins, auto }) {
  const body = page(
    "Sign out",
    `<p>Sign out of the authorization server as well?</p>
  ${form}
  <button id="confirm-logout" form="op.logoutForm" name="logout" value="yes" autofocus>Sign out</button>
  <button form="op.logoutForm">Stay signed in</button>
  ${auto ? `<script>${CONFIRM}</script>` : ""}`,
  );
  return { body, contentSecurityPolicy: policy(appOrigins, auto ? `; script-src ${hash(CONFIRM)}` : "") };
}

export function messagePage(title, text) {
  return { body: page(escapeHtml(title), `<p>${escapeHtml(text)}</p>`), contentSecurityPolicy: policy([]) };
}

/** Frames a page of an app, as front-channel logout does. */
export function framePage(uri) {
  const frame = `<iframe src="${escapeHtml(uri.href)}" title="${escapeHtml(uri.origin)}"></iframe>`;
  const body = page("Front-channel logout", frame);
  return { body, contentSecurityPolicy: policy([], `; frame-src ${uri.origin}`) };
}
