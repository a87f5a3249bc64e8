/** What a program of ours gets from the environment of the one that starts it. */

/**
 * What it needs to run at all, and what a package client needs to reach its registry: the cache, a
 * proxy (either case), an authority of one's own, npm's settings. None of it is a setting of the
 * blocker, or tells it of a service manager.
 */
const NEEDED = new RegExp(
  "^(" + [
    "PATH|HOME|USER|LANG|LC_\\w+|TZ|TMPDIR|LD_\\w+|XDG_CACHE_HOME|SOURCE_DATE_EPOCH",
    "DENO_\\w+|SSL_CERT_(FILE|DIR)|NODE_\\w+|npm_config_\\w+|NPM_CONFIG_\\w+",
    "(http|https|all|no)_proxy|(HTTP|HTTPS|ALL|NO)_PROXY",
  ].join("|") + ")$",
);

/** The part of an environment without anything that the blocker would act on. */
export function programEnvironment(all: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(all).filter(([name]) => NEEDED.test(name)));
}
