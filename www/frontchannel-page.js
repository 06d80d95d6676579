// The page of the client's `frontchannel_logout_uri`, which the authorization server frames.
import { frontChannelLogout } from "/tokenward/callback.js";

frontChannelLogout(await (await fetch("/config.json")).json());
