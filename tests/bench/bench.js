// The page's side of `npm run bench`.
import { load, ownCases } from "./cases.js";
import { fault, network } from "./network.js";
import { otherCases } from "./others.js";
import { proofCases } from "./proofs.js";
import { roundTripCases } from "./round-trips.js";

const STUBBED = { calls: 500, warmUps: 20, rounds: 160, run: burst };
const AT_ONCE = { calls: 100, warmUps: 3, rounds: 30, run: burst };
const REAL = { calls: 40, warmUps: 3, rounds: 30, run: oneAfterTheOther };

/** Microseconds a call of a stubbed case. */
async function burst({ name, call, wanted, isSigned }, calls) {
  const before = network.calls;
  const answers = new Array(calls);
  const began = performance.now();
  for (let at = 0; at < calls; at += 1) answers[at] = call(at);
  await Promise.all(answers);
  const ended = performance.now();
  if (isSigned) return ((ended - began) * 1000) / calls;
  const sent = network.calls - before;
  if (sent !== calls) throw new Error(`${name}: ${sent} of ${calls} requests were sent`);
  const wrong = await fault(network.last, wanted);
  if (wrong) throw new Error(`${name}: ${wrong}`);
  return ((ended - began) * 1000) / calls;
}

/** Microseconds a round trip. */
async function oneAfterTheOther({ call }, calls) {
  const began = performance.now();
  for (let at = 0; at < calls; at += 1) await call(at);
  return ((performance.now() - began) * 1000) / calls;
}

/** Looks at each request of a stubbed case, off the clock. */
async function inspect(one, calls) {
  network.kept = [];
  await burst(one, calls);
  for (const request of network.kept) {
    const wrong = await fault(request, one.wanted);
    if (wrong) throw new Error(`${one.name}: ${wrong}`);
  }
  network.kept = undefined;
}

function summary(samples) {
  const sorted = samples.toSorted((a, b) => a - b);
  const quantile = (share) => sorted[Math.floor(share * (sorted.length - 1))];
  return { median: quantile(0.5), bestTenth: quantile(0.1) };
}

function shuffled(list) {
  return list
    .map((item) => ({ item, place: Math.random() }))
    .sort((a, b) => a.place - b.place)
    .map(({ item }) => item);
}

async function measure(cases, { calls, warmUps, rounds, run }) {
  const samples = new Map(cases.map(({ name }) => [name, []]));
  for (let round = 0; round < warmUps + rounds; round += 1) {
    // All cases in each round, each time in another order, so that noise and the garbage of others hit all alike.
    for (const next of shuffled(cases)) {
      const us = await run(next, calls);
      if (round >= warmUps) samples.get(next.name).push(us);
    }
  }
  return [...samples].map(([name, list]) => [name, { ...summary(list), calls: calls * (warmUps + rounds) }]);
}

/** @returns {Promise<string>} JSON: `times` and number of calls of each case, and `notes`; or `error` */
window.bench = async () => {
  try {
    const notes = [];
    const roundTrips = await roundTripCases();
    const library = await load();
    const stubbed = [...(await ownCases(library, notes)), ...(await otherCases())];
    const proofs = await proofCases(library);
    for (const one of stubbed) await inspect(one, STUBBED.calls);
    await inspect(proofs[1], AT_ONCE.calls);
    const times = [
      ...(await measure(stubbed, STUBBED)),
      ...(await measure(proofs, AT_ONCE)),
      ...(await measure(roundTrips, REAL)),
    ];
    return JSON.stringify({ times: Object.fromEntries(times), notes });
  } catch (error) {
    return JSON.stringify({ error: `${error}\n${error?.stack}` });
  }
};
