/** rsync, git, MQTT, Redis, memcached, iperf3. */

import { until } from "../../until.ts";
import { type Conversation, listening, randomFile, sameContent } from "./conversation.ts";

const LENGTH = 30_000;

const rsync: Conversation = {
  name: "rsync",
  programs: ["rsync"],
  async run(lab) {
    const [server] = lab.outer;
    const directory = await lab.newDirectory("rsync");
    const file = await randomFile(directory, LENGTH);
    const conf = `${directory}/conf`;
    await Deno.writeTextFile(conf, `use chroot = no\nuid = root\n[lab]\npath = ${directory}\n`);
    server.spawn(["rsync", "--daemon", "--no-detach", "--port=6882", `--config=${conf}`]);
    await listening(server, "tcp", 6_882);
    const received = `${directory}/received`;
    await lab.inner.run(["rsync", `rsync://${server.ipv4}:6882/lab/random.bin`, received]);
    await sameContent(file, received);
  },
};

const git: Conversation = {
  name: "git-daemon",
  programs: ["git"],
  async run(lab) {
    const [server] = lab.outer;
    const directory = await lab.newDirectory("git");
    const source = `${directory}/source`;
    await Deno.mkdir(source);
    await randomFile(source, LENGTH);
    const identity = ["-c", "user.name=lab", "-c", "user.email=lab@example.org"];
    const repository = ["git", "-C", source, ...identity];
    await server.run([...repository, "init", "--quiet"]);
    await server.run([...repository, "add", "."]);
    await server.run([...repository, "commit", "--quiet", "--message=random"]);
    // Not `git daemon`: the wrapper would survive as a child when it is ended.
    const exec = (await server.run(["git", "--exec-path"])).trim();
    server.spawn([
      `${exec}/git-daemon`,
      "--port=6883",
      "--export-all",
      "--reuseaddr",
      `--base-path=${directory}`,
    ]);
    await listening(server, "tcp", 6_883);
    const clone = `${directory}/clone`;
    await lab.inner.run(["git", "clone", "--quiet", `git://${server.ipv4}:6883/source`, clone]);
    await sameContent(`${source}/random.bin`, `${clone}/random.bin`);
  },
};

const mqtt: Conversation = {
  name: "mosquitto-mqtt",
  programs: ["mosquitto", "mosquitto_pub", "mosquitto_sub"],
  async run(lab) {
    const [server] = lab.outer;
    const directory = await lab.newDirectory("mqtt");
    const file = await randomFile(directory, LENGTH);
    const conf = `${directory}/conf`;
    await Deno.writeTextFile(conf, "listener 6884 0.0.0.0\nallow_anonymous true\nuser root\n");
    server.spawn(["mosquitto", "-c", conf], { log: `${directory}/log` });
    await listening(server, "tcp", 6_884);
    const to = `-h ${server.ipv4} -p 6884 -t lab/random -q 1`;
    const received = `${directory}/received`;
    // Retained: it is sent to whom is subscribed, and to whom subscribes later.
    const script = `timeout 60 mosquitto_sub ${to} -C 1 -N >${received} & sleep 0.5
      mosquitto_pub ${to} -r -f ${file}; wait`;
    await lab.inner.run(["sh", "-c", script]);
    await sameContent(file, received);
  },
};

const redis: Conversation = {
  name: "redis",
  programs: ["redis-server", "redis-cli"],
  async run(lab) {
    const [server] = lab.outer;
    const directory = await lab.newDirectory("redis");
    const file = await randomFile(directory, LENGTH);
    server.spawn(["redis-server", "--port", "6885", "--protected-mode", "no", "--save", ""], {
      cwd: directory,
      log: `${directory}/log`,
    });
    await listening(server, "tcp", 6_885);
    const cli = `redis-cli -h ${server.ipv4} -p 6885`;
    const received = `${directory}/received`;
    const script = `${cli} -x set lab <${file}; ${cli} get lab | head -c ${LENGTH} >${received}`;
    await lab.inner.run(["sh", "-c", script]);
    await sameContent(file, received);
  },
};

const memcached: Conversation = {
  name: "memcached",
  programs: ["memcached", "nc"],
  async run(lab) {
    const [server] = lab.outer;
    const directory = await lab.newDirectory("memcached");
    const file = await randomFile(directory, LENGTH);
    server.spawn(["memcached", "-u", "root", "-l", "0.0.0.0", "-p", "6886", "-U", "6886"]);
    await listening(server, "tcp", 6_886);
    const received = `${directory}/received`;
    const nc = `nc -w 5 ${server.ipv4} 6886`;
    await lab.inner.run([
      "sh",
      "-c",
      `{ printf 'set lab 0 0 ${LENGTH}\\r\\n'; cat ${file}; printf '\\r\\nquit\\r\\n'; } | ${nc}
       printf 'get lab\\r\\nstats\\r\\nquit\\r\\n' | ${nc} |
         tail -c +${`VALUE lab 0 ${LENGTH}\r\n`.length + 1} | head -c ${LENGTH} >${received}
       # Over UDP a request has a header of 8 bytes: id, sequence, datagrams, reserved.
       printf '\\0\\001\\0\\0\\0\\001\\0\\0stats\\r\\n' | nc -u -w 1 ${server.ipv4} 6886 >/dev/null`,
    ]);
    await sameContent(file, received);
  },
};

const iperf: Conversation = {
  name: "iperf3",
  programs: ["iperf3"],
  async run(lab) {
    const [server] = lab.outer;
    server.spawn(["iperf3", "-s", "-p", "6887"]);
    await listening(server, "tcp", 6_887);
    const client = ["iperf3", "-c", server.ipv4, "-p", "6887", "-n", "60K"];
    for (const how of [[], ["-R"], ["-u", "-b", "1M"]]) {
      // The server may not have done with the one before.
      let said = "";
      const isDone = () =>
        lab.inner.run([...client, ...how]).then(
          () => true,
          (error) => {
            said = (error as Error).message;
            if (!/server is busy/.test(said)) throw error;
            return false;
          },
        );
      await until(isDone, () => said);
    }
  },
};

export const SERVICES: readonly Conversation[] = [rsync, git, mqtt, redis, memcached, iperf];
