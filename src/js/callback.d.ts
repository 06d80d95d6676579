/** For the pages that the authorization server calls; loads no WebAssembly. Importing has no effect. */

/**
 * For the page of `relayUri`: takes the answer out of the address bar and passes it on to the page that waits for it, in
 * the popup or hidden frame of a sign-in. `true` if there was one.
 */
export function relay(): boolean;

/**
 * For a page at the client's `frontchannel_logout_uri` (OpenID Connect Front-Channel Logout 1.0): signs out every tab of
 * this origin whose session it is. Current browsers let a frame reach its origin's own tabs only if the authorization
 * server is of the same site (Chromium, Firefox) or of the same origin (WebKit).
 */
export function frontChannelLogout(client: { issuer: string; clientId: string }): void;
