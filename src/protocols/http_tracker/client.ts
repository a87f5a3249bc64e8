/** Names of clients in HTTP requests: the query's `peer_id`, or the header `User-Agent`. */
import { lesser } from "../../packet/bytes.ts";
import { clientFromPeerId, logText, MAX_NAME, PEER_ID_LENGTH } from "../client_name.ts";
import {
  CUT_HEAD,
  HttpHead,
  MAX_HEAD,
  NOT_HTTP,
  percentDecode,
  USER_AGENT,
  valueEnd,
} from "../http.ts";
import { Query } from "../query.ts";
import { WordSet } from "../word_set.ts";

const QUERY_PEER_ID = new WordSet(["peer_id"]);
const head = new HttpHead();
const query = new Query();
const decodedId = new Uint8Array(PEER_ID_LENGTH);

/** The query's `peer_id`, or the header `User-Agent`. */
export function httpClient(bytes: Uint8Array, start: number, end: number): string | null {
  const line = head.requestLine(bytes, start, end);
  if (line === NOT_HTTP) return null;
  for (query.begin(bytes, head); query.next();) {
    if (
      QUERY_PEER_ID.has(bytes, query.key, query.keyLength) &&
      percentDecode(bytes, query.value, query.valueEnd, decodedId)
    ) {
      const client = clientFromPeerId(decodedId, 0);
      if (client !== null) return client;
    }
  }
  if (line === CUT_HEAD) head.readHeaders(bytes, lesser(end, start + MAX_HEAD));
  const agent = head.values[USER_AGENT];
  return agent < 0 ? null : clientFromUserAgent(bytes, agent, valueEnd(bytes, agent, end));
}

/** The client named by the header `User-Agent` in `[at, end)`: product and version, printable. */
export function clientFromUserAgent(bytes: Uint8Array, at: number, end: number): string | null {
  const text = logText(bytes, at, Math.min(end, at + MAX_NAME));
  const utorrent = /^(?:uTorrent|µTorrent)\/(\d)(\d)(\d)/.exec(text);
  if (utorrent !== null) return `µTorrent ${utorrent[1]}.${utorrent[2]}.${utorrent[3]}`;
  const product = /^([A-Za-zµ][\w .:\-]*?)[/ ]v?(\d[\w.\-]*)/.exec(text);
  if (product !== null) return `${product[1]} ${product[2]}`;
  return /^[A-Za-z]/.test(text) ? text.split(/[/;(]/)[0].trim() || null : null;
}
