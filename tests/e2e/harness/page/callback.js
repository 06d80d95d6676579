// The page of `relayUri`.
import { relay } from "/tokenward/callback.js";

relay();
