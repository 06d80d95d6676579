import { IDBKeyRange, Promise, indexedDB } from "./natives.js";

const KEYS = "keys";

/** How long a sign-in may take, in milliseconds; what is older nobody comes back for. */
const LIFETIME_MS = 600_000;

const settled = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

async function withKeys(act) {
  const opening = indexedDB.open("tokenward");
  opening.onupgradeneeded = () => opening.result.createObjectStore(KEYS);
  const database = await settled(opening);
  try {
    return await act(database.transaction(KEYS, "readwrite").objectStore(KEYS));
  } finally {
    database.close();
  }
}

/** Keeps the key of a sign-in that leaves the page. Its private half can be used from there, and read by nobody. */
export const keepKey = ({ at, state }, pair) =>
  withKeys(async (keys) => {
    await settled(keys.delete(IDBKeyRange.upperBound([at - LIFETIME_MS])));
    await settled(keys.put(pair, [at, state]));
  });

/** Resolves with the key of a session that outlives the page, at first what `make` resolves with. Tabs share it. */
export async function lastingKey(name, make) {
  const found = await withKeys((keys) => settled(keys.get(name)));
  if (found) return found;
  const made = await make();
  // Another tab may have been faster.
  return withKeys(async (keys) => {
    const other = await settled(keys.get(name));
    if (!other) await settled(keys.put(made, name));
    return other ?? made;
  });
}

/** Keeps the transaction of a worker, which the page does not see, and forgets those that nobody comes back for. */
export const keepTransaction = (transaction) =>
  withKeys(async (keys) => {
    for (const { at, state } of await settled(keys.getAll())) {
      if (at < transaction.at - LIFETIME_MS) await settled(keys.delete(["t", state]));
    }
    await settled(keys.put(transaction, ["t", transaction.state]));
  });

/** Resolves with the transaction of this state, which is kept no longer; undefined for another ward's. */
export const takeTransaction = (state, ward) =>
  withKeys(async (keys) => {
    const transaction = (await settled(keys.get(["t", state]))) ?? {};
    if ((transaction.ward ?? ward) !== ward) return undefined;
    await settled(keys.delete(["t", state]));
    return transaction;
  });

export const forgetKey = (name) => withKeys((keys) => settled(keys.delete(name)));

/** Resolves with the key of a sign-in that comes back, which is kept no longer. */
export const takeKey = ({ at, state }) =>
  withKeys(async (keys) => {
    const pair = await settled(keys.get([at, state]));
    await settled(keys.delete([at, state]));
    return pair;
  });
