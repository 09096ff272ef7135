import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { SubflowError } from "../types/index.ts";
import { mptcpEnvironment, preloadedLibrary } from "./environment.ts";
import { describeProgram, obstacle } from "./program.ts";

/** A unit that cannot be made to use MPTCP, or no systemd to ask. */
export class UnitError extends SubflowError {
  constructor(message: string) {
    super(message, { code: "UNIT" });
  }
}

/** Where the host keeps what its owner says of units, and how systemd is asked. Tests have their own. */
export interface Systemd {
  /** /etc/systemd/system */
  readonly directory: string;
  /** Runs systemctl(1). @throws UnitError with what it said */
  systemctl(...words: string[]): string;
}

/** The host's own. @throws UnitError where systemd does not run */
export function hostSystemd(): Systemd {
  if (!existsSync("/run/systemd/system")) {
    throw new UnitError(
      "this host is not run by systemd, so there are no units; `subflow exec` starts a single program",
    );
  }
  return { directory: "/etc/systemd/system", systemctl };
}

function systemctl(...words: string[]): string {
  try {
    return execFileSync("systemctl", words, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  } catch (error) {
    const said = String((error as { stderr?: unknown }).stderr ?? (error as Error).message).trim();
    throw new UnitError(`systemctl ${words[0]}: ${said}`);
  }
}

const DROP_IN = "subflow-mptcp.conf";
const HEAD = "# Made by `subflow enable`; `subflow disable` takes it away.\n";
/** Since this version systemd makes MPTCP sockets itself (SocketProtocol= of systemd.socket(5)). */
const SYSTEMD_WITH_MPTCP = 257;

/** "nginx" → "nginx.service". @throws UnitError for what can be no service or socket */
export function unitName(word: string): string {
  const name = /\.[a-z]+$/.test(word) ? word : `${word}.service`;
  if (!/^[\w:.\\@][\w:.\\@-]{0,240}\.(service|socket)$/.test(name)) {
    throw new UnitError(`"${word}" is no service and no socket; \`subflow apps\` shows the units that use TCP`);
  }
  return name;
}

const fileOf = ({ directory }: Systemd, unit: string): string => join(directory, `${unit}.d`, DROP_IN);

/**
 * Has a unit use MPTCP from its next start on.
 * @returns what it is to be told beside that it is done
 * @throws UnitError where nothing would come of it
 */
export function enableUnit(systemd: Systemd, unit: string): string[] {
  const state = systemd.systemctl("show", "-P", "LoadState", unit).trim();
  if (state !== "loaded")
    throw new UnitError(
      `there is no unit ${unit} (${state || "unknown"}); \`systemctl list-units\` names those there are`,
    );
  const lines = unit.endsWith(".socket") ? socketLines(systemd) : serviceLines(systemd, unit);
  const file = fileOf(systemd, unit);
  atRoot(`write ${file}`, () => replace(file, `${HEAD}${lines.text}`));
  systemd.systemctl("daemon-reload");
  return lines.notes;
}

/** In one step, for systemd may read it at any moment; a full disk leaves what there was. */
function replace(file: string, text: string): void {
  mkdirSync(join(file, ".."), { recursive: true });
  const fresh = `${file}.new`;
  try {
    writeFileSync(fresh, text);
    renameSync(fresh, file);
  } catch (error) {
    rmSync(fresh, { force: true });
    removeEmpty(file);
    throw error;
  }
}

/** The folder of a file, unless others' drop-ins are in there. */
function removeEmpty(file: string): void {
  try {
    rmdirSync(join(file, ".."));
  } catch {
    // It is not empty.
  }
}

interface DropIn {
  readonly text: string;
  readonly notes: string[];
}

function socketLines(systemd: Systemd): DropIn {
  const version = Number(/^systemd (\d+)/.exec(systemd.systemctl("--version"))?.[1]);
  if (version < SYSTEMD_WITH_MPTCP) {
    throw new UnitError(
      `a socket unit opens its socket by systemd itself, and systemd ${version} knows no MPTCP (257 does): have the service listen`,
    );
  }
  return { text: "[Socket]\nSocketProtocol=mptcp\n", notes: [] };
}

function serviceLines(systemd: Systemd, unit: string): DropIn {
  const path = /path=([^;]+?) ;/.exec(systemd.systemctl("show", "-P", "ExecStart", unit))?.[1];
  const reason = path === undefined ? undefined : obstacle(describeProgram(path));
  if (reason !== undefined) throw new UnitError(`nothing would come of it: ${reason}`);
  const library = preloadedLibrary();
  const variables = mptcpEnvironment(variablesOf(systemd.systemctl("show", "-P", "Environment", unit)), library);
  const text = Object.entries(variables).map(([name, value]) => `Environment="${name}=${value}"\n`);
  return { text: `[Service]\n${text.join("")}`, notes: hidden(systemd, { unit, library }) };
}

/** LD_PRELOAD and GODEBUG as the unit sets them by itself: systemd joins the assignments by blanks, quoted where needed. */
function variablesOf(environment: string): Record<string, string> {
  const words = environment.match(/"(?:[^"\\]|\\.)*"|\S+/g) ?? [];
  const pairs = words.map((word) => word.replace(/^"|"$/g, "").split(/=(.*)/s));
  return Object.fromEntries(pairs.map(([name = "", value = ""]) => [name, value]));
}

/** Units that may not see the library: the dynamic linker says so in their log, and they go on with TCP. */
function hidden(systemd: Systemd, { unit, library }: { readonly unit: string; readonly library: string }): string[] {
  const property = (name: string): string => systemd.systemctl("show", "-P", name, unit).trim();
  const notes: string[] = [];
  const isHome = /^\/(home|root|run\/user)\//.test(library);
  if (isHome && ["yes", "tmpfs"].includes(property("ProtectHome")))
    notes.push(`${unit} sees no home directories, and ${library} is in one: install the Debian package`);
  if (property("RootDirectory") !== "" || property("RootImage") !== "")
    notes.push(`${unit} has a root directory of its own, and must find ${library} there`);
  return notes;
}

/** Undoes {@link enableUnit}. @returns false: there was nothing */
export function disableUnit(systemd: Systemd, unit: string): boolean {
  const file = fileOf(systemd, unit);
  if (!existsSync(file)) return false;
  atRoot(`remove ${file}`, () => rmSync(file));
  removeEmpty(file);
  systemd.systemctl("daemon-reload");
  return true;
}

function atRoot(what: string, work: () => void): void {
  try {
    work();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EACCES" || code === "EPERM")
      throw new UnitError(`cannot ${what}: ${code}; units are root's: use sudo`);
    throw error;
  }
}

/** A unit that was enabled. */
export interface EnabledUnit {
  readonly unit: string;
  readonly how: "library" | "socket";
  /** `pending`: it runs, and was started before; `broken`: the library is not there any more. */
  readonly state: "active" | "inactive" | "pending" | "broken";
}

/** What {@link enableUnit} did and nobody undid. */
export function enabledUnits(systemd: Systemd): EnabledUnit[] {
  const names = existsSync(systemd.directory) ? readdirSync(systemd.directory) : [];
  const units = names.filter((name) => name.endsWith(".d")).map((name) => name.slice(0, -2));
  return units
    .filter((unit) => existsSync(fileOf(systemd, unit)))
    .sort()
    .map((unit) => ({ unit, how: unit.endsWith(".socket") ? "socket" : "library", state: stateOf(systemd, unit) }));
}

function stateOf(systemd: Systemd, unit: string): EnabledUnit["state"] {
  const text = readFileSync(fileOf(systemd, unit), "utf8");
  const ours = /LD_PRELOAD=([^"\n]*)/.exec(text)?.[1]?.split(":").at(-1);
  if (ours !== undefined && !existsSync(ours)) return "broken";
  const property = (name: string): string => systemd.systemctl("show", "-P", name, unit).trim();
  if (property("ActiveState") !== "active") return "inactive";
  if (ours === undefined) return "active";
  return hasLoaded(property("MainPID"), ours) ? "active" : "pending";
}

/** Its own memory map says. Of others' processes that is root's to see: without, it is taken for as it should be. */
function hasLoaded(pid: string, library: string): boolean {
  try {
    return (
      readFileSync(`/proc/${pid}/maps`, "utf8").includes(library) ||
      readFileSync(`/proc/${pid}/environ`, "latin1").includes(library)
    );
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EACCES";
  }
}
