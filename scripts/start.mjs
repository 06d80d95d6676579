// The demo, from a fresh clone to a running page.
import { build } from "./build.mjs";
import { setup } from "./setup.mjs";
import { cli } from "./tools.mjs";

await cli(import.meta, async () => {
  process.once("SIGINT", () => process.exit(0));
  await setup();
  await build();
  const { main } = await import("../www/main.mjs");
  await main();
});
