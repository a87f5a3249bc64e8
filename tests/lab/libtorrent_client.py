"""One libtorrent session with one torrent, driven by a JSON object in argv[1].

settings: libtorrent settings; torrent: path of a .torrent, or magnet: URI; save_path;
peers: [[address, port], ...] given directly; seed: the files are there and right;
dht: [[address, port], ...] nodes to begin with; tls: files of an SSL torrent's certificate, key and
parameters. Without torrent and magnet: a bare DHT node.
"""

import json
import sys
import time

import libtorrent as lt

options = json.loads(sys.argv[1])
settings = {
    "alert_mask": lt.alert.category_t.error_notification | lt.alert.category_t.peer_notification,
    "enable_upnp": False,
    "enable_natpmp": False,
    "enable_lsd": False,
    "enable_dht": False,
    "allow_multiple_connections_per_ip": True,
    "min_reconnect_time": 1,
    "smooth_connects": False,
    "dht_bootstrap_nodes": "",
    "unchoke_slots_limit": -1,
}
settings.update(options["settings"])
session = lt.session(settings)
for address, port in options.get("dht", []):
    session.add_dht_node((address, port))
handle = None
if "torrent" in options or "magnet" in options:
    if "torrent" in options:
        parameters = lt.add_torrent_params()
        parameters.ti = lt.torrent_info(options["torrent"])
    else:
        parameters = lt.parse_magnet_uri(options["magnet"])
    parameters.save_path = options["save_path"]
    parameters.flags = lt.torrent_flags.default_flags & ~lt.torrent_flags.paused
    parameters.flags &= ~lt.torrent_flags.auto_managed
    if options.get("seed"):
        parameters.flags |= lt.torrent_flags.seed_mode
    if "tls" in options:  # it must not begin without them
        parameters.flags |= lt.torrent_flags.paused
    handle = session.add_torrent(parameters)
    if "tls" in options:
        handle.set_ssl_certificate(*options["tls"])
        handle.resume()
print("ready", lt.__version__, flush=True)
last = ""
tick = 0
while True:
    for alert in session.pop_alerts():
        print("alert", alert, flush=True)
    if handle is not None:
        status = handle.status()
        if status.num_peers == 0 and tick % 4 == 0:
            for address, port in options.get("peers", []):
                handle.connect_peer((address, port))
        line = f"state {status.state} done {status.total_done} peers {status.num_peers}"
        if line != last:
            print(line, flush=True)
            last = line
    tick += 1
    time.sleep(0.25)
