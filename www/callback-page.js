// The page of `relayUri`: where the popups and hidden frames of a sign-in end.
import { relay } from "/tokenward/callback.js";

// Somebody who opened it by hand is looking for the demo.
if (!relay()) location.replace("/");
