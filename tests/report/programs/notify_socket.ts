/** Prints the datagrams that come to a unix socket, one JSON string a line: notify_socket.ts PATH. */
const socket = Deno.listenDatagram({ transport: "unixpacket", path: Deno.args[0] });
console.log(JSON.stringify("ready"));
for await (const [bytes] of socket) console.log(JSON.stringify(new TextDecoder().decode(bytes)));
