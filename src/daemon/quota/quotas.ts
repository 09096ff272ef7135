import { readFileSync } from "node:fs";
import { assignRole, type HostConfig, type HostLink, quotaText } from "../../host/index.ts";
import { type Rtnl, unlessRefused } from "../../netlink/index.ts";
import type { Millis, QuotaUse } from "../../types/index.ts";
import type { Logger } from "../logger.ts";
import { Meters, type Reading, type Use } from "./meter.ts";
import { QuotaFile, quotaPath } from "./quota-file.ts";

/** So often counters are read, where there is a quota. */
const LOOK: Millis = 10_000;
/** Looks from one writing to the next: once a minute. */
const LOOKS_PER_WRITE = 6;
const BOOT = "/proc/sys/kernel/random/boot_id";

export interface QuotasOptions {
  readonly rtnl: Rtnl;
  readonly log: Pick<Logger, "warn" | "info">;
  readonly file: QuotaFile;
  readonly links: () => readonly HostLink[];
  /** What follows for some interface is another than before. */
  readonly onStage: () => void;
}

/** What interfaces with a quota have carried: read and written down now and then, and not at all where there is none. */
export class Quotas implements Disposable {
  readonly #options: QuotasOptions;
  #meters: Meters | undefined;
  #config: HostConfig | undefined;
  #timer: NodeJS.Timeout | undefined;
  #looks = 0;
  #uses: readonly Use[] = [];
  #used: ReadonlyMap<string, number> = new Map();

  constructor(options: QuotasOptions) {
    this.#options = options;
  }

  /** Counts a last time, and writes it down. */
  [Symbol.dispose](): void {
    if (this.#timer === undefined) return;
    this.#stop();
    this.#read();
    this.#options.file.writeNow(this.#meters?.saved ?? {});
  }

  /** Bytes by the names of interfaces, as they were looked at last. */
  get used(): ReadonlyMap<string, number> {
    return this.#used;
  }

  /** For `status`; undefined: there is no quota. */
  get uses(): readonly QuotaUse[] | undefined {
    if (this.#timer === undefined) return undefined;
    return this.#uses.map(({ name, quota, bytes, stage, period }) => ({
      interface: name,
      used: bytes,
      limit: quota.bytes,
      period: quota.period,
      stage,
      ends: new Date(period.ends).toISOString(),
    }));
  }

  get troubles(): readonly string[] {
    const { trouble } = this.#options.file;
    return trouble === undefined || this.#timer === undefined ? [] : [trouble];
  }

  /** Before a plan is made of it, which goes by what is used. */
  configure(config: HostConfig): void {
    this.#config = config;
    // Where nothing is automatic roles mean nothing, and so do quotas.
    const isCounted = config.automatic && config.interfaces.some(({ quota }) => quota !== undefined);
    if (!isCounted) return this.#forget();
    this.#meters ??= new Meters(bootName(), this.#options.file.read());
    const isNew = this.#timer === undefined;
    this.#timer ??= setInterval(() => this.#look(), LOOK);
    this.#read();
    // What the counters begin from: who is killed in the first minute has counted from there.
    if (isNew) void this.#options.file.write(this.#meters.saved);
  }

  #stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #forget(): void {
    if (this.#timer !== undefined) this.#options.file.writeNow(this.#meters?.saved ?? {});
    this.#stop();
    this.#uses = [];
    this.#used = new Map();
  }

  #look(): void {
    const before = stagesOf(this.#uses);
    this.#read();
    if (++this.#looks % LOOKS_PER_WRITE === 0) void this.#options.file.write(this.#meters?.saved ?? {});
    if (stagesOf(this.#uses) !== before) this.#options.onStage();
  }

  #read(): void {
    const [meters, config] = [this.#meters, this.#config];
    if (!meters || !config) return;
    // Where the kernel does not tell, what was read before holds: a quota that is used up does not open again for that.
    const readings = unlessRefused(() => this.#readings(config), undefined);
    if (!readings) return;
    const now = new Date();
    this.#uses = meters.look(readings, now);
    this.#used = meters.used(now);
    for (const use of this.#uses) if (use.isNews) this.#options.log.warn(sentence(use));
  }

  /** One question an interface, and no dump of all: a host of containers has hundreds that nobody counts. */
  #readings(config: HostConfig): Reading[] {
    const { links, rtnl } = this.#options;
    const quotas = new Map(
      links().flatMap((link) => {
        const { quota, role } = assignRole(config, link);
        return quota && role !== "off" ? [[link.index, quota] as const] : [];
      }),
    );
    return rtnl.linkBytes([...quotas.keys()]).map(({ name, index, received, sent }) => {
      return { name, index, bytes: received + sent, quota: quotas.get(index)! };
    });
  }
}

/** What an earlier daemon wrote down, for who only looks; what cannot be read is nothing. @param netns as the command line names it */
export function savedQuotaUse(netns: string | undefined): ReadonlyMap<string, number> {
  const silent = { warn: () => undefined, info: () => undefined };
  return new Meters("", new QuotaFile(quotaPath(netns), silent).read()).used(new Date());
}

/** Where it cannot be told, counters that are lower than they were say enough. */
function bootName(): string {
  try {
    return readFileSync(BOOT, "latin1").trim();
  } catch {
    return "";
  }
}

function stagesOf(uses: readonly Use[]): string {
  return uses.map(({ name, stage }) => `${name} ${stage}`).join();
}

const FOLLOWS = {
  within: "",
  warned: "",
  backup: ": its endpoints are backup until a new one begins",
  off: ": it is left alone until a new one begins",
} as const;

function sentence({ name, quota, bytes, stage }: Use): string {
  return `${name} has used ${Math.floor((100 * bytes) / quota.bytes)} % of its quota of ${quotaText(quota)}${FOLLOWS[stage]}`;
}
