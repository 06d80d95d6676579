import { Object, URLSearchParams, location } from "./natives.js";
import { openChannel, relay as passOn, scopeOf, takeAnswer } from "./relay.js";

/** For a page of its own at `relayUri`. */
export function relay() {
  const answer = takeAnswer();
  return answer !== undefined && passOn(answer);
}

/** For a page of its own at the client's `frontchannel_logout_uri` (OpenID Connect Front-Channel Logout 1.0 section 2). */
export function frontChannelLogout({ issuer, clientId }) {
  if (!location) return;
  const { iss, sid = "" } = Object.fromEntries(new URLSearchParams(location.search));
  const channel = openChannel();
  channel.postMessage({ tokenward: "signout", scope: scopeOf({ issuer, clientId }), iss, sid });
  channel.close();
}
