/**
 * The modules of the commands, each loaded when its command runs. Their addresses are put together,
 * since Deno reads what a literal `import("…")` names, and all that needs, before anything runs: a
 * third of the modules, which `analyze` would read for nothing and the blocker keep in memory. The
 * packer makes literals of them.
 */
export const load = {
  analyze: (): Promise<typeof import("./analyze.ts")> =>
    import(new URL("./analyze.ts", import.meta.url).href),
  bans: (): Promise<typeof import("./bans.ts")> =>
    import(new URL("./bans.ts", import.meta.url).href),
  config: (): Promise<typeof import("../config/load.ts")> =>
    import(new URL("../config/load.ts", import.meta.url).href),
  demo: (): Promise<typeof import("./demo.ts")> =>
    import(new URL("./demo.ts", import.meta.url).href),
  demoPeer: (): Promise<typeof import("../demo/command.ts")> =>
    import(new URL("../demo/command.ts", import.meta.url).href),
  doctor: (): Promise<typeof import("./doctor.ts")> =>
    import(new URL("./doctor.ts", import.meta.url).href),
  log: (): Promise<typeof import("./log.ts")> => import(new URL("./log.ts", import.meta.url).href),
  logging: (): Promise<typeof import("../report/log.ts")> =>
    import(new URL("../report/log.ts", import.meta.url).href),
  rules: (): Promise<typeof import("./rules.ts")> =>
    import(new URL("./rules.ts", import.meta.url).href),
  run: (): Promise<typeof import("../blocker/run.ts")> =>
    import(new URL("../blocker/run.ts", import.meta.url).href),
  status: (): Promise<typeof import("./status.ts")> =>
    import(new URL("./status.ts", import.meta.url).href),
};
