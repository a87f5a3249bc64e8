import assert from "node:assert/strict";
import { check, describeErrno, SystemError } from "../../ffi/errno.ts";
import { EnvironmentError } from "../../src/errors.ts";

const texts = [ // errno(3), Linux
  [1, "EPERM, operation not permitted"],
  [2, "ENOENT, no such file or directory"],
  [11, "EAGAIN, resource temporarily unavailable"],
  [16, "EBUSY, device or resource busy"],
  [73, "EDOTDOT, RFS specific error"],
  [95, "EOPNOTSUPP, operation not supported"],
  [105, "ENOBUFS, no buffer space available"],
  [4000, "error 4000"],
] as const;

for (const [errno, text] of texts) {
  Deno.test(`describeErrno(${errno}) is "${text}"`, () => assert.equal(describeErrno(errno), text));
}

Deno.test("check() gives results back and turns negative ones into errors with a hint", () => {
  assert.equal(check(0, "do it"), 0);
  assert.equal(check(17, "do it"), 17);
  assert.throws(
    () => check(-1, "bind NFQUEUE 7", "grant CAP_NET_ADMIN or run as root"),
    (error) => {
      assert(error instanceof SystemError && error instanceof EnvironmentError);
      assert.equal(error.errno, 1);
      assert.equal(
        error.message,
        "Cannot bind NFQUEUE 7: EPERM, operation not permitted (grant CAP_NET_ADMIN or run as root)",
      );
      return true;
    },
  );
});
