"""A transparent proxy as redsocks and squid are one: takes what TPROXY gives it, and calls the server,
in its client's name if told `spoof`. Arguments: the port, and `spoof` or `plain`."""

import socket
import sys
import threading

PORT, SPOOFS = int(sys.argv[1]), sys.argv[2] == "spoof"
IPV6_TRANSPARENT = 75
TRANSPARENT = {
    socket.AF_INET: (socket.SOL_IP, 19),  # IP_TRANSPARENT
    socket.AF_INET6: (socket.IPPROTO_IPV6, IPV6_TRANSPARENT),
}


def pump(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        pass
    for end in (source, sink):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def serve(client, family):
    server = socket.socket(family, socket.SOCK_STREAM)
    try:
        if SPOOFS:
            server.setsockopt(*TRANSPARENT[family], 1)
            server.bind((client.getpeername()[0], 0))
        server.connect(client.getsockname()[:2])
    except OSError:
        client.close()
        return
    threading.Thread(target=pump, args=(client, server), daemon=True).start()
    pump(server, client)


def listen(family):
    listener = socket.socket(family, socket.SOCK_STREAM)
    if family == socket.AF_INET6:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    listener.setsockopt(*TRANSPARENT[family], 1)
    listener.bind(("", PORT))
    listener.listen(128)
    print("listens", flush=True)
    while True:
        client, _ = listener.accept()
        threading.Thread(target=serve, args=(client, family), daemon=True).start()


threading.Thread(target=listen, args=(socket.AF_INET6,), daemon=True).start()
listen(socket.AF_INET)
