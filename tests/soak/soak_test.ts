/** A short form of `deno task soak`. */
import { impossible } from "../robustness/bed.ts";
import { soak } from "./soak.ts";

const SECONDS = Number(Deno.env.get("SOAK_SECONDS") ?? 30);

Deno.test({
  name: "recorded traffic and downloads for a while: memory flat, counters add up",
  ignore: impossible !== null,
  async fn() {
    console.log(JSON.stringify(await soak(SECONDS)));
  },
});
