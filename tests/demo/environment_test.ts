/** What a program of ours takes over from the environment. The demo itself: tests/ship. */
import assert from "node:assert/strict";
import { programEnvironment } from "../../src/demo/environment.ts";
import { OPTION_NAMES, OPTIONS } from "../../src/config/options.ts";

Deno.test("the demo's blocker gets no setting, and no service manager to report to", () => {
  const needed = { PATH: "/bin", HOME: "/root", DENO_DIR: "/cache", LD_LIBRARY_PATH: "/lib" };
  const settings = OPTION_NAMES.flatMap((name) => {
    const { variable } = OPTIONS[name];
    return [variable, `${variable}_FILE`].map((variable) => [variable, "x"]);
  });
  const others = { NOTIFY_SOCKET: "/run/notify", WATCHDOG_USEC: "1", JOURNAL_STREAM: "8:1" };
  const all = { ...Object.fromEntries(settings), ...needed, ...others };
  assert.deepEqual(programEnvironment(all), needed);
});

Deno.test("a program reaches the package registry as the one that starts it does", () => {
  const client = {
    HTTPS_PROXY: "http://proxy:3128",
    no_proxy: "localhost",
    NODE_EXTRA_CA_CERTS: "/etc/own.pem",
    SSL_CERT_FILE: "/etc/own.pem",
    DENO_CERT: "/etc/own.pem",
    DENO_TLS_CA_STORE: "system",
    npm_config_registry: "https://registry.example/",
    NPM_CONFIG_REGISTRY: "https://registry.example/",
  };
  assert.deepEqual(programEnvironment(client), client);
});
