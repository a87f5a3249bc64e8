/** Asking the blocker, with the token where it is wanted. */
import { at } from "./dom.js";

const ANSWER_TIMEOUT_MS = 5_000;
const TOKEN_KEY = "btblocker-token";

function readToken() {
  try {
    return sessionStorage.getItem(TOKEN_KEY) ?? "";
  } catch {
    return "";
  }
}

let token = readToken();

export const hasToken = () => token !== "";

export function keepToken(value) {
  token = value;
  try {
    if (value === "") sessionStorage.removeItem(TOKEN_KEY);
    else sessionStorage.setItem(TOKEN_KEY, value);
  } catch {
    // Kept in this variable all the same.
  }
}

class Refusal extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** The answer to a GET, or to a POST of `body`; throws with `status` where it is a refusal. */
export async function ask(path, body) {
  const headers = {};
  if (token !== "") headers.authorization = `Bearer ${token}`;
  if (body !== undefined) headers["content-type"] = "application/json";
  const response = await fetch(path, {
    headers,
    method: body === undefined ? "GET" : "POST",
    body: body === undefined ? undefined : JSON.stringify(body),
    credentials: "omit",
    cache: "no-store",
    signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS),
  });
  const answer = await response.json();
  if (!response.ok) throw new Refusal(response.status, answer.error);
  return answer;
}

/** Asks the operator for it; false when they would rather not. */
export function askForToken(why) {
  at("ask-why").textContent = why;
  at("token").value = "";
  const dialog = at("ask");
  dialog.showModal();
  return new Promise((resolve) => {
    const end = (given) => {
      dialog.onclose = null;
      dialog.close();
      resolve(given);
    };
    dialog.onclose = () => resolve(false);
    at("ask-cancel").onclick = () => end(false);
    at("ask-form").onsubmit = (event) => {
      event.preventDefault();
      keepToken(at("token").value.trim());
      end(true);
    };
  });
}
