import { TokenWardError } from "./errors.js";
import { keepKey, takeKey } from "./keys.js";
import { JSON, Object, Promise, document, location, open } from "./natives.js";
import { answerTo } from "./relay.js";

const STORED = "tokenward.";

/** A promise for a page that is about to be left. */
export const never = () => new Promise(() => {});

/** What a ward asks of the document that it is in. In a worker somebody else does it. */
export const page = {
  get url() {
    return location.href;
  },

  /** Keeps a transaction for the page that comes back. It is all that is ever stored, and by its state, for this tab. */
  async keep({ pair, ...transaction }) {
    sessionStorage.setItem(STORED + transaction.state, JSON.stringify(transaction));
    if (pair) await keepKey(transaction, pair);
  },

  /** The transaction of this state, which is used up with it, as is every other that this tab began; not another ward's. */
  async take(state, ward) {
    const transaction = JSON.parse(sessionStorage.getItem(STORED + state)) ?? {};
    if ((transaction.ward ?? ward) !== ward) return undefined;
    for (const key of Object.keys(sessionStorage)) if (key.startsWith(STORED)) sessionStorage.removeItem(key);
    if (!transaction.jkt) return transaction;
    const pair = await takeKey(transaction);
    if (!pair) throw new TokenWardError("transaction_expired");
    return { ...transaction, pair };
  },

  leave(url) {
    location.assign(url);
    return never();
  },

  /** Has to be called in answer to the user's click. */
  popup() {
    const popup = open("", "_blank", "width=480,height=640");
    if (!popup) throw new TokenWardError("popup_blocked");
    return {
      answer(url, state, stop) {
        popup.location.replace(url);
        return answerTo(state, popup, stop, () => new TokenWardError("popup_closed"));
      },
      close: () => popup.close(),
    };
  },

  /** Resolves with the answer that comes to a hidden frame. */
  async frame(url, state, stop) {
    const frame = document.createElement("iframe");
    frame.hidden = true;
    // It must not take the page away.
    frame.sandbox = "allow-scripts allow-same-origin allow-forms";
    frame.src = url;
    document.documentElement.append(frame);
    try {
      return await answerTo(state, frame.contentWindow, stop);
    } finally {
      frame.remove();
    }
  },
};
