import { MessageChannel } from "./natives.js";

/** Calls back in a task of its own, after what was on its way before. A timer would be slow in a page that nobody sees. */
export const nextTask = (callback) => {
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => {
    port1.close();
    callback();
  };
  port2.postMessage(0);
};
