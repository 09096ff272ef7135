import { once } from "node:events";
import { readFileSync } from "node:fs";
import { Lab, labVariable, parseTopology, rerunContained } from "../../lab/index.ts";
import type { Context } from "../command.ts";
import { EXIT, missingArgument, usageError } from "../failure.ts";
import { parseOptions } from "../options.ts";

/** `lab run`. Resolves to the exit status of the command that ran in the lab. */
export async function run(context: Context): Promise<number> {
  const end = context.words.indexOf("--");
  const own = end < 0 ? context.words : context.words.slice(0, end);
  // A word too many is the command most likely, and its "--" forgotten.
  const { values, words } = parseOptions({ ...context, words: own, command: { ...context.command, takes: undefined } });
  const [file, ...more] = words;
  if (file === undefined) throw missingArgument("FILE");
  if (more.length > 0) throw usageError(`Error: the command to run must stand behind "--": ${more.join(" ")}`);
  const topology = parseTopology(readFileSync(file, "utf8"), file);
  const elsewhere = await rerunContained();
  if (elsewhere !== undefined) return elsewhere;

  await using lab = await Lab.create(topology);
  const host = values.in === undefined ? [...lab.hosts][0] : lab.host(values.in);
  if (!host) throw usageError(`Error: ${file} describes no host.`);
  const command = end < 0 ? [process.env.SHELL ?? "sh"] : context.words.slice(end + 1);
  const namespaces = [...lab.hosts].map(({ name, netns }) => [labVariable(name), netns]);
  const env = { ...process.env, ...Object.fromEntries(namespaces) };
  if (end < 0)
    context.streams.err(
      welcome(
        host.name,
        namespaces.map(([name]) => name!),
      ),
    );
  // ^C is for the command; we end when it does, and take the lab down.
  const ignore = (): void => {};
  process.on("SIGINT", ignore);
  const [status, signal] = (await once(host.spawn(command, { stdio: "inherit", env }), "exit")) as [
    number | null,
    unknown,
  ];
  process.off("SIGINT", ignore);
  return status ?? (signal === "SIGINT" ? EXIT.interrupted : EXIT.failure);
}

function welcome(host: string, variables: readonly string[]): string {
  return (
    `A shell on "${host}"; leaving it ends the lab. The network namespaces stand in ${variables.join(", ")}:\n` +
    `for instance: nsenter --net=$${variables.at(-1)} ip address\n`
  );
}
