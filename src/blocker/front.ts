/** What the control socket answers: from its first moment, which is before there is anything to say. */
import { EnvironmentError } from "../errors.ts";
import type { Status } from "../status/status.ts";
import type { BanDesk } from "./ban_desk.ts";
import { readBanRequest } from "./ban_request.ts";
import type { ControlHandler } from "./control.ts";

export class Front {
  /** Null until the bans are open. */
  desk: Pick<BanDesk, "answer"> | null = null;
  /** Null until there is something to tell of. */
  status: { status(): Status } | null = null;

  readonly handlers: Readonly<Record<string, ControlHandler>> = {
    bans: (asked) => there(this.desk).answer(readBanRequest(asked)),
    status: () => there(this.status).status(),
  };
}

function there<Part>(part: Part | null): Part {
  if (part !== null) return part;
  throw new EnvironmentError("Cannot answer yet: btblocker is starting");
}
