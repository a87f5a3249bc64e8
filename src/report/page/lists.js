/** The lists: bans, with what lifts them, and recent detections. */
import { ask, askForToken, hasToken, keepToken } from "./ask.js";
import { at, emptyRow, node } from "./dom.js";
import { amount, duration, moment } from "./format.js";

const SURE_MS = 4_000;

/** The last answer, when it came, what is looked for in it, and the rows it is shown in. */
const list = { answer: null, atMs: 0, filter: "", rows: new Map() };

function banName({ address, port, protocol }) {
  if (port === null) return address;
  return `${address.includes(":") ? `[${address}]` : address}:${port}/${protocol}`;
}

/** A row is kept as long as its ban, so that what is selected or pressed in it stays. */
function banRow(ban, left) {
  const name = banName(ban);
  let row = list.rows.get(name);
  if (row === undefined) {
    const lift = list.answer.mayLift ? [liftButton(ban.address)] : [];
    row = node(
      "tr",
      "",
      node("td", "address", name),
      node("td", ""),
      node("td", "number"),
      node("td", "number roomy"),
      node("td", "lift", ...lift),
    );
    list.rows.set(name, row);
  }
  const [, reason, end, dropped] = row.cells;
  reason.textContent = ban.reason;
  end.textContent = duration(left);
  dropped.textContent = amount(ban.packets);
  return row;
}

/** Shows the last answer again: the time left goes on. */
export function showBans() {
  if (list.answer === null) return;
  const { bans, mayLift, nowMs, count } = list.answer;
  const behindMs = performance.now() - list.atMs;
  const rows = [];
  for (const ban of bans) {
    const left = (ban.untilMs - nowMs - behindMs) / 1000;
    const text = `${banName(ban)} ${ban.reason}`.toLowerCase();
    if (left > 0 && text.includes(list.filter)) rows.push(banRow(ban, left));
  }
  if (rows.length === 0) {
    rows.push(emptyRow(5, count === 0 ? "Nobody is banned" : "None like that"));
  }
  const body = at("bans");
  const isSame = rows.length === body.rows.length && rows.every((row, i) => row === body.rows[i]);
  if (!isSame) body.replaceChildren(...rows);
  body.parentElement.classList.toggle("read-only", !mayLift);
  at("bans-count").textContent = amount(count);
  at("bans-note").textContent = [
    count > bans.length ? `The newest ${bans.length} of ${amount(count)}.` : "",
    mayLift || count === 0
      ? ""
      : "To lift bans here, set STATUS_TOKEN; or: btblocker bans remove ADDRESS",
  ].filter((text) => text !== "").join(" ");
}

/** Pressed twice it lifts; once, it asks. */
function liftButton(address) {
  const button = node("button", "", "Lift");
  button.type = "button";
  button.setAttribute("aria-label", `Lift the ban of ${address}`);
  const calm = () => {
    button.classList.remove("sure");
    button.textContent = "Lift";
  };
  button.addEventListener("click", async () => {
    if (!button.classList.contains("sure")) {
      button.classList.add("sure");
      button.textContent = "Sure?";
      setTimeout(calm, SURE_MS);
      return;
    }
    calm();
    button.disabled = true;
    await lift(address);
    button.disabled = false;
  });
  return button;
}

async function lift(address) {
  let problem = "";
  try {
    if (!hasToken() && !await askForToken("Lifting a ban takes the token.")) return;
    await ask("api/bans/remove", { address });
  } catch (error) {
    if (error.status === 401) {
      keepToken("");
      if (await askForToken(`${error.message}. Once more?`)) return lift(address);
      return;
    }
    problem = `Cannot lift the ban of ${address}: ${error.message}`;
  } finally {
    at("bans-problem").textContent = problem;
    await refreshBans().catch(() => {}); // the next poll will say what is wrong
  }
}

function endpoint(address, port) {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

/** "get_peers query, libtorrent 2.0 · banned 10.8.0.5 for 5h · wg0" */
function detectionWords({ reason, client, done, in_iface }) {
  const why = client === null ? reason : `${reason}, ${client}`;
  return [why, done, in_iface].filter((part) => part !== "").join(" · ");
}

export function showDetections({ recent }) {
  const nowMs = Date.now();
  const rows = recent.map((one) => {
    const time = node("time", "", moment(Date.parse(one.timestamp), nowMs));
    time.dateTime = one.timestamp;
    return node(
      "li",
      "",
      time,
      node(
        "div",
        "",
        node(
          "div",
          "address",
          `${one.proto} ${endpoint(one.src_ip, one.src_port)} `,
          node("span", "arrow", "→"),
          ` ${endpoint(one.dest_ip, one.dest_port)}`,
        ),
        node(
          "div",
          "what",
          node("span", "method", one.method),
          ` ${detectionWords(one)}`,
        ),
      ),
    );
  });
  at("recent").replaceChildren(...rows.length > 0 ? rows : [node("li", "empty", "None yet")]);
}

export async function refreshBans() {
  const answer = await ask("api/bans");
  const names = new Set(answer.bans.map(banName));
  for (const name of list.rows.keys()) if (!names.has(name)) list.rows.delete(name);
  if (answer.mayLift !== list.answer?.mayLift) list.rows.clear(); // another run, other settings
  list.answer = answer;
  list.atMs = performance.now();
  showBans();
}

at("filter").addEventListener("input", () => {
  list.filter = at("filter").value.trim().toLowerCase();
  showBans();
});
