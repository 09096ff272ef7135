import { existsSync } from "node:fs";
import { join } from "node:path";
import { nativeFolder } from "../netlink/index.ts";
import { SubflowError } from "../types/index.ts";

/** There is no library to preload for this machine, or its path cannot be said. */
export class PreloadError extends SubflowError {
  constructor(message: string) {
    super(message, { code: "PRELOAD" });
  }
}

/** What a Go program obeys, since Go 1.21 (net.Dialer, net.ListenConfig). */
const GO_SETTING = "multipathtcp=1";

/**
 * The library that makes TCP sockets MPTCP sockets.
 * @throws PreloadError
 */
export function preloadedLibrary(): string {
  const folder = nativeFolder();
  if (folder === undefined) {
    throw new PreloadError(
      `there is no mptcp-socket.so for this machine (${process.arch}); \`npm run build:native\` makes it, with gcc`,
    );
  }
  const file = join(folder, "mptcp-socket.so");
  if (!existsSync(file))
    throw new PreloadError(`${file} is not there; install subflow anew, or \`npm run build:native\``);
  // ld.so(8): the list is separated by blanks or colons, and nothing can stand for either.
  if (/[\s:]/.test(file)) {
    throw new PreloadError(`LD_PRELOAD cannot name ${file}: there is a blank or a colon in it; move subflow elsewhere`);
  }
  return file;
}

/** The variables under which a program and whatever it starts use MPTCP, beside what they were. */
export function mptcpEnvironment(
  before: { readonly LD_PRELOAD?: string | undefined; readonly GODEBUG?: string | undefined },
  library: string,
): { readonly LD_PRELOAD: string; readonly GODEBUG: string } {
  const preloaded = (before.LD_PRELOAD ?? "").split(/[\s:]+/).filter((each) => each !== "" && each !== library);
  const settings = (before.GODEBUG ?? "").split(",").filter((each) => each !== "" && !each.startsWith("multipathtcp="));
  return { LD_PRELOAD: [...preloaded, library].join(":"), GODEBUG: [...settings, GO_SETTING].join(",") };
}
