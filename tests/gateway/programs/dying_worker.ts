/** The stub worker, of which a second one cannot start any more: a packet to port 3000 ends it. */
if (Deno.env.get("BTBLOCKER_TEST_DIED") !== undefined) throw new Error("dead, as asked");
Deno.env.set("BTBLOCKER_TEST_DIED", "1"); // the whole process's
await import("./stub_worker.ts");
