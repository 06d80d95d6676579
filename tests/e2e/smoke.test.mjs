import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { browser, close, open } from "./harness/browsers.mjs";

let driver;
let server;
let origin;

before(async () => {
  server = createServer((request, response) => {
    response.setHeader("content-type", "text/html");
    response.end(request.url === "/" ? "<!doctype html><title>smoke</title>" : `you asked for ${request.url}`);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  origin = `http://127.0.0.1:${server.address().port}`;
  driver = await open();
});

after(async () => {
  await close();
  server.closeAllConnections();
  server.close();
});

test(`${browser} loads a page and runs a script that fetches`, async () => {
  await driver.get(`${origin}/`);
  assert.equal(await driver.getTitle(), "smoke");
  const body = await driver.executeAsyncScript(async (done) => done(await (await fetch("/data")).text()));
  assert.equal(body, "you asked for /data");
});
