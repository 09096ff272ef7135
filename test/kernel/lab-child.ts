// A process of its own for lab-cleanup.test.ts: makes a lab and ends, or is ended, in the way its argument says.
import { once } from "node:events";
import { Lab, rerunRootless, transfer } from "../../src/lab/index.ts";

const TOPOLOGY = {
  hosts: { client: {}, server: {} },
  links: [{ name: "wire", ends: { client: ["10.0.1.1/24"], server: ["10.0.1.2/24"] } }],
};

async function hold(): Promise<Lab> {
  const lab = await Lab.create(TOPOLOGY);
  const command = lab.host("client").spawn(["sleep", "1000"], { stdio: "ignore" });
  // As whoever starts a daemon: of no interest to the shell that it comes from, which ends at once.
  const shell = lab.host("server").spawn(["sh", "-c", "setsid sleep 1000 >/dev/null 2>&1 & echo $!"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [background] = (await once(shell.stdout!, "data")) as [Buffer];
  const sockets = await lab.host("server").listen({ address: "10.0.1.2" });
  await sockets.connect(lab.host("client").netns);
  console.log(
    JSON.stringify({ pids: [...lab.hosts].map(({ pid }) => pid).concat(command.pid ?? 0, Number(background)) }),
  );
  return lab;
}

async function rootless(): Promise<number> {
  const status = await rerunRootless();
  if (status !== undefined) return status;
  await using lab = await Lab.create(TOPOLOGY);
  const service = await lab.host("server").listen({ address: "10.0.1.2" });
  const { client, server } = await service.connect(lab.host("client").netns);
  const report = await transfer(client, server, 100_000);
  lab.host("client").sysctl("net.mptcp.pm_type", 1);
  console.log(JSON.stringify({ ...report, uid: process.getuid?.() }));
  return 0;
}

switch (process.argv[2]) {
  case "hold":
    await hold();
    setInterval(() => {}, 1000);
    break;
  case "rootless-hold":
    if ((await rerunRootless()) === undefined) await hold();
    setInterval(() => {}, 1000);
    break;
  case "throw":
    await hold();
    throw new Error("on purpose");
  case "dispose":
    await (await hold())[Symbol.asyncDispose]();
    break;
  case "rootless":
    process.exitCode = await rootless();
    break;
  default:
    throw new Error(`no mode ${process.argv[2]}`);
}
