// The service worker authorises what is not `fetch`.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { workerStage } from "./harness/workers.mjs";

const elements = {
  "<img>": ["/v1/picture.svg", (kit, url) => kit.element("img", { src: url })],
};

describe("with a token:", () => {
  for (const [what, [path, load]] of Object.entries(elements)) {
    test(what, async (t) => {
      const { api, page } = await workerStage(t);
      await page.signIn();
      await page.run((kit) => kit.connect());
      const outcome = await page.run(load, api.origin + path);
      assert.equal(outcome, "load");
      assert.deepEqual(api.requests.map(({ path, status }) => [path, status]), [[path, 200]]);
    });
  }
});
