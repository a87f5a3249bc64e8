/** Plain HTTP that talks about BitTorrent, and DNS about its names. */

import type { Host } from "../../../src/demo/network.ts";
import { delay } from "../client.ts";
import type { Lab } from "../lab.ts";
import { createTorrent } from "../../../src/demo/torrent.ts";
import { type Conversation, listening, randomFile, sameContent } from "./conversation.ts";

/** nginx with one directory, in the foreground. */
export async function startNginx(lab: Lab, host: Host, root: string, port: number): Promise<void> {
  const directory = await lab.newDirectory("nginx");
  await Deno.chmod(lab.directory, 0o755);
  const configuration = `daemon off; user root; pid ${directory}/pid; error_log ${directory}/log;
    events {}
    http {
      access_log off; client_body_temp_path ${directory};
      types { text/html html; application/x-bittorrent torrent; }
      default_type application/octet-stream;
      server { listen ${port}; listen [::]:${port}; root ${root}; error_page 405 =200 $uri; }
    }`;
  await Deno.writeTextFile(`${directory}/conf`, configuration);
  host.spawn(["nginx", "-e", `${directory}/log`, "-c", `${directory}/conf`], {
    log: `${directory}/out`,
  });
  await listening(host, "tcp", port);
}

/** All the words a careless search would stumble over. */
function pageAboutBitTorrent(magnet: string): string {
  return `<!doctype html><title>How BitTorrent works</title>
<p>A peer sends <code>\\x13BitTorrent protocol</code>: byte 19, then the words</p>
<pre>\x13BitTorrent protocol\0\0\0\0\0\0\0\0</pre>
<p>and asks its tracker <code>GET /announce?info_hash=%aa%bb&amp;peer_id=-qB4520-&amp;port=6881</code>.</p>
<p>DHT: <code>d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe</code></p>
<p>LSD: <code>BT-SEARCH * HTTP/1.1</code> Infohash: 0123456789012345678901234567890123456789</p>
<p>User-Agent: qBittorrent/4.5.2, Transmission/3.00, uTorrent/2210</p>
<p><a href="${magnet}">magnet</a> <a href="/sample.torrent">torrent</a></p>
`;
}

const pages: Conversation = {
  name: "http-pages-about-bittorrent",
  programs: ["nginx", "curl"],
  async run(lab) {
    const [server] = lab.outer;
    const root = await lab.newDirectory("pages");
    await Deno.chmod(root, 0o755);
    const torrent = createTorrent({
      length: 400_000,
      trackers: ["http://tracker.example.org:6969/announce", "udp://tracker.example.org:1337"],
      urlList: ["http://mirror.example.org/sample.bin"],
    });
    const page = pageAboutBitTorrent(torrent.magnet);
    await Deno.writeTextFile(`${root}/index.html`, page);
    await Deno.writeFile(`${root}/sample.torrent`, torrent.file);
    const file = await randomFile(root, 20_000);
    await startNginx(lab, server, root, 8_080);
    const received = `${root}/received`;
    for (const address of [server.ipv4, `[${server.ipv6}]`]) {
      const get = async (path: string, ...more: string[]) => {
        const url = `http://${address}:8080${path}`;
        await lab.inner.run(["curl", "-sf", "-m", "40", "-o", received, ...more, url]);
      };
      await get("/index.html");
      await get(`/index.html?q=BitTorrent+protocol+info_hash+peer_id`);
      await get(`/index.html?link=${encodeURIComponent(torrent.magnet)}`);
      await get("/index.html", "--data-binary", `@${root}/index.html`);
      await get("/sample.torrent");
      await sameContent(`${root}/sample.torrent`, received);
      await get("/random.bin", "-r", "1000-9999");
      await get("/random.bin");
      await sameContent(file, received);
    }
  },
};

const dns: Conversation = {
  name: "dns-bittorrent-names",
  programs: ["dnsmasq", "dig"],
  async run(lab) {
    const [server] = lab.outer;
    server.spawn([
      "dnsmasq",
      "--keep-in-foreground",
      "--port=5353",
      "--no-resolv",
      "--no-hosts",
      "--conf-file=/dev/null",
      "--user=root",
      "--pid-file=",
      "--address=/#/198.18.2.2",
      "--txt-record=tracker.example.org,BITTORRENT UDP:1337 TCP:80", // BEP 34
    ]);
    await listening(server, "udp", 5_353);
    await delay(200);
    const names = ["router.bittorrent.com", "dht.transmissionbt.com", "tracker.example.org"];
    // A query whose id is 0x4100 begins as a uTP SYN does.
    for (const id of ["16640", "4352", "8448", "256"]) {
      for (const name of names) {
        const dig = ["dig", `@${server.ipv4}`, "-p", "5353", "+noedns", `+qid=${id}`, name];
        const answer = await lab.inner.run([...dig, name.startsWith("tracker") ? "TXT" : "A"]);
        if (!answer.includes("status: NOERROR")) throw new Error(answer);
      }
    }
  },
};

export const WEB: readonly Conversation[] = [pages, dns];
