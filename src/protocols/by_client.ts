/**
 * Whether a torrent client has sent the request itself. Others can be made to: a browser by a page, a
 * server by whoever posts an address that it shows a preview of, a load balancer or a proxy by whom it
 * asks for, a download program by a redirection. The first two choose neither their headers nor their name,
 * and half of the libraries that servers fetch with tell none. So a name must be told, and be that of a
 * program that does nothing else: whoever writes the address writes its peer ID too, so that one of the
 * same name says nothing (aria2 fetches files, and follows where it is sent). And nothing may say that it
 * is another's: no header, nor HTTP/1.0, which nginx speaks to the servers behind it. Nor may it be what no
 * client asks of a tracker: a part of a file, as players do of the list that they are given, whose names
 * they take over too; or anything but GET, as a webhook's POST.
 */
import { type HttpHead, RANGE, USER_AGENT } from "./http.ts";
import { wordsAt } from "./signatures.ts";
import { PrefixSet } from "./word_set.ts";

const CR = 0x0d;
const DOT = 0x2e;
const ZERO = 0x30;
const USER_AGENTS = new PrefixSet(wordsAt("user agent"));

/** @param head of the request, as far as it is there */
export function isByClient(bytes: Uint8Array, head: HttpHead): boolean {
  if (head.mayBeBrowsers || head.isForwarded || head.values[RANGE] >= 0) return false;
  if (!endsWithGet(bytes, head.methodEnd)) return false;
  const agent = head.values[USER_AGENT];
  if (agent < 0 || isHttp10(bytes, head.headersStart)) return false;
  return USER_AGENTS.indexOf(bytes, agent, head.bodyStart) >= 0;
}

function endsWithGet(bytes: Uint8Array, end: number): boolean {
  return (bytes[end - 1] | 0x20) === 0x74 && (bytes[end - 2] | 0x20) === 0x65 &&
    (bytes[end - 3] | 0x20) === 0x67;
}

/** Whether the request line that ends before `headersStart` says HTTP/1.0. */
export function isHttp10(bytes: Uint8Array, headersStart: number): boolean {
  const lineEnd = headersStart - (bytes[headersStart - 2] === CR ? 2 : 1);
  return bytes[lineEnd - 1] === ZERO && bytes[lineEnd - 2] === DOT;
}
