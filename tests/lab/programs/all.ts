import type { Conversation } from "./conversation.ts";
import { PROXIES } from "./proxies.ts";
import { RANDOM } from "./random.ts";
import { REALTIME } from "./realtime.ts";
import { SECURE } from "./secure.ts";
import { SERVICES } from "./services.ts";
import { WEB } from "./web.ts";

/** Every conversation that must pass through the blocker untouched. */
export const ALL_CONVERSATIONS: readonly Conversation[] = [
  ...SECURE,
  ...PROXIES,
  ...SERVICES,
  ...REALTIME,
  ...WEB,
  ...RANDOM,
];
