// The page's side of tests in a frame: runs rows in the frame's realm.
import { attempts } from "/compare.js";

window.attempts = attempts;
window.nativeFetch = fetch;
window.load = (url) => import(url);
