// Packs the npm package and unpacks it, so that what is tested is what a consumer gets.
import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { cli, packed, run, target } from "./tools.mjs";

export async function pack() {
  const folder = join(target, "pack");
  await rm(folder, { recursive: true, force: true });
  await rm(packed, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  await run("npm", ["pack", "--ignore-scripts", "--pack-destination", folder], { capture: true });
  const [tarball] = await readdir(folder);
  // The tarball's only top folder is `package`.
  await run("tar", ["-xzf", join(folder, tarball), "-C", target]);
  return packed;
}

await cli(import.meta, pack);
