// The page of the client's `frontchannel_logout_uri`. Which client it is of stands in a file beside it.
import { frontChannelLogout } from "/tokenward/callback.js";

frontChannelLogout(await (await fetch("/client.json")).json());
