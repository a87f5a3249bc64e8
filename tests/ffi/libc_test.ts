import assert from "node:assert/strict";
import {
  bootTimeMs,
  clearEvent,
  close,
  createEvent,
  interfaceIndex,
  interfaceName,
  Poller,
  setTimeSlice,
  signalEvent,
  timeSlice,
} from "../../ffi/libc.ts";
import { EAGAIN, EBADF } from "../../ffi/errno.ts";
import { takesTimeSlices } from "../time_slices.ts";

const ignore = Deno.build.os !== "linux"; // the calls are Linux's

Deno.test({
  name: "an event wakes a poll and is quiet after it was cleared",
  ignore,
  fn() {
    const first = createEvent();
    const second = createEvent();
    assert(first >= 0 && second >= 0);
    const poller = new Poller(first, second);
    assert.equal(poller.wait(0), 0);
    signalEvent(second);
    assert.equal(poller.wait(-1), 1);
    assert(!poller.firstReady && poller.secondReady);
    clearEvent(second);
    assert.equal(poller.wait(0), 0);
    assert.equal(clearEvent(second), -EAGAIN);
    close(second);
    assert.equal(close(first), 0);
    assert.equal(signalEvent(first), -EBADF);
  },
});

Deno.test({
  name: "bootTimeMs() is the clock of /proc/uptime",
  ignore,
  fn() {
    const uptime = Number(Deno.readTextFileSync("/proc/uptime").split(" ")[0]) * 1000;
    const now = bootTimeMs();
    assert(Number.isInteger(now) && Math.abs(now - uptime) < 1000, `${now} and ${uptime}`);
  },
});

Deno.test({
  name: "interfaces have numbers and names",
  ignore,
  fn() {
    assert.equal(interfaceIndex("no such one"), 0);
    assert.equal(interfaceName(0x7fff_ffff), null);
    const index = interfaceIndex("lo");
    if (index > 0) assert.equal(interfaceName(index), "lo");
  },
});

Deno.test({
  name: "a thread gets the time slice it asks for, and its nice value stays",
  ignore: ignore || !takesTimeSlices(),
  fn() {
    const niceOf = () => Deno.readTextFileSync("/proc/thread-self/stat").split(" ").at(18);
    const [own, nice] = [timeSlice(), niceOf()];
    try {
      assert.equal(setTimeSlice(500_000), 0);
      assert.equal(timeSlice(), 500_000);
      assert.equal(niceOf(), nice);
    } finally {
      setTimeSlice(0);
    }
    assert.equal(timeSlice(), own);
  },
});
