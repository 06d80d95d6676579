// A request is sent in the session it began in, with a token of that session that is good, or not at all.
import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeJwt } from "jose";
import { latch, stage } from "./harness/stage.mjs";

/** Of what else waits for the same refresh, some goes on before the request, and may end its session. */
const ENDS = ["another user signs in", "the user signs out", "the ward is closed"];

for (const end of ENDS) {
  test(`a request waits for its token, and ${end}`, async (t) => {
    const { outcome, ids, otherId } = await race(t, end, { age: 60 });
    assert.ok(outcome.status === 200 || ["signed_out", "closed"].includes(outcome.code), JSON.stringify(outcome));
    assert.ok(!ids.includes(otherId) && !ids.includes(null), ids);
  });

  test(`a refused request waits for a newer token, and ${end}`, async (t) => {
    const { outcome, ids, otherId } = await race(t, end, { age: 0 });
    assert.ok([200, 401].includes(outcome.status), JSON.stringify(outcome));
    assert.ok(!ids.includes(otherId) && !ids.includes(null), ids);
    assert.equal(new Set(ids).size, ids.length, "a refused token was sent again");
  });
}

async function race(t, end, { age }) {
  const { auth, api, page } = await stage(t);
  const other = await auth.issueTokens();
  if (age === 0) api.refuseNext();
  const { held, release } = latch();
  auth.faults.token = [{ hold: held }];
  await page.signIn({ age });
  await page.run(
    (kit, other, end) => {
      const { ward } = kit;
      ward.refresh().then(() => {
        if (end === "the ward is closed") return ward.close();
        ward.signOut();
        if (end === "another user signs in") ward.setTokens(other);
      });
      kit.answer = kit.call("/v1/echo", { method: "POST", body: "of the first user" });
    },
    other,
    end,
  );
  while ((await page.run(({ ward }) => ward.snapshot().waiting)) < 2);
  release();
  const outcome = await page.run((kit) => kit.answer);
  return { outcome, ids: api.requests.map(({ tokenId }) => tokenId), otherId: decodeJwt(other.access_token).jti };
}
